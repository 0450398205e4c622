use std::collections::BTreeSet;

use crate::{cloudwatch, progress::say, stack, tools::root, world::World};

pub async fn every_metric_that_is_watched_has_been_written(world: &World) {
    let emitted = cloudwatch::emitted(&world.emulator).await;
    assert!(emitted.iter().all(|datum| datum.namespace == stack::NAME), "a metric is in another namespace");
    let emitted: BTreeSet<_> = emitted.into_iter().map(|datum| datum.name).collect();
    let dashboard = format!("{}-us-east-1", stack::NAME);
    let mut watched: BTreeSet<_> =
        cloudwatch::shown(&world.emulator, &dashboard, stack::NAME).await.into_iter().collect();
    assert!(watched.len() > 10, "the dashboard shows only {watched:?}");
    let alarms = cloudwatch::alarms(&world.emulator, stack::NAME).await;
    watched.extend(alarms.into_iter().filter(|alarm| alarm.namespace == stack::NAME).map(|alarm| alarm.metric));
    let missing: Vec<_> = watched.difference(&emitted).collect();
    assert!(missing.is_empty(), "no function has written {missing:?}");
    let also: Vec<_> = emitted.difference(&watched).collect();
    say(&format!("{} metrics are watched, all of them were written; also written: {also:?}", watched.len()));
}

/// Hands the emulator what CloudWatch would have read out of the logs, and for AWS's own metrics one value at the threshold.
pub async fn every_alarm_rings_and_is_in_the_runbook(world: &World) {
    let runbook = std::fs::read_to_string(root().join("docs/runbook.md")).unwrap();
    let alarms = cloudwatch::alarms(&world.emulator, stack::NAME).await;
    let names = [
        "ReceiverFunctionName",
        "RedriveFunctionName",
        "SyncFunctionName",
        "PublisherFunctionName",
        "ForwarderFunctionName",
    ];
    let mut known: Vec<_> = names.iter().map(|name| world.output(name).to_owned()).collect();
    for name in [
        "FallbackQueueUrl",
        "DeadLetterQueueUrl",
        "PublishFailuresQueueUrl",
        "ForwardQueueUrl",
        "ForwardDeadLetterQueueUrl",
    ] {
        known.extend(world.output(name).rsplit('/').next().map(str::to_owned));
    }
    known.extend([stack::NAME.to_owned(), "v1".to_owned()]);
    for alarm in alarms.iter().filter(|alarm| alarm.namespace != stack::NAME) {
        for (name, value) in &alarm.dimensions {
            // No output has the schedule's group, whose name is made of the stack's.
            let is_group = name == "ScheduleGroup" && value.starts_with(&format!("{}-ScheduleGroup", stack::NAME));
            assert!(is_group || known.contains(value), "{}: there is no {name} {value}", alarm.name);
        }
        cloudwatch::put(&world.emulator, &alarm.namespace, &alarm.metric, &alarm.dimensions, alarm.threshold).await;
    }
    for datum in cloudwatch::emitted(&world.emulator).await.iter().filter(|datum| datum.dimensions.is_empty()) {
        cloudwatch::put(&world.emulator, &datum.namespace, &datum.name, &datum.dimensions, datum.value).await;
    }
    let ringing = cloudwatch::alarms(&world.emulator, stack::NAME).await;
    for alarm in &ringing {
        // The schedule has run all the time.
        let fires = alarm.name != "sync-not-running";
        assert_eq!(alarm.state == "ALARM", fires, "{} is {}", alarm.name, alarm.state);
        assert!(runbook.contains(&format!("\n## {}\n", alarm.name)), "{} is not in the runbook", alarm.name);
        assert!(alarm.description.contains(&format!("docs/runbook.md, {}.", alarm.name)), "{}", alarm.description);
    }
    assert!(ringing.len() >= 19, "there are only {} alarms", ringing.len());
    say(&format!(
        "{} alarms have rung, each for a metric that there is, and with a section in the runbook; sync-not-running has not",
        ringing.len() - 1
    ));
}
