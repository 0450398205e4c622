//! The documents that list what the template has: parameters, outputs, alarms, and the parameters that commands set.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use serde_json::{Value, json};

use crate::{conditions::references, reader};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).expect("a document of the project")
}

/// README.md and everything in docs/, by name.
fn documents() -> BTreeMap<String, String> {
    let mut documents = BTreeMap::from([("README.md".to_owned(), read("README.md"))]);
    for file in fs::read_dir(root().join("docs")).expect("docs/") {
        let name = file.expect("a file").file_name().into_string().expect("a name in UTF-8");
        if name.ends_with(".md") {
            let name = format!("docs/{name}");
            documents.insert(name.clone(), read(&name));
        }
    }
    documents
}

/// The texts in backquotes of the first cell of each row of the tables in a section of a document, each with the row's second cell.
fn rows<'a>(document: &'a str, heading: &str) -> Vec<(&'a str, &'a str)> {
    let (_, section) = document.split_once(&format!("\n## {heading}\n")).expect("the section");
    let section = section.split("\n## ").next().unwrap_or(section);
    let mut rows = Vec::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let mut cells = row.trim_matches('|').split(" | ");
        let (first, second) = (cells.next().expect("a cell"), cells.next().expect("a second cell"));
        rows.extend(first.split('`').skip(1).step_by(2).map(|name| (name, second.trim())));
    }
    rows
}

fn names(members: &Value) -> BTreeSet<&str> {
    members.as_object().into_iter().flat_map(|members| members.keys()).map(String::as_str).collect()
}

#[test]
fn every_parameter_is_documented_with_its_default() {
    let (template, document) = (reader::read(crate::TEMPLATE), read("docs/configuration.md"));
    let documented: BTreeMap<_, _> = rows(&document, "Parameters").into_iter().collect();
    let parameters = template["Parameters"].as_object().expect("parameters");
    for (name, parameter) in parameters {
        let default = match parameter["Default"].as_str() {
            Some("") => "empty".to_owned(),
            Some(text) => format!("`{text}`"),
            None => panic!("{name} has no default text"),
        };
        assert_eq!(documented.get(name.as_str()), Some(&default.as_str()), "{name} in docs/configuration.md");
    }
    for name in documented.keys() {
        let known = parameters.contains_key(*name) || !name.chars().all(char::is_alphanumeric);
        assert!(known || ["hold", "refuse"].contains(name), "there is no parameter {name}");
    }
}

#[test]
fn every_output_is_documented() {
    let (template, document) = (reader::read(crate::TEMPLATE), read("docs/configuration.md"));
    let documented: BTreeSet<_> = rows(&document, "Outputs").into_iter().map(|(name, _)| name).collect();
    assert_eq!(documented, names(&template["Outputs"]));
}

#[test]
fn every_alarm_is_listed_and_has_a_section_in_the_runbook() {
    let template = reader::read(crate::TEMPLATE);
    let (metrics, runbook) = (read("docs/metrics.md"), read("docs/runbook.md"));
    let resources = template["Resources"].as_object().expect("resources").values();
    let alarms: BTreeSet<_> = resources
        .filter_map(|resource| resource["Properties"]["AlarmName"]["!Sub"].as_str())
        .map(|name| name.trim_start_matches("${AWS::StackName}-"))
        .collect();
    let listed: BTreeSet<_> = rows(&metrics, "Alarms").into_iter().map(|(name, _)| name).collect();
    assert_eq!(listed.difference(&alarms).collect::<Vec<_>>(), [&""; 0]);
    assert_eq!(alarms.difference(&listed).collect::<Vec<_>>(), [&""; 0]);
    for alarm in alarms {
        assert!(runbook.contains(&format!("\n## {alarm}\n")), "docs/runbook.md has no section {alarm}");
    }
}

#[test]
fn every_metric_that_a_function_writes_is_listed() {
    let document = read("docs/metrics.md");
    let (table, _) = document.split_once("\n## Alarms\n").expect("the section");
    let listed: BTreeSet<_> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .flat_map(|line| line.split(" | ").next().unwrap_or(line).split('`').skip(1).step_by(2))
        .collect();
    let sources = ["receiver", "redrive", "publisher", "forwarder", "sync"]
        .map(|function| format!("functions/{function}/src/metrics.rs"));
    let sources = sources.iter().map(String::as_str).chain(["lambda/src/metrics.rs"]).map(read);
    let sources: String =
        sources.map(|source| source.split("#[cfg(test)]").next().unwrap_or(&source).to_owned()).collect();
    let written: BTreeSet<_> = sources.split("::named(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(listed, written);
}

#[test]
fn a_shell_can_parse_the_shell_blocks_of_the_documents() {
    for (name, document) in documents() {
        for block in document.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            let mut script = String::new();
            // A placeholder such as <table> is a word.
            let mut rest = block;
            while let Some((before, after)) = rest.split_once('<') {
                script.push_str(before);
                match after.split_once('>').filter(|(word, _)| word.chars().all(|c| c.is_alphanumeric() || c == ' ')) {
                    Some((_, after)) => {
                        script.push_str("word");
                        rest = after;
                    }
                    None => {
                        script.push('<');
                        rest = after;
                    }
                }
            }
            script.push_str(rest);
            let parsed = Command::new("bash").args(["-n", "-c", &script]).output().expect("bash runs");
            assert!(parsed.status.success(), "{name}: {}{block}", String::from_utf8_lossy(&parsed.stderr));
        }
    }
}

