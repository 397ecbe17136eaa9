//! A pull by SQL92 over as many messages as `CUEMQ_FILTERED` says, one in a thousand of which it wants, beside a pull of all.
//! `just long` has a million of them; few are here to see that it works, and nothing is judged that depends on the machine.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use cuemq_actors::testing::TestBroker;
use cuemq_net::code::ResponseCode;
use cuemq_net::command::Command;

use crate::filters::pull_by;
use crate::pulls::bodies;
use crate::{Connection, arrived, number, pull_from, send_to};

/// What there is unless `CUEMQ_FILTERED` says otherwise.
const FEW: i64 = 3_000;
/// With so many it is judged.
const MANY: i64 = 1_000_000;
/// One of so many is wanted.
const WANTED: i64 = 1_000;
/// Requests under way.
const WINDOW: i64 = 64;
const ROUNDS: usize = 3;

fn numbered(number: i64) -> Command {
    let properties = format!("number\u{1}{number}\u{2}lot\u{1}{}\u{2}", number % WANTED);
    send_to("Many").with_field("i", properties).with_body(vec![b'b'; 100])
}

fn fill(address: SocketAddr, count: i64) {
    let mut client = Connection::to(address);
    number(&client.ask(numbered(0)), "queueOffset");
    let (mut sent, mut answered) = (1, 1);
    while answered < count {
        while sent < count && sent - answered < WINDOW {
            client.send(numbered(sent));
            sent += 1;
        }
        assert_eq!(ResponseCode(client.receive().code), ResponseCode::SUCCESS);
        answered += 1;
    }
    arrived(&mut client, "Many", count);
}

/// How long it takes to the end, and how many messages came.
fn walk(client: &mut Connection, count: i64, pull: impl Fn(i64) -> Command) -> (Duration, usize) {
    let (began, mut next, mut came) = (Instant::now(), 0, 0);
    while next < count {
        let answer = client.ask(pull(next));
        let code = ResponseCode(answer.code);
        let goes_on = [ResponseCode::SUCCESS, ResponseCode::PULL_RETRY_IMMEDIATELY].contains(&code);
        assert!(goes_on, "at {next}: {answer:?}");
        if code == ResponseCode::SUCCESS {
            came += bodies(&answer).len();
        }
        next = answer.fields.get("nextBeginOffset").unwrap().parse().unwrap();
    }
    (began.elapsed(), came)
}

#[test]
fn an_expression_that_wants_few_is_about_as_quick_as_a_pull_of_all() {
    let count = std::env::var("CUEMQ_FILTERED").map_or(FEW, |count| count.parse().unwrap());
    let builder = TestBroker::builder().config(|config| config.filters.sql = true);
    let broker = builder.start().unwrap();
    fill(broker.broker(), count);
    let mut client = Connection::to(broker.broker());
    let (mut of_all, mut of_few) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        let (time, came) = walk(&mut client, count, |next| pull_from("Many", next));
        assert_eq!(i64::try_from(came).unwrap(), count);
        of_all = of_all.min(time);
        let wanted = format!("lot = 7 AND number BETWEEN 0 AND {count}");
        let (time, came) = walk(&mut client, count, |next| pull_by(&wanted, "Many", next));
        assert_eq!(i64::try_from(came).unwrap(), count / WANTED);
        of_few = of_few.min(time);
    }
    let ratio = of_few.as_secs_f64() / of_all.as_secs_f64();
    println!(
        "{count} messages: all in {of_all:?}, those that an expression wants in {of_few:?}, {ratio:.2} times as long"
    );
    assert!(count < MANY || ratio <= 3.0, "{ratio}");
    broker.stop().unwrap();
}
