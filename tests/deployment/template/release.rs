//! The version of the receiver that the API calls. SAM publishes another version when the template's text or the code changes, but not
//! when a parameter has another value: the alias would keep the old one for ever.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::reader;

/// Of the function itself and not of its versions.
const NOT_OF_A_VERSION: [&str; 3] = ["ReservedConcurrentExecutions", "VersionDescription", "Events"];

/// The names that a value refers to, directly or by a condition.
fn names(value: &Value, template: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match (name.as_str(), member) {
                    ("!Ref", Value::String(target)) => {
                        found.insert(target.clone());
                    }
                    ("!Sub", Value::String(text)) => {
                        found.extend(
                            text.split("${").skip(1).filter_map(|part| part.split('}').next()).map(str::to_owned),
                        );
                    }
                    ("!If", Value::Array(parts)) => {
                        let condition = parts[0].as_str().expect("the name of a condition");
                        names(&template["Conditions"][condition], template, found);
                        parts.iter().skip(1).for_each(|part| names(part, template, found));
                    }
                    _ => names(member, template, found),
                }
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| names(element, template, found)),
        _ => {}
    }
}

/// The parameters that change the receiver and not the description of its version; nothing when all is well.
fn judge(template: &str) -> Vec<String> {
    let template = reader::read(template);
    let receiver = &template["Resources"]["ReceiverFunction"]["Properties"];
    assert_eq!(
        (&receiver["AutoPublishAlias"], &receiver["AutoPublishAliasAllProperties"]),
        (&Value::from("live"), &Value::from(true))
    );
    let (mut needed, mut described) = (BTreeSet::new(), BTreeSet::new());
    for properties in [receiver, &template["Globals"]["Function"]] {
        let properties = properties.as_object().expect("properties").iter();
        for (_, property) in properties.filter(|(name, _)| !NOT_OF_A_VERSION.contains(&name.as_str())) {
            names(property, &template, &mut needed);
        }
    }
    names(&receiver["VersionDescription"], &template, &mut described);
    let is_parameter = |name: &&String| template["Parameters"].get(name.as_str()).is_some();
    needed.difference(&described).filter(is_parameter).cloned().collect()
}

#[test]
fn a_parameter_that_changes_the_receiver_publishes_a_version() {
    assert_eq!(judge(crate::TEMPLATE), [""; 0]);
    for line in [
        "          - !Ref UnlistedSource\n",
        "          - !Ref KmsKeyArn\n",
        "          - !Join [',', !Ref AllowedSourceIps]\n",
    ] {
        assert!(crate::TEMPLATE.contains(line), "{line}");
        assert_eq!(judge(&crate::TEMPLATE.replacen(line, "", 1)).len(), 1, "{line}");
    }
}

/// Returns the length of the version's description with this number of the longest blocks, and with the longest of every other value.
fn longest_description(blocks: usize, kms_key: &str) -> usize {
    let template = reader::read(crate::TEMPLATE);
    let parts = &template["Resources"]["ReceiverFunction"]["Properties"]["VersionDescription"]["!Join"];
    let longest = |part: &Value| match part["!Ref"].as_str() {
        None => vec!["255.255.255.255/32"; blocks].join(separator(part)).len(),
        Some("KmsKeyArn") => kms_key.len(),
        Some("DedupWindowSeconds") => "86400".len(),
        Some("RetentionDays") => "3650".len(),
        Some(name) => {
            let allowed = template["Parameters"][name]["AllowedValues"].as_array().expect("a parameter with a list");
            allowed.iter().filter_map(Value::as_str).map(str::len).max().expect("a value")
        }
    };
    let values = parts[1].as_array().expect("values");
    values.iter().map(longest).sum::<usize>() + values.len() - 1
}

/// Returns the separator of the list of blocks.
fn separator(part: &Value) -> &str {
    assert_eq!(part["!Join"][1]["!Ref"], "AllowedSourceIps");
    part["!Join"][0].as_str().expect("a separator")
}

#[test]
fn the_documented_number_of_blocks_fits_into_the_version_s_description() {
    let key = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/12345678-1234-1234-1234-123456789012";
    for (blocks, kms_key) in [(11, ""), (7, key)] {
        assert!(longest_description(blocks, kms_key) <= 256, "{blocks}");
        assert!(longest_description(blocks + 1, kms_key) > 256, "{blocks}: more fit");
    }
    let documented = "Maximum 11 blocks, or 7 with KmsKeyArn.";
    let template = reader::read(crate::TEMPLATE);
    let description = template["Parameters"]["AllowedSourceIps"]["Description"].as_str().expect("a description");
    assert!(description.contains(documented), "{description}");
}
