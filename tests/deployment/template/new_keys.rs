//! A new key gets from the event bus to sync through a queue, so that a burst of events neither takes the receiver's concurrency nor floods
//! the provider with calls.

use serde_json::{Value, json};

use crate::reader;

/// The resources between the event bus and sync; a stack without lines has none of them.
const RESOURCES: [&str; 5] =
    ["NewKeyRule", "NewKeyQueue", "NewKeyQueuePolicy", "NewKeyMapping", "ScheduleDeadLetterQueuePolicy"];

/// Returns the faults of a template.
fn judge(template: &str) -> Vec<&'static str> {
    let template = reader::read(template);
    let of = |name: &str| &template["Resources"][name]["Properties"];
    let seconds = |value: &Value| value.as_u64().expect("a whole number of seconds");
    let queue_arn = json!({"!GetAtt": "NewKeyQueue.Arn"});
    let (rule, queue, mapping) = (of("NewKeyRule"), of("NewKeyQueue"), of("NewKeyMapping"));
    let mut faults = Vec::new();
    if rule["Targets"].as_array().is_none_or(|targets| targets.len() != 1 || targets[0]["Arn"] != queue_arn) {
        faults.push("the queue is not the only target of the rule");
    }
    if mapping["EventSourceArn"] != queue_arn || mapping["FunctionName"] != json!({"!Ref": "SyncFunction"}) {
        faults.push("the queue does not call sync");
    }
    if mapping["BatchSize"] != 1 {
        faults.push("sync cannot read more than one message at a time");
    }
    if mapping["ScalingConfig"]["MaximumConcurrency"] != 2 {
        faults.push("a burst may take the receiver's concurrency");
    }
    if seconds(&queue["VisibilityTimeout"]) < 6 * seconds(&of("SyncFunction")["Timeout"]) {
        faults.push("a message may be received again while sync works on it");
    }
    let dead_letters = json!({"deadLetterTargetArn": {"!GetAtt": "ScheduleDeadLetterQueue.Arn"}, "maxReceiveCount": 3});
    if queue["RedrivePolicy"] != dead_letters {
        faults.push("a message that cannot be read is retried forever");
    }
    if RESOURCES.iter().any(|name| template["Resources"][name]["Condition"] != "HasLines") {
        faults.push("a stack without lines has some of the resources");
    }
    faults
}

#[test]
fn a_new_key_reaches_sync_through_a_queue_two_at_a_time() {
    assert_eq!(judge(crate::TEMPLATE), [""; 0]);
    for (before, after) in [
        ("          Arn: !GetAtt NewKeyQueue.Arn\n", "          Arn: !GetAtt SyncFunction.Arn\n"),
        ("      FunctionName: !Ref SyncFunction\n", "      FunctionName: !Ref RedriveFunction\n"),
        (
            "      FunctionName: !Ref SyncFunction\n      BatchSize: 1\n",
            "      FunctionName: !Ref SyncFunction\n      BatchSize: 2\n",
        ),
        (
            "      # The minimum. A new account has 10 executions for all its functions.\n      ScalingConfig:\n        MaximumConcurrency: 2\n",
            "",
        ),
        ("      VisibilityTimeout: 720\n", "      VisibilityTimeout: 719\n"),
        ("        maxReceiveCount: 3\n", "        maxReceiveCount: 1000\n"),
        (
            "    Type: AWS::Lambda::EventSourceMapping\n    Condition: HasLines\n",
            "    Type: AWS::Lambda::EventSourceMapping\n",
        ),
    ] {
        assert!(crate::TEMPLATE.contains(before), "{before}");
        assert_eq!(judge(&crate::TEMPLATE.replacen(before, after, 1)).len(), 1, "{after}");
    }
}
