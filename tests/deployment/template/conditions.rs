//! References to resources that do not always exist. CloudFormation does not create a resource that depends on one whose condition
//! is false, and linters judge some of these cases by the resources' names.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::reader;

/// A value that no condition compares with.
const ANOTHER: &str = "another value";

/// A template's conditions, and the values of parameters that matter to them.
struct Conditions<'a> {
    all: &'a Map<String, Value>,
    /// For each parameter in a condition: every literal that it is compared with, and another value.
    values: BTreeMap<String, BTreeSet<String>>,
}

type Parameters<'a> = BTreeMap<&'a str, &'a str>;

impl<'a> Conditions<'a> {
    fn of(template: &'a Value) -> Self {
        let all = template["Conditions"].as_object().expect("a template with conditions");
        let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for condition in all.values() {
            collect_values(condition, &mut values);
        }
        Self { all, values }
    }

    fn holds(&self, condition: &Value, parameters: &Parameters) -> bool {
        if let Some(name) = condition.as_str() {
            return self.holds(&self.all[name], parameters);
        }
        let (operator, operands) =
            condition.as_object().and_then(|members| members.iter().next()).expect("a condition");
        let operand = |index: usize| &operands[index];
        let all = || operands.as_array().into_iter().flatten();
        match operator.as_str() {
            "!Condition" => self.holds(operands, parameters),
            "!Not" => !self.holds(operand(0), parameters),
            "!And" => all().all(|operand| self.holds(operand, parameters)),
            "!Or" => all().any(|operand| self.holds(operand, parameters)),
            "!Equals" => {
                let parameter = operand(0)["!Ref"].as_str().expect("a condition compares a parameter with a literal");
                parameters[parameter] == operand(1).as_str().expect("a literal")
            }
            other => panic!("{other} is not known here"),
        }
    }

    /// Returns whether for some parameters all of `given` hold and `needed` does not.
    fn can_miss(&self, given: &[Value], needed: &Value) -> bool {
        let mut used = BTreeMap::new();
        for condition in given.iter().chain([needed]) {
            self.collect_used(condition, &mut used);
        }
        let mut assignments = vec![Parameters::new()];
        for name in used.keys() {
            let values = &self.values[name];
            assignments = assignments
                .into_iter()
                .flat_map(|known| {
                    values.iter().map(move |value| {
                        let mut known = known.clone();
                        known.insert(name, value);
                        known
                    })
                })
                .collect();
        }
        assignments.iter().any(|parameters| {
            given.iter().all(|condition| self.holds(condition, parameters)) && !self.holds(needed, parameters)
        })
    }

    fn collect_used(&self, condition: &Value, used: &mut BTreeMap<String, BTreeSet<String>>) {
        match condition {
            Value::String(name) => self.collect_used(&self.all[name], used),
            Value::Object(members) => {
                collect_values(condition, used);
                for operand in members.values().flat_map(|operands| match operands {
                    Value::Array(operands) => operands.as_slice(),
                    one => std::slice::from_ref(one),
                }) {
                    if operand["!Ref"].is_null()
                        && (operand.is_object() || self.all.contains_key(operand.as_str().unwrap_or_default()))
                    {
                        self.collect_used(operand, used);
                    }
                }
            }
            _ => {}
        }
    }
}

fn collect_values(condition: &Value, values: &mut BTreeMap<String, BTreeSet<String>>) {
    match condition {
        Value::Object(members) => {
            if let Some([parameter, literal]) = members.get("!Equals").and_then(Value::as_array).map(Vec::as_slice)
                && let (Some(parameter), Some(literal)) = (parameter["!Ref"].as_str(), literal.as_str())
            {
                values.entry(parameter.to_owned()).or_default().extend([literal.to_owned(), ANOTHER.to_owned()]);
            }
            members.values().for_each(|member| collect_values(member, values));
        }
        Value::Array(elements) => elements.iter().for_each(|element| collect_values(element, values)),
        _ => {}
    }
}

