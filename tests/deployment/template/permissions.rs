//! The permissions that a template gives, each written as a line, and what keeps them from being seen as such.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// The permissions in a template.
#[derive(Debug, Default)]
pub struct Permissions {
    /// Each with the resource that gives it, as in permissions.txt.
    pub given: BTreeSet<(String, String)>,
    /// Those of them that reach further than what they name: they need a reason.
    pub wide: BTreeSet<(String, String)>,
    /// Permissions that are too wide, or cannot be read.
    pub faults: Vec<String>,
}

/// Characters that match more than one name.
const WILDCARDS: [char; 2] = ['*', '?'];
/// The members that a policy statement may have. Others, such as `NotAction`, give permissions that they do not name.
const OF_A_STATEMENT: [&str; 6] = ["Sid", "Effect", "Principal", "Action", "Resource", "Condition"];
/// Members that give permissions without a statement.
const WITHOUT_STATEMENT: [&str; 3] = ["ManagedPolicies", "Connectors", "ServiceConnectors"];
/// Types of resources that give permissions without a statement.
const GIVING: [&str; 2] = ["AWS::IAM::UserToGroupAddition", "AWS::Serverless::Connector"];
/// Sources of events for which SAM makes a role, unless there is a `RoleArn`.
const SCHEDULES: [&str; 2] = ["Schedule", "ScheduleV2"];

impl Permissions {
    /// Finds all of them in a template.
    pub fn of(template: &Value) -> Self {
        let mut found = Self::default();
        let nothing = Map::new();
        let resources = template["Resources"].as_object().unwrap_or(&nothing);
        if resources.is_empty() {
            found.faults.push("the template has no resources".to_owned());
        }
        for (name, resource) in resources {
            found.check_resource(name, resource, resources);
            found.look_into(name, resource);
        }
        found
    }

    fn fault(&mut self, resource: &str, fault: &str) {
        self.faults.push(format!("{resource}: {fault}"));
    }

    /// Permissions that come without a statement: from the type of a resource, or from SAM.
    fn check_resource(&mut self, name: &str, resource: &Value, all: &Map<String, Value>) {
        let properties = &resource["Properties"];
        match resource["Type"].as_str().unwrap_or_default() {
            giving if GIVING.contains(&giving) => {
                self.fault(name, &format!("{giving} gives a permission without a line"))
            }
            "AWS::Serverless::Function" => {
                let role = properties["Role"]["!GetAtt"].as_str().and_then(|role| role.strip_suffix(".Arn"));
                if role.and_then(|role| all.get(role)).is_none_or(|role| role["Type"] != "AWS::IAM::Role") {
                    self.fault(name, "SAM makes a role for a function that does not name one of the template's");
                }
                if properties.get("Policies").is_some() {
                    self.fault(name, "Policies of a function: write them into its role");
                }
                for (event, source) in properties["Events"].as_object().into_iter().flatten() {
                    let schedule = source["Type"].as_str().is_some_and(|kind| SCHEDULES.contains(&kind));
                    if schedule && source["Properties"]["RoleArn"]["!GetAtt"].is_null() {
                        self.fault(name, &format!("SAM makes a role for the schedule {event}, which names none"));
                    }
                }
            }
            "AWS::IAM::Role" => {
                let known = ["Description", "AssumeRolePolicyDocument", "ManagedPolicyArns", "Policies"];
                for member in properties.as_object().into_iter().flat_map(Map::keys) {
                    if !known.contains(&member.as_str()) {
                        self.fault(name, &format!("a role's {member} is not looked at by this test"));
                    }
                }
            }
            "AWS::Lambda::Permission" => self.read_permission(name, properties),
            _ => {}
        }
    }

    /// Reads a permission to call a function as the policy statement that it stands for.
    fn read_permission(&mut self, resource: &str, properties: &Value) {
        let known = ["Action", "FunctionName", "Principal", "SourceArn"];
        let members = properties.as_object();
        for member in members.into_iter().flat_map(Map::keys).filter(|member| !known.contains(&member.as_str())) {
            self.fault(resource, &format!("{member} of a permission to call a function"));
        }
        if properties["SourceArn"].is_null() {
            self.fault(resource, "a permission to call a function for anybody's resources: name one in SourceArn");
        }
        let statement = json!({
            "Effect": "Allow",
            "Principal": properties["Principal"],
            "Action": properties["Action"],
            "Resource": properties["FunctionName"],
            "Condition": { "ArnLike": { "aws:SourceArn": properties["SourceArn"] } },
        });
        self.read_statement(resource, &statement, "");
    }