/// The members of an entry on the event bus that a rule can match, as in docs/handing-on.md.
const OF_AN_ENTRY: [&str; 3] = ["source", "detail-type", "detail"];

#[test]
fn templates_in_the_documents_are_whole_and_their_rules_match_our_entries() {
    let mut rules = 0;
    for (name, document) in documents() {
        let members: BTreeSet<_> = if name == "docs/handing-on.md" {
            rows(&document, "The event bus").into_iter().map(|(member, _)| member).collect()
        } else {
            BTreeSet::new()
        };
        for block in document.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            let template = reader::read(block);
            let is_there = |target: &str| {
                ["Resources", "Parameters"].iter().any(|section| template[section].get(target).is_some())
            };
            references(&template["Resources"], &[], &mut |target, _| {
                assert!(is_there(target), "{name}: a template refers to {target}, which it does not have");
            });
            let resources = template["Resources"].as_object().expect("resources").values();
            for rule in resources.filter(|resource| resource["Type"] == "AWS::Events::Rule") {
                check_rule(&name, &rule["Properties"], &members);
                rules += 1;
            }
        }
    }
    assert_eq!(rules, 3, "a queue, and two chats");
}

#[test]
fn the_rule_for_new_keys_matches_entries_of_the_bus() {
    let document = read("docs/handing-on.md");
    let members = rows(&document, "The event bus").into_iter().map(|(member, _)| member).collect();
    let rule = &reader::read(crate::TEMPLATE)["Resources"]["NewKeyRule"]["Properties"];
    check_rule("template.yaml", rule, &members);
    let detail = &rule["EventPattern"]["detail"];
    assert_eq!((&detail["has_api_key"], &detail["origin"]), (&json!([true]), &json!(["delivered"])));
    assert_eq!(detail["replayed"], json!([{ "exists": false }]));
    // An event without a usable number.
    assert_eq!(detail["entity"], json!([{ "anything-but": ["whatsapp#-"] }]));
    let transformer = &rule["Targets"][0]["InputTransformer"];
    assert_eq!(transformer["InputTemplate"], r#"{"action":"lines","entity":<entity>}"#);
    assert_eq!(transformer["InputPathsMap"], json!({ "entity": "$.detail.entity" }));
}

/// Checks that a rule matches only members that an entry has; `members` are the members of an entry's detail.
fn check_rule(name: &str, properties: &Value, members: &BTreeSet<&str>) {
    assert_eq!(properties["EventPattern"]["source"][0], "partner-webhook", "{name}");
    assert!(names(&properties["EventPattern"]).iter().all(|part| OF_AN_ENTRY.contains(part)), "{name}");
    let paths = properties["Targets"][0]["InputTransformer"]["InputPathsMap"].as_object();
    let paths = paths.into_iter().flatten().filter_map(|(_, path)| path.as_str()?.strip_prefix("$.detail."));
    for member in names(&properties["EventPattern"]["detail"]).into_iter().chain(paths) {
        assert!(members.contains(member), "{name}: an entry has no {member}");
    }
}

/// The actions that change nothing and show no secret, on resources that hold none.
const READING: [&str; 5] = [
    "cloudformation:DescribeStacks",
    "dynamodb:BatchGetItem",
    "dynamodb:GetItem",
    "dynamodb:Query",
    "sqs:GetQueueAttributes",
];

/// The statements of a policy in the documents, each with its actions and its resources. All of them allow.
fn statements(policy: &str) -> Vec<(Vec<String>, Vec<String>)> {
    let policy: Value = serde_json::from_str(&read(policy)).expect("JSON");
    let each = |value: &Value| -> Vec<String> {
        let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        values.iter().map(|value| value.as_str().expect("a text").to_owned()).collect()
    };
    let statements = policy["Statement"].as_array().expect("statements").iter();
    statements
        .map(|statement| {
            assert_eq!(statement["Effect"], "Allow");
            (each(&statement["Action"]), each(&statement["Resource"]))
        })
        .collect()
}

/// The maximum size of a managed policy, without white space.
const MOST_OF_A_POLICY: usize = 6_144;

#[test]
fn the_policy_for_people_who_deploy_covers_the_services_and_the_secrets_of_the_template() {
    const FILE: &str = "docs/deploy-policy.json";
    let statements = statements(FILE);
    assert!(read(FILE).split_whitespace().map(str::len).sum::<usize>() <= MOST_OF_A_POLICY);
    let services: BTreeSet<&str> =
        statements.iter().flat_map(|(actions, _)| actions).map(|action| action.split(':').next().unwrap()).collect();
    let resources = reader::read(crate::TEMPLATE)["Resources"].as_object().expect("resources").clone();
    let mut secrets = BTreeSet::from(["partner-credentials".to_owned()]);
    for (name, resource) in &resources {
        let kind = resource["Type"].as_str().expect("a type");
        let service = match kind.split("::").collect::<Vec<_>>()[..] {
            ["AWS", "Serverless", "Api"] => "apigateway".to_owned(),
            ["AWS", "Serverless", _] | ["Custom", _] => "lambda".to_owned(),
            ["AWS", service, _] => service.to_lowercase(),
            _ => panic!("{name}: {kind}"),
        };
        assert!(services.contains(service.as_str()), "{name}: {service}");
        if kind == "AWS::SecretsManager::Secret" {
            secrets.insert(name.clone());
        }
    }
    let arns = statements.iter().flat_map(|(_, resources)| resources);
    let named = arns.filter_map(|arn| arn.strip_prefix("arn:aws:secretsmanager:*:*:secret:")?.strip_suffix("-*"));
    assert_eq!(named.map(str::to_owned).collect::<BTreeSet<_>>(), secrets);
}

#[test]
fn the_policy_for_readers_only_reads_and_names_existing_resources() {
    let template = reader::read(crate::TEMPLATE);
    for (actions, resources) in statements("docs/read-only-policy.json") {
        for action in actions {
            assert!(READING.contains(&action.as_str()), "{action}");
        }
        for resource in resources {
            // arn:aws:<service>:<region>:<account>:<type/><stack>-<logical id>-<random part>
            let name = resource.rsplit_once("partner-webhook").expect("the stack's name").1;
            let logical = name.trim_start_matches('-').split('-').next().expect("a name");
            let is_stack = name == "/*";
            assert!(is_stack || template["Resources"].get(logical).is_some(), "{resource}");
            assert!(!["SealedTable", "FallbackQueue", "DeadLetterQueue"].contains(&logical), "{resource}");
        }
    }
}

#[test]
fn commands_in_the_documents_set_parameters_that_there_are_to_values_that_they_take() {
    let template = reader::read(crate::TEMPLATE);
    let mut seen = 0;
    for (name, document) in documents() {
        for line in document.lines().filter(|line| line.contains("--parameter-overrides ")) {
            let (_, overrides) = line.split_once("--parameter-overrides ").expect("it is there");
            let pairs =
                overrides.split_whitespace().map_while(|pair| pair.trim_end_matches(['`', '.', ',']).split_once('='));
            for (parameter, value) in pairs.filter(|(parameter, _)| *parameter != "Name") {
                let known = &template["Parameters"][parameter];
                assert!(known.is_object(), "{name}: there is no parameter {parameter}");
                let allowed = known["AllowedValues"].as_array();
                let taken = allowed.is_none_or(|allowed| allowed.iter().any(|allowed| allowed == value));
                assert!(taken, "{name}: {parameter} does not take {value}");
                seen += 1;
            }
        }
    }
    assert!(seen > 5, "only {seen} were found");
}

#[test]
fn links_between_documents_lead_to_files_and_sections_that_there_are() {
    let anchor = |heading: &str| {
        let kept =
            heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>();
        kept.trim().replace(' ', "-")
    };
    let mut all = documents();
    for name in ["ARCHITECTURE.md", "CHANGELOG.md"] {
        all.insert(name.to_owned(), read(name));
    }
    for (name, document) in &all {
        let folder = Path::new(name).parent().expect("a folder");
        for link in document.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, section) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { root().join(name) } else { root().join(folder).join(file) };
            assert!(target.exists(), "{name}: {link} does not exist");
            if !section.is_empty() {
                let text = fs::read_to_string(&target).expect("a document");
                let there = text
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .any(|line| anchor(line.trim_start_matches('#')) == section);
                assert!(there, "{name}: {link} has no such section");
            }
        }
    }
}

#[test]
fn the_front_page_is_short() {
    assert!(read("README.md").lines().count() <= 150);
}