/// Calls `found` with the name of each resource that a value refers to, and the conditions under which it does.
pub fn references(value: &Value, when: &[Value], found: &mut impl FnMut(&str, &[Value])) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match (name.as_str(), member) {
                    ("!If", Value::Array(parts)) => {
                        let [condition, then, otherwise] = parts.as_slice() else { panic!("!If has three parts") };
                        references(then, &[when, std::slice::from_ref(condition)].concat(), found);
                        let not = serde_json::json!({ "!Not": [condition] });
                        references(otherwise, &[when, &[not]].concat(), found);
                    }
                    ("!Ref" | "!GetAtt", Value::String(target)) => {
                        found(target.split('.').next().unwrap_or(target), when)
                    }
                    ("!Sub", Value::String(text)) => variables(text).for_each(|target| found(target, when)),
                    ("!Sub", Value::Array(parts)) => {
                        let [Value::String(text), own] = parts.as_slice() else { panic!("!Sub has two parts") };
                        variables(text).filter(|name| own.get(name).is_none()).for_each(|target| found(target, when));
                        references(own, when, found);
                    }
                    ("DependsOn", Value::String(target)) => found(target, when),
                    ("DependsOn", Value::Array(targets)) => {
                        targets.iter().filter_map(Value::as_str).for_each(|target| found(target, when));
                    }
                    _ => references(member, when, found),
                }
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| references(element, when, found)),
        _ => {}
    }
}

/// The names of the resources and parameters in a text that is substituted.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split("${").skip(1).filter(|part| !part.starts_with('!'));
    parts.filter_map(|part| part.split(['.', '}']).next())
}

/// The references that may point to a resource that does not exist, one a line.
fn judge(template: &str) -> Vec<String> {
    let template = reader::read(template);
    let conditions = Conditions::of(&template);
    let resources = template["Resources"].as_object().expect("resources");
    let mut faults = Vec::new();
    for section in ["Resources", "Outputs"] {
        for (name, item) in template[section].as_object().into_iter().flatten() {
            let when: Vec<_> =
                item.get("Condition").filter(|condition| condition.is_string()).cloned().into_iter().collect();
            references(item, &when, &mut |target, when| {
                let needed = resources.get(target).and_then(|resource| resource.get("Condition"));
                if needed.is_some_and(|needed| conditions.can_miss(when, needed)) {
                    faults.push(format!("{name} refers to {target}, which may not exist"));
                }
            });
        }
    }
    faults
}

#[test]
fn no_resource_refers_to_one_that_may_not_exist() {
    assert_eq!(judge(crate::TEMPLATE), [""; 0]);
}

#[test]
fn a_reference_to_a_resource_that_may_not_exist_is_found_wherever_it_stands() {
    const SAMPLE: &str = "
Conditions:
  Logs: !Not [!Equals [!Ref Level, none]]
  Role: !Equals [!Ref Level, role]
Resources:
  Api:
    Type: A
    Properties:
      Log: !If [Logs, !GetAtt Group.Arn, !Ref AWS::NoValue]
  Group:
    Type: B
    Condition: Logs
    Properties:
      Tag: !If [Role, !Ref Account, !Ref AWS::NoValue]
      Text: !Sub ['${Part}${Api.Arn}', { Part: !If [Role, !Sub '${Account}', ''] }]
  Account:
    Type: C
    Condition: Role
    DependsOn: Group
Outputs:
  Group:
    Condition: Logs
    Value: !Sub '${Group.Arn}${!Group}'
";
    assert_eq!(judge(SAMPLE), [""; 0]);
    for (before, after) in [
        ("    Type: A\n", "    Type: A\n    DependsOn: Account\n"),
        ("    Type: A\n", "    Type: A\n    DependsOn: [Group]\n"),
        ("    Type: B\n", "    Type: B\n    DependsOn: Account\n"),
        ("!If [Logs, !GetAtt Group.Arn, !Ref AWS::NoValue]", "!GetAtt Group.Arn"),
        ("!If [Logs, !GetAtt Group.Arn, !Ref AWS::NoValue]", "!If [Logs, !Ref AWS::NoValue, !Sub '${Group.Arn}']"),
        ("!If [Role, !Ref Account, !Ref AWS::NoValue]", "!Ref Account"),
        ("!If [Role, !Sub '${Account}', '']", "!Sub '${Account}'"),
        ("${Part}${Api.Arn}", "${Part}${Account.Arn}"),
        ("    Condition: Logs\n    Value", "    Value"),
    ] {
        assert!(SAMPLE.contains(before), "{before}");
        assert_eq!(judge(&SAMPLE.replacen(before, after, 1)).len(), 1, "{after}");
    }
}
