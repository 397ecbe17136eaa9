//! Groups, their offsets, and who is connected.

use cuemq_net::body::SubscriptionGroupConfig;

use crate::scene::{MESSAGES, Scene};
use crate::{Table, is};

pub(crate) async fn play(scene: &Scene, table: &mut Table) {
    connected(scene, table).await;
    consuming(scene, table).await;
    configured(scene, table).await;
    offsets(scene, table).await;
    clones(scene, table).await;
    reset(scene, table).await;
}

async fn connected(scene: &Scene, table: &mut Table) {
    let (admin, address, group) = (&scene.admin, scene.address.as_str(), scene.group.as_str());
    let own = scene.client.client_id();
    table
        .check("examine_consumer_connection_info", async {
            let online = admin.examine_consumer_connection_info(group).await?;
            let is_own = online
                .connections
                .first()
                .is_some_and(|connection| connection.client_id == own);
            is(
                is_own && online.subscription_table.contains_key(&scene.topic),
                online.connections,
            )
        })
        .await;
    table
        .check("examine_producer_connection_info", async {
            let online = admin
                .examine_producer_connection_info(address, &scene.producer_group())
                .await?;
            is(
                online
                    .connections
                    .first()
                    .is_some_and(|connection| connection.client_id == own),
                online.connections,
            )
        })
        .await;
    table
        .check("get_all_producer_info", async {
            let all = admin.get_all_producer_info(address).await?;
            is(
                all.data.contains_key(&scene.producer_group()),
                all.data.keys().collect::<Vec<_>>(),
            )
        })
        .await;
    table
        .check("get_consumer_running_info", async {
            let info = admin.get_consumer_running_info(address, group, own, false).await?;
            let text = String::from_utf8_lossy(&info).into_owned();
            is(text.contains(&scene.topic) && text.contains("PROP_CONSUME_TYPE"), text)
        })
        .await;
    table
        .check("consume_message_directly", async {
            let first = scene.sent.first().ok_or("nothing was sent")?;
            let told = admin
                .consume_message_directly(address, group, own, &first.offset_msg_id)
                .await?;
            let text = String::from_utf8_lossy(&told).into_owned();
            is(text.contains("CR_SUCCESS"), text)
        })
        .await;
}

/// Who consumes what, as a broker knows it.
async fn consuming(scene: &Scene, table: &mut Table) {
    let (admin, address, group) = (&scene.admin, scene.address.as_str(), scene.group.as_str());
    table
        .check("query_topic_consume_by_who", async {
            let groups = admin.query_topic_consume_by_who(&scene.topic).await?;
            is(groups.contains(group), groups)
        })
        .await;
    table
        .check("query_topics_by_consumer", async {
            let topics = admin.query_topics_by_consumer(address, group).await?;
            is(topics.contains(&scene.topic), topics)
        })
        .await;
    table
        .check("query_subscription", async {
            let subscription = admin.query_subscription(address, group, &scene.topic).await?;
            is(
                subscription
                    .as_ref()
                    .is_some_and(|subscription| subscription.sub_string == "a"),
                subscription,
            )
        })
        .await;
}

async fn configured(scene: &Scene, table: &mut Table) {
    let (admin, address) = (&scene.admin, scene.address.as_str());
    let made = format!("made-{}", scene.group);
    table
        .check("create_and_update_subscription_group", async {
            let group = SubscriptionGroupConfig {
                group_name: made.clone(),
                retry_max_times: 3,
                ..SubscriptionGroupConfig::default()
            };
            admin.create_and_update_subscription_group(address, &group).await?;
            is(
                admin
                    .examine_subscription_group_config(address, &made)
                    .await?
                    .retry_max_times
                    == 3,
                made.as_str(),
            )
        })
        .await;
    table
        .check("all_subscription_groups", async {
            let all = admin.all_subscription_groups(address).await?;
            is(all.contains_key(&made) && all.contains_key(&scene.group), all.len())
        })
        .await;
    table
        .check("delete_subscription_group", async {
            admin.delete_subscription_group(address, &made, true).await?;
            is(
                !admin.all_subscription_groups(address).await?.contains_key(&made),
                "it is gone",
            )
        })
        .await;
}

