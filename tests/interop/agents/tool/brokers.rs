//! The broker's settings and figures, and the name server's.

use crate::scene::{Scene, until};
use crate::{Table, is, one};

pub(crate) async fn play(scene: &Scene, table: &mut Table) {
    settings(scene, table).await;
    figures(scene, table).await;
    name_server(scene, table).await;
}

async fn settings(scene: &Scene, table: &mut Table) {
    let (admin, address) = (&scene.admin, scene.address.as_str());
    table
        .check("get_broker_config", async {
            let settings = admin.get_broker_config(address).await?;
            is(settings.get("brokerName") == Some(&scene.broker_name), settings.len())
        })
        .await;
    table
        .check("update_broker_config", async {
            admin
                .update_broker_config(address, &one("maxMessageSize", "2097152"))
                .await?;
            let settings = admin.get_broker_config(address).await?;
            admin
                .update_broker_config(address, &one("maxMessageSize", "4194304"))
                .await?;
            is(
                settings.get("maxMessageSize").map(String::as_str) == Some("2097152"),
                settings.get("maxMessageSize"),
            )
        })
        .await;
    table
        .check("clean_unused_topic", async {
            admin.clean_unused_topic(address).await?;
            is(true, "done")
        })
        .await;
    table
        .check("clean_expired_consumer_queue", async {
            admin.clean_expired_consumer_queue(address).await?;
            is(true, "done")
        })
        .await;
    table
        .check("delete_expired_commit_log", async {
            admin.delete_expired_commit_log(address).await?;
            is(true, "done")
        })
        .await;
}

async fn figures(scene: &Scene, table: &mut Table) {
    let (admin, address) = (&scene.admin, scene.address.as_str());
    table
        .check("fetch_broker_runtime_stats", async {
            let figures = admin.fetch_broker_runtime_stats(address).await?;
            let put = figures
                .get("msgPutTotalTodayNow")
                .and_then(|put| put.parse::<u64>().ok());
            is(put.is_some_and(|put| put >= 10), put)
        })
        .await;
    table
        .check("view_broker_stats_data", async {
            // a Java broker looks at its figures every 10 s, and knows a name once it has looked
            let data = until("the topic's figures", async || {
                admin
                    .view_broker_stats_data(address, "TOPIC_PUT_NUMS", &scene.topic)
                    .await
                    .ok()
            });
            is(true, data.await?)
        })
        .await;
}

async fn name_server(scene: &Scene, table: &mut Table) {
    let admin = &scene.admin;
    table
        .check("wipe_write_perm_of_broker", async {
            let topics = admin.wipe_write_perm_of_broker(&scene.broker_name).await?;
            let route = admin.examine_topic_route_info(&scene.topic).await?;
            is(topics > 0 && route.publish.is_empty(), topics)
        })
        .await;
    table
        .check("add_write_perm_of_broker", async {
            let topics = admin.add_write_perm_of_broker(&scene.broker_name).await?;
            let route = admin.examine_topic_route_info(&scene.topic).await?;
            is(topics > 0 && route.publish.len() == 1, topics)
        })
        .await;
    table
        .check("kv_config", async {
            admin.put_kv_config("tools", "key", "value").await?;
            let set = admin.get_kv_config("tools", "key").await?;
            let all = admin.get_kv_list_by_namespace("tools").await?;
            admin.delete_kv_config("tools", "key").await?;
            let gone = admin.get_kv_config("tools", "key").await?;
            is(
                (set.as_deref(), gone.as_ref(), all.len()) == (Some("value"), None, 1),
                (&set, &gone, &all),
            )
        })
        .await;
    table
        .check("name_server_config", async {
            admin
                .update_name_server_config(&one("orderMessageEnable", "true"))
                .await?;
            let all = admin.get_name_server_config().await?;
            let set = all
                .values()
                .next()
                .and_then(|settings| settings.get("orderMessageEnable"));
            is(set.map(String::as_str) == Some("true"), set)
        })
        .await;
}
