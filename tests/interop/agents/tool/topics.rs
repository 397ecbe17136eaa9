//! Topics, queues and messages.

use std::collections::BTreeSet;

use crate::scene::{MESSAGES, Scene, until, with_queues};
use crate::{Table, is};

pub(crate) async fn play(scene: &Scene, table: &mut Table) {
    configured(scene, table).await;
    listed(scene, table).await;
    queues(scene, table).await;
    messages(scene, table).await;
}

async fn configured(scene: &Scene, table: &mut Table) {
    let (admin, address) = (&scene.admin, scene.address.as_str());
    let made = format!("Made-{}", scene.topic);
    table
        .check("create_and_update_topic", async {
            admin.create_and_update_topic(address, &with_queues(&made, 3)).await?;
            let route = until("its route", async || admin.examine_topic_route_info(&made).await.ok()).await?;
            is(
                (route.publish.len(), route.subscribe.len()) == (3, 3),
                route.publish.len(),
            )
        })
        .await;
    table
        .check("update_topic_perm", async {
            admin.update_topic_perm(address, &made, 4).await?;
            let read_only = until("no queue to write", async || {
                let route = admin.examine_topic_route_info(&made).await.ok()?;
                route.publish.is_empty().then_some(route.subscribe.len())
            });
            is(read_only.await? == 3, "3 queues to read and none to write")
        })
        .await;
    table
        .check("examine_topic_config", async {
            let config = admin.examine_topic_config(address, &made).await?;
            is((config.perm, config.write_queue_nums) == (4, 3), config)
        })
        .await;
    table
        .check("all_topic_config", async {
            let all = admin.all_topic_config(address).await?;
            is(all.get(&made).is_some_and(|config| config.perm == 4), all.len())
        })
        .await;
    table
        .check("delete_topic", async {
            admin.delete_topic(&made, &scene.cluster).await?;
            let gone = until("its end", async || admin.examine_topic_route_info(&made).await.err());
            is(true, gone.await?.to_string())
        })
        .await;
    table
        .check("delete_topic_in_broker", async {
            admin.create_and_update_topic(address, &with_queues(&made, 1)).await?;
            admin.delete_topic_in_broker(address, &made).await?;
            is(
                !admin.all_topic_config(address).await?.contains_key(&made),
                "it is in the broker's table no more",
            )
        })
        .await;
    table
        .check("order_conf", async {
            let before = admin.get_order_conf(&scene.topic).await?;
            admin.create_or_update_order_conf(&scene.topic, "broker-a:4").await?;
            let set = admin.get_order_conf(&scene.topic).await?;
            admin.delete_order_conf(&scene.topic).await?;
            let after = admin.get_order_conf(&scene.topic).await?;
            is(
                (before.as_ref(), set.as_deref(), after.as_ref()) == (None, Some("broker-a:4"), None),
                (&before, &set, &after),
            )
        })
        .await;
}

async fn listed(scene: &Scene, table: &mut Table) {
    let admin = &scene.admin;
    table
        .check("fetch_all_topic_list", async {
            let topics = admin.fetch_all_topic_list().await?;
            is(topics.contains(&scene.topic), topics.len())
        })
        .await;
    table
        .check("fetch_topics_by_cluster", async {
            let topics = admin.fetch_topics_by_cluster(&scene.cluster).await?;
            is(topics.contains(&scene.topic), topics.len())
        })
        .await;
    table
        .check("fetch_system_topic_list", async {
            let topics = admin.fetch_system_topic_list().await?;
            is(
                topics.contains(&scene.cluster) && topics.contains(&scene.broker_name),
                &topics,
            )
        })
        .await;
    table
        .check("fetch_system_topic_list_of_broker", async {
            let topics = admin.fetch_system_topic_list_of_broker(&scene.address).await?;
            is(topics.contains("SELF_TEST_TOPIC"), &topics)
        })
        .await;
    table
        .check("fetch_unit_topic_list", async {
            let topics = admin.fetch_unit_topic_list().await?;
            is(topics.is_empty(), &topics)
        })
        .await;
    table
        .check("fetch_unit_sub_topic_list", async {
            let (all, without) = (
                admin.fetch_unit_sub_topic_list(false).await?,
                admin.fetch_unit_sub_topic_list(true).await?,
            );
            is(all.is_empty() && without.is_empty(), (all, without))
        })
        .await;
}

async fn queues(scene: &Scene, table: &mut Table) {
    let (admin, queue, many) = (&scene.admin, &scene.queue, i64::try_from(MESSAGES).unwrap_or_default());
    table
        .check("examine_topic_stats", async {
            let stats = admin.examine_topic_stats(&scene.topic).await?;
            is(
                stats
                    .offset_table
                    .get(queue)
                    .is_some_and(|queue| (queue.min_offset, queue.max_offset) == (0, many)),
                stats,
            )
        })
        .await;
    table
        .check("min_offset", async { is(admin.min_offset(queue).await? == 0, 0) })
        .await;
    table
        .check("max_offset", async { is(admin.max_offset(queue).await? == many, many) })
        .await;
    table
        .check("search_offset", async {
            let (first, end) = (
                admin.search_offset(queue, 0).await?,
                admin.search_offset(queue, i64::MAX / 2).await?,
            );
            is(first == 0 && end >= many - 1, (first, end))
        })
        .await;
    table
        .check("earliest_msg_store_time", async {
            let time = admin.earliest_msg_store_time(queue).await?;
            is(time.is_some_and(|time| time > 1_600_000_000_000), time)
        })
        .await;
    table
        .check("query_consume_queue", async {
            let part = admin
                .query_consume_queue(&scene.address, queue, 2, 5, Some(&scene.group))
                .await?;
            let units = part.queue_data.as_ref().map_or(0, Vec::len);
            is(
                (part.max_queue_index, units) == (many, 5) && part.subscription_data.is_some(),
                (part.max_queue_index, units),
            )
        })
        .await;
}

async fn messages(scene: &Scene, table: &mut Table) {
    let admin = &scene.admin;
    let (Some(first), Some(last)) = (scene.sent.first(), scene.sent.last()) else {
        return;
    };
    table
        .check("view_message_at", async {
            let message = admin.view_message_at(&first.offset_msg_id).await?;
            is(message.body() == &b"0"[..], message.body())
        })
        .await;
    table
        .check("view_message", async {
            let by_unique = until("it by its unique id", async || {
                admin.view_message(&scene.topic, &last.msg_id).await.ok()?
            })
            .await?;
            let by_place = admin
                .view_message(&scene.topic, &last.offset_msg_id)
                .await?
                .ok_or("nothing by its place")?;
            is(
                by_unique.queue_offset() == 9 && by_place.queue_offset() == 9,
                by_place.body(),
            )
        })
        .await;
    table
        .check("query_message_by_unique_key", async {
            let found = admin
                .query_message_by_unique_key(&scene.topic, &first.msg_id)
                .await?
                .ok_or("nothing")?;
            let none = admin
                .query_message_by_unique_key(&scene.topic, "7F0000010000000000000000FFFFFFFF")
                .await?;
            is(found.body() == &b"0"[..] && none.is_none(), found.body())
        })
        .await;
    table
        .check("query_message", async {
            let shared = admin.query_message(&scene.topic, "shared", 64, 0, i64::MAX).await?;
            let own = admin.query_message(&scene.topic, "key-3", 64, 0, i64::MAX).await?;
            let bodies: BTreeSet<_> = shared.iter().map(|message| message.body().to_vec()).collect();
            is(bodies.len() == MESSAGES && own.len() == 1, (bodies.len(), own.len()))
        })
        .await;
}
