//! Asks servers all that an admin tool asks, and checks each answer: tool NAMESRV RELEASE. Prints `PASS verb (answer)`, or FAIL, or SKIP with
//! why the release does not know the verb.

mod brokers;
mod groups;
mod scene;
mod topics;

use std::collections::BTreeMap;

use scene::{Failure, Scene};

/// What of our verbs a release does not serve, and why.
const ABSENT: &[(&str, &str, &str)] = &[
    ("4.3.0", "get_all_producer_info", "its broker does not know 328"),
    ("4.3.0", "delete_expired_commit_log", "its broker does not know 329"),
    ("4.3.0", "add_write_perm_of_broker", "its name server does not know 327"),
    (
        "4.3.0",
        "query_consume_queue",
        "its broker encodes the answer before it fills it",
    ),
    ("4.3.0", "query_topics_by_consumer", "its broker does not know 343"),
    ("4.3.0", "query_subscription", "its broker does not know 345"),
    ("4.9.7", "query_topics_by_consumer", "its broker does not know 343"),
    ("4.9.7", "query_subscription", "its broker does not know 345"),
];

/// What has been checked, in its order.
pub(crate) struct Table {
    release: String,
    failed: usize,
}

impl Table {
    /// Prints what came of a verb.
    pub(crate) async fn check(&mut self, verb: &str, asking: impl Future<Output = Result<String, Failure>>) {
        let absent = ABSENT
            .iter()
            .find(|(release, name, _)| *release == self.release && *name == verb);
        match (absent, asking.await) {
            (Some((_, _, why)), Err(_)) => println!("SKIP admin-{verb} {why}"),
            (_, Ok(answer)) => println!("PASS admin-{verb} ({})", answer.replace('\n', " ")),
            (None, Err(error)) => {
                println!("FAIL admin-{verb} {}", error.to_string().replace('\n', " "));
                self.failed += 1;
            }
        }
    }
}

/// An answer that is as it should be, or why not.
pub(crate) fn is(condition: bool, answer: impl std::fmt::Debug) -> Result<String, Failure> {
    let answer: String = format!("{answer:?}").chars().take(160).collect();
    if condition {
        Ok(answer)
    } else {
        Err(format!("it answers {answer}").into())
    }
}

/// One setting.
pub(crate) fn one(name: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(name.to_owned(), value.to_owned())])
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let namesrv = arguments.next().ok_or("which name server?")?;
    let mut table = Table {
        release: arguments.next().unwrap_or_default(),
        failed: 0,
    };
    let scene = Scene::set(&namesrv)
        .await
        .inspect_err(|error| println!("FAIL admin-scene {error}"))?;
    topics::play(&scene, &mut table).await;
    groups::play(&scene, &mut table).await;
    brokers::play(&scene, &mut table).await;
    scene.end().await?;
    std::process::exit(i32::from(table.failed > 0));
}
