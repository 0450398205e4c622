//! CloudFormation's call of sync: one run, which ends while CloudFormation still waits.

use serde_json::Value;

use crate::reader;

/// What SAM makes of the function's `EventInvokeConfig`.
const INVOKE_CONFIG: &str = "SyncFunctionEventInvokeConfig";

/// Returns the faults that would repeat a failed registration, or run it when nobody waits for it.
fn judge(template: &str) -> Vec<&'static str> {
    let template = reader::read(template);
    let resources = &template["Resources"];
    let (sync, registration) = (&resources["SyncFunction"]["Properties"], &resources["Registration"]);
    let seconds = |value: &Value| value.as_u64().expect("a whole number of seconds");
    let invoked = &sync["EventInvokeConfig"];
    let mut faults = Vec::new();
    if seconds(&invoked["MaximumRetryAttempts"]) != 0 {
        faults.push("Lambda runs a failed call again");
    }
    if !registration["DependsOn"].as_array().is_some_and(|needed| needed.iter().any(|name| name == INVOKE_CONFIG)) {
        faults.push("the registration may be called before Lambda knows that it is not to run it again");
    }
    let longest = seconds(&invoked["MaximumEventAgeInSeconds"]) + seconds(&sync["Timeout"]);
    if longest > seconds(&registration["Properties"]["ServiceTimeout"]) {
        faults.push("a call may still run when CloudFormation has given up");
    }
    faults
}

#[test]
fn the_registration_is_tried_once_and_only_while_cloudformation_waits() {
    assert_eq!(judge(crate::TEMPLATE), [""; 0]);
    for (before, after) in [
        ("ReceiverRole, SyncFunctionEventInvokeConfig]", "ReceiverRole]"),
        ("MaximumEventAgeInSeconds: 60\n", "MaximumEventAgeInSeconds: 61\n"),
        ("        MaximumRetryAttempts: 0\n        #", "        MaximumRetryAttempts: 1\n        #"),
    ] {
        assert!(crate::TEMPLATE.contains(before), "{before}");
        assert_eq!(judge(&crate::TEMPLATE.replacen(before, after, 1)).len(), 1, "{after}");
    }
}