async fn offsets(scene: &Scene, table: &mut Table) {
    let (admin, address, group) = (&scene.admin, scene.address.as_str(), scene.group.as_str());
    let (queue, many) = (&scene.queue, i64::try_from(MESSAGES).unwrap_or_default());
    table
        .check("examine_consume_stats", async {
            let stats = admin.examine_consume_stats(group, None).await?;
            let told = stats
                .offset_table
                .get(queue)
                .map(|queue| (queue.consumer_offset, queue.broker_offset));
            is(told == Some((many, many)), told)
        })
        .await;
    table
        .check("fetch_consume_stats_in_broker", async {
            let stats = admin.fetch_consume_stats_in_broker(address, false).await?;
            is(
                stats.consume_stats_list.iter().any(|groups| groups.contains_key(group)),
                stats.consume_stats_list.len(),
            )
        })
        .await;
    table
        .check("query_consume_time_span", async {
            let spans = admin.query_consume_time_span(&scene.topic, group).await?;
            is(
                spans
                    .first()
                    .is_some_and(|span| span.message_queue == *queue && span.min_time_stamp > 0),
                spans,
            )
        })
        .await;
    table
        .check("get_consume_status", async {
            let status = admin.get_consume_status(&scene.topic, group, None).await?;
            is(status.values().any(|queues| queues.get(queue) == Some(&many)), status)
        })
        .await;
}

/// A group that gets the offsets of another one.
async fn clones(scene: &Scene, table: &mut Table) {
    let (admin, address, group) = (&scene.admin, scene.address.as_str(), scene.group.as_str());
    let (queue, many) = (&scene.queue, i64::try_from(MESSAGES).unwrap_or_default());
    let clone = format!("clone-{group}");
    table
        .check("clone_group_offset", async {
            // 5.3.3 takes offsets of groups alone that it has
            let group_name = clone.clone();
            let config = SubscriptionGroupConfig {
                group_name,
                ..SubscriptionGroupConfig::default()
            };
            admin.create_and_update_subscription_group(address, &config).await?;
            admin.clone_group_offset(group, &clone, &scene.topic, true).await?;
            // the least of the others is the clone's
            let least = admin.query_correction_offset(address, &scene.topic, group, &[]).await?;
            is(least.get(&queue.queue_id) == Some(&many), least)
        })
        .await;
    table
        .check("update_consume_offset", async {
            admin.update_consume_offset(&clone, queue, 4).await?;
            let least = admin.query_correction_offset(address, &scene.topic, group, &[]).await?;
            is(least.get(&queue.queue_id) == Some(&4), least)
        })
        .await;
    table
        .check("query_correction_offset", async {
            let but_the_clone = [clone.as_str()];
            let least = admin
                .query_correction_offset(address, &scene.topic, group, &but_the_clone)
                .await?;
            is(least.get(&queue.queue_id) != Some(&4), least)
        })
        .await;
}

/// Last, since the group's messages come again.
async fn reset(scene: &Scene, table: &mut Table) {
    let (admin, queue) = (&scene.admin, &scene.queue);
    table
        .check("reset_offset_by_timestamp", async {
            let before = scene.came.load(std::sync::atomic::Ordering::SeqCst);
            let put = admin
                .reset_offset_by_timestamp(&scene.topic, &scene.group, 0, true)
                .await?;
            let came = scene.until_consumed(before + MESSAGES).await?;
            is(put.get(queue) == Some(&0), (put.len(), came))
        })
        .await;
    table
        .check("errors_have_the_servers_words", async {
            let refused = admin
                .examine_producer_connection_info(&scene.address, "nobody")
                .await
                .err()
                .ok_or("it is let pass")?;
            let is_whole = refused.trouble().address.is_some() && refused.code().is_some();
            is(is_whole && refused.to_string().contains("nobody"), refused.to_string())
        })
        .await;
}
