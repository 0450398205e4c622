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
