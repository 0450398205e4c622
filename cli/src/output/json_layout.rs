//! Lays out JSON that somebody else has written as it stands: numbers keep their digits, members their order.

use std::fmt::Write;

use super::text::is_command;

/// Deeper levels are not indented any further, or a body of brackets alone would fill the memory.
const DEEPEST: usize = 32;

/// On one line, with nothing between the tokens.
pub fn compact(json: &str) -> String {
    lay_out(json, false)
}

/// A line for each value.
pub fn pretty(json: &str) -> String {
    lay_out(json, true)
}

fn lay_out(json: &str, on_lines: bool) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut depth, mut opened) = (0_usize, false);
    let (mut in_text, mut escaped) = (false, false);
    let line = |out: &mut String, depth: usize| {
        if on_lines {
            out.push('\n');
            out.push_str(&"  ".repeat(depth.min(DEEPEST)));
        }
    };
    for character in json.chars() {
        if in_text {
            in_text = escaped || character != '"';
            escaped = !escaped && character == '\\';
            if is_command(character) {
                // JSON allows them as they are; a terminal would obey them. Writing to a text cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            } else {
                out.push(character);
            }
            continue;
        }
        match character {
            ' ' | '\t' | '\n' | '\r' => continue,
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                if !opened {
                    line(&mut out, depth);
                }
            }
            _ if opened => line(&mut out, depth),
            _ => {}
        }
        out.push(character);
        opened = matches!(character, '{' | '[');
        match character {
            '{' | '[' => depth += 1,
            ',' => line(&mut out, depth),
            ':' if on_lines => out.push(' '),
            '"' => in_text = true,
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_value_gets_a_line_and_stays_as_it_is() {
        let json = "{ \"b\":1e+2,\"a\" : [ ],\n\"c\":[12345678901234567890123, {\"d\":\"{ \\\"x\\\\\" }],\"b\":{}}";
        let expected = r#"{
  "b": 1e+2,
  "a": [],
  "c": [
    12345678901234567890123,
    {
      "d": "{ \"x\\"
    }
  ],
  "b": {}
}"#;
        assert_eq!(pretty(json), expected);
        assert_eq!(compact(json), r#"{"b":1e+2,"a":[],"c":[12345678901234567890123,{"d":"{ \"x\\"}],"b":{}}"#);
    }

    #[test]
    fn nothing_in_a_text_reaches_the_terminal_as_a_command() {
        assert_eq!(compact("[\"a\u{7f}b\u{9b}2J\"]"), r#"["a\u007fb\u009b2J"]"#);
    }

    #[test]
    fn depth_does_not_blow_up() {
        let json = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(pretty(&json).len() < 20_000_000);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..4).prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn both_layouts_mean_the_same(value in any_json()) {
            let json = serde_json::to_string_pretty(&value).unwrap();
            for laid_out in [pretty(&json), compact(&json)] {
                prop_assert_eq!(serde_json::from_str::<Value>(&laid_out).unwrap(), value.clone());
            }
            prop_assert_eq!(compact(&json).lines().count(), 1);
        }
    }
}