    /// Finds the policy statements in a resource, wherever they stand.
    fn look_into(&mut self, resource: &str, value: &Value) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    if WITHOUT_STATEMENT.contains(&name.as_str()) {
                        self.fault(resource, &format!("{name} give permissions without a line"));
                    }
                    if name == "Statement" || name == "CustomStatements" {
                        each(member).for_each(|statement| self.read_statement(resource, statement, ""));
                    } else if name == "ManagedPolicyArns" {
                        for arn in each(member) {
                            let line = (resource.to_owned(), format!("managed policy {}", self.name(resource, arn)));
                            self.wide.insert(line.clone());
                            self.given.insert(line);
                        }
                    } else {
                        self.look_into(resource, member);
                    }
                }
            }
            Value::Array(elements) => elements.iter().for_each(|element| self.look_into(resource, element)),
            _ => {}
        }
    }

    /// `when` is the template's condition for the statement.
    fn read_statement(&mut self, resource: &str, statement: &Value, when: &str) {
        match statement["!If"].as_array().map(Vec::as_slice) {
            Some([Value::String(condition), then, other]) => {
                self.read_statement(resource, then, &format!("{when} when {condition}"));
                return self.read_statement(resource, other, &format!("{when} unless {condition}"));
            }
            _ if statement["!Ref"] == "AWS::NoValue" => return,
            _ => {}
        }
        if let Some([Value::String(condition), then, other]) =
            statement["Condition"]["!If"].as_array().map(Vec::as_slice)
        {
            for (restriction, when) in
                [(then, format!("{when} when {condition}")), (other, format!("{when} unless {condition}"))]
            {
                let mut statement = statement.clone();
                statement["Condition"] =
                    if restriction["!Ref"] == "AWS::NoValue" { Value::Null } else { restriction.clone() };
                self.read_statement(resource, &statement, &when);
            }
            return;
        }
        let members = statement.as_object().into_iter().flat_map(Map::keys);
        for member in members.filter(|member| !OF_A_STATEMENT.contains(&member.as_str())) {
            self.fault(resource, &format!("{member} in a statement"));
        }
        if statement["Effect"] != "Allow" {
            self.fault(resource, &format!("a statement with the effect {}", statement["Effect"]));
        }
        let principals = self.principals(&statement["Principal"], resource);
        let conditions = self.conditions(resource, &statement["Condition"]);
        let actions = self.names(resource, &statement["Action"]);
        for action in actions.iter().filter(|action| action.contains(WILDCARDS)) {
            self.fault(resource, &format!("an action with a wildcard: {action}"));
        }
        if actions.is_empty() {
            self.fault(resource, "a statement without actions");
        }
        let on = match &statement["Resource"] {
            // The trust in who takes a role is about the role itself.
            Value::Null => vec![String::new()],
            resources => self.names(resource, resources).iter().map(|on| format!(" on {on}")).collect(),
        };
        for principal in &principals {
            for action in &actions {
                for on in &on {
                    let line = (resource.to_owned(), format!("{principal}{action}{on}{conditions}{when}"));
                    if principal.contains(WILDCARDS) || on.contains(WILDCARDS) {
                        self.wide.insert(line.clone());
                    }
                    self.given.insert(line);
                }
            }
        }
    }

    fn principals(&mut self, principal: &Value, resource: &str) -> Vec<String> {
        match principal {
            Value::Null => vec![String::new()],
            Value::Object(kinds) => {
                let names = kinds.values().flat_map(|names| self.names(resource, names));
                names.map(|name| format!("{name}: ")).collect()
            }
            other => self.names(resource, other).iter().map(|name| format!("{name}: ")).collect(),
        }
    }

    fn conditions(&mut self, resource: &str, condition: &Value) -> String {
        let mut lines = String::new();
        for (operator, keys) in condition.as_object().into_iter().flatten() {
            for (key, values) in keys.as_object().into_iter().flatten() {
                let values: Vec<_> = each(values).map(|value| self.name(resource, value)).collect();
                let word = if lines.is_empty() { "if" } else { "and" };
                lines.push_str(&format!(" {word} {operator} {key} {}", values.join(" or ")));
            }
        }
        if lines.is_empty() && !condition.is_null() {
            self.fault(resource, &format!("the condition {condition}"));
        }
        lines
    }

    /// Names of actions, resources or principals.
    fn names(&mut self, resource: &str, names: &Value) -> Vec<String> {
        each(names).map(|name| self.name(resource, name)).collect()
    }

    /// A text, or a short form of CloudFormation's for one.
    fn name(&mut self, resource: &str, value: &Value) -> String {
        let short = value.as_object().filter(|members| members.len() == 1).and_then(|members| members.iter().next());
        match (value.as_str(), short) {
            (Some(text), _) => text.to_owned(),
            (None, Some((tag, Value::String(text)))) if ["!Ref", "!GetAtt", "!Sub"].contains(&tag.as_str()) => {
                text.clone()
            }
            _ => {
                self.fault(resource, &format!("{value} cannot be read; use !Ref, !GetAtt or !Sub"));
                value.to_string()
            }
        }
    }
}

/// The elements of a list, or the single value in place of a list.
fn each(value: &Value) -> impl Iterator<Item = &Value> {
    let (list, one) = match value {
        Value::Array(elements) => (elements.as_slice(), None),
        Value::Null => (&[][..], None),
        other => (&[][..], Some(other)),
    };
    list.iter().chain(one)
}
