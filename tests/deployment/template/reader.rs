//! A CloudFormation template as JSON: a short form such as `!Ref Table` is an object with the tag as its only key.

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

/// Reads a template.
///
/// # Panics
/// Panics if it is no YAML, or has something that no template has.
pub fn read(text: &str) -> Value {
    match Yaml::load_from_str(text).as_deref() {
        Ok([document]) => json_of(document),
        other => panic!("a template is one YAML document, not {other:?}"),
    }
}

fn json_of(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(flag)) => json!(flag),
        Yaml::Value(Scalar::Integer(number)) => json!(number),
        Yaml::Value(Scalar::FloatingPoint(number)) => json!(number.into_inner()),
        Yaml::Value(Scalar::String(text)) => json!(text),
        Yaml::Sequence(elements) => elements.iter().map(json_of).collect(),
        Yaml::Mapping(members) => {
            let member = |(key, value): (&Yaml, &Yaml)| match key.as_str() {
                Some(key) => (key.to_owned(), json_of(value)),
                None => panic!("{key:?} is no name"),
            };
            members.iter().map(member).collect::<Map<_, _>>().into()
        }
        Yaml::Tagged(tag, value) => json!({ tag.to_string(): json_of(value) }),
        other => panic!("{other:?} stands in no template"),
    }
}
