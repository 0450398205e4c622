//! Updates in place. When certain properties change, CloudFormation replaces a resource, or generates another secret. These tests pin the
//! properties of resources that hold data or have an address, at their first values.

use serde_json::{Value, json};

use crate::reader;

/// The resources that no version may replace, with the properties that cause a replacement, and their values. A missing property is null.
fn kept() -> [(&'static str, Value); 12] {
    let keys = json!([{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]);
    let table =
        json!({"TableName": null, "KeySchema": keys, "LocalSecondaryIndexes": null, "ImportSourceSpecification": null});
    let queue = json!({"QueueName": null, "FifoQueue": null});
    let fifo = json!({"QueueName": null, "FifoQueue": true});
    let generated = |length: u32| {
        let excluded = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
        let text = json!({"PasswordLength": length, "ExcludePunctuation": true, "ExcludeCharacters": excluded});
        json!({"Name": null, "GenerateSecretString": text})
    };
    [
        ("EventsTable", table.clone()),
        ("SealedTable", table),
        ("FallbackQueue", queue.clone()),
        ("DeadLetterQueue", queue.clone()),
        ("PublishFailuresQueue", queue.clone()),
        ("ScheduleDeadLetterQueue", queue),
        ("ForwardQueue", fifo.clone()),
        ("ForwardDeadLetterQueue", fifo),
        ("EventBus", json!({"Name": {"!Ref": "AWS::StackName"}})),
        ("WebhookToken", generated(48)),
        ("FingerprintKey", generated(48)),
        ("ForwardSecretSeed", generated(44)),
    ]
}

/// Returns the faults, one per line.
fn judge(template: &str) -> Vec<String> {
    let template = reader::read(template);
    let resources = &template["Resources"];
    let mut faults = Vec::new();
    for (name, properties) in kept() {
        for (property, value) in properties.as_object().expect("properties") {
            if resources[name]["Properties"][property] != *value {
                faults.push(format!("{name}: {property}"));
            }
        }
    }
    let stream = &resources["EventsTable"]["Properties"]["StreamSpecification"];
    if *stream != json!({"StreamViewType": "NEW_IMAGE"}) {
        faults.push("EventsTable: StreamSpecification".to_owned());
    }
    faults
}

#[test]
fn no_version_replaces_resources_that_hold_data_or_have_an_address() {
    assert_eq!(judge(crate::TEMPLATE), [""; 0]);
    for (before, after) in [
        ("      BillingMode: PAY_PER_REQUEST\n", "      TableName: events\n"),
        (
            "      KeySchema:\n        - { AttributeName: pk, KeyType: HASH }",
            "      KeySchema:\n        - { AttributeName: id, KeyType: HASH }",
        ),
        ("      FifoQueue: true\n", ""),
        ("      Name: !Ref AWS::StackName\n      Description: Every new event", "      Description: Every new event"),
        ("        PasswordLength: 48\n", "        PasswordLength: 64\n"),
        ("StreamViewType: NEW_IMAGE", "StreamViewType: KEYS_ONLY"),
    ] {
        assert!(crate::TEMPLATE.contains(before), "{before}");
        assert_eq!(judge(&crate::TEMPLATE.replacen(before, after, 1)).len(), 1, "{after}");
    }
}
