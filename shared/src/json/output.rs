//! JSON that every reader can read: jq 1.6, Python, Node, a terminal and a browser.
//!
//! RFC 8259 lets a string contain control characters above U+001F, characters that change the direction of text, and half
//! surrogate pairs. Terminals obey the first, people are misled by the second, and jq refuses the third.

use std::{fmt::Write as _, io};

use serde::Serialize;
use serde_json::{
    Serializer,
    ser::Formatter,
    value::{RawValue, to_raw_value},
};

use super::tokens::{TokenKind, is_low_surrogate, tokens, utf16_unit};

/// Maximum depth of embedded JSON; a deeper body becomes a string. jq 1.6 reads 256 levels, and the surrounding output
/// needs some.
const MAX_DEPTH: usize = 200;

/// Maximum length of a number written as a number, in bytes. Python reads integers of at most 4,300 digits.
const MAX_NUMBER: usize = 4_300;

/// Maximum number of indented levels. Without it, the indentation of a body of brackets would fill the memory.
const MAX_INDENT: usize = 32;

/// Returns whether a character is written as an escape: a control character (C0, DEL, C1), one that changes the direction
/// of text, a line or paragraph separator, or one that SQS refuses.
pub fn needs_escape(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            | '\u{fffe}' | '\u{ffff}')
}

/// Writes a text as a JSON string, quotes included.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ => push(&mut out, character),
        }
    }
    out.push('"');
    out
}

/// Serializes a value as JSON on one line. Embedded raw JSON is written as [`embedded`] does.
///
/// # Errors
/// Fails when the value cannot be serialized.
pub fn to_string(value: &(impl Serialize + ?Sized)) -> serde_json::Result<String> {
    let mut json = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut json, Escaping))?;
    String::from_utf8(json).map_err(serde::ser::Error::custom)
}

/// Returns a JSON text as raw JSON on one line, to embed it in other JSON. It becomes a JSON string when it is not JSON, is
/// nested deeper than 200 levels, or has a number of more than 4,300 bytes.
pub fn embedded(json: &str) -> Box<RawValue> {
    if is_readable(json)
        && let Ok(raw) = RawValue::from_string(compact(json))
    {
        return raw;
    }
    // A text always serializes; the type cannot express it.
    let Ok(raw) = RawValue::from_string(quoted(json)).or_else(|_| to_raw_value(json)) else {
        unreachable!("a text serializes")
    };
    raw
}

/// Writes a JSON text on one line, with nothing between the tokens. Digits of numbers and order of members are kept.
pub fn compact(json: &str) -> String {
    lay_out(json, false)
}

/// Writes a JSON text with a line for each value. Digits of numbers and order of members are kept.
pub fn pretty(json: &str) -> String {
    lay_out(json, true)
}

/// A serde_json formatter that escapes as [`quoted`] does.
struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if !fragment.chars().any(needs_escape) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut out = String::with_capacity(fragment.len());
        fragment.chars().for_each(|character| push(&mut out, character));
        writer.write_all(out.as_bytes())
    }

    fn write_raw_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        writer.write_all(embedded(fragment).get().as_bytes())
    }
}

fn is_readable(json: &str) -> bool {
    tokens(json)
        .all(|token| token.depth <= MAX_DEPTH && (token.kind != TokenKind::Literal || token.span.len() <= MAX_NUMBER))
}

fn lay_out(json: &str, on_lines: bool) -> String {
    let mut out = String::with_capacity(json.len());
    let new_line = |out: &mut String, depth: usize| {
        if on_lines {
            out.push('\n');
            out.push_str(&"  ".repeat(depth.min(MAX_INDENT)));
        }
    };
    let mut opened = false;
    for token in tokens(json) {
        match token.kind {
            TokenKind::Close if opened => {}
            TokenKind::Close => new_line(&mut out, token.depth.saturating_sub(1)),
            _ if opened => new_line(&mut out, token.depth),
            _ => {}
        }
        opened = token.kind == TokenKind::Open;
        push_token(&mut out, &json[token.span]);
        match token.kind {
            TokenKind::Comma => new_line(&mut out, token.depth),
            TokenKind::Colon if on_lines => out.push(' '),
            _ => {}
        }
    }
    out
}

/// Writes a token unchanged, except for characters that need an escape and escapes of half a surrogate pair.
fn push_token(out: &mut String, token: &str) {
    let mut rest = token.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            push(out, character);
            continue;
        }
        let escape = rest.as_str();
        match surrogate(escape) {
            Some(0xd800..=0xdbff)
                if escape
                    .get(5..)
                    .and_then(|rest| rest.strip_prefix('\\'))
                    .and_then(surrogate)
                    .is_some_and(is_low_surrogate) =>
            {
                out.push('\\');
                out.push_str(&escape[..11]);
                rest = escape[11..].chars();
            }
            Some(_) => {
                out.push_str("\\ufffd");
                rest = escape[5..].chars();
            }
            None => {
                out.push('\\');
                // Consumed with its backslash, so that an escaped backslash does not start another escape.
                if let Some(character) = rest.next() {
                    push(out, character);
                }
            }
        }
    }
}

fn push(out: &mut String, character: char) {
    if needs_escape(character) {
        // Writing to a `String` cannot fail.
        let _ = write!(out, "\\u{:04x}", u32::from(character));
    } else {
        out.push(character);
    }
}

/// Returns the half of a surrogate pair that an escape encodes, given the text after its backslash.
fn surrogate(escape: &str) -> Option<u16> {
    utf16_unit(escape).filter(|unit| matches!(unit, 0xd800..=0xdfff))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const DANGEROUS: &str = "\u{0}\u{1f}\u{7f}\u{80}\u{9b}\u{9f}\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}\u{fffe}\u{ffff}";
    const HARMLESS: &str = " ~\u{a0}\u{61b}\u{61d}\u{200d}\u{2010}\u{2027}\u{202f}\u{2065}\u{206a}\u{10ffff}שלום";

    #[test]
    fn line_breaks_tabs_quotes_and_backslashes_have_the_short_escapes() {
        assert_eq!(quoted("\n\r\t\"\\"), r#""\n\r\t\"\\""#);
    }

    #[test]
    fn characters_that_a_reader_obeys_are_escaped_in_every_output_and_others_stay() {
        let text = format!("{DANGEROUS}{HARMLESS}");
        // serde_json itself escapes C0 controls; the raw value holds the others unescaped.
        let raw = RawValue::from_string(serde_json::to_string(&text).unwrap()).unwrap();
        let outputs = [quoted(&text), to_string(&text).unwrap(), to_string(&raw).unwrap(), compact(raw.get())];
        for output in outputs {
            assert!(!output.chars().any(|character| DANGEROUS.contains(character)), "{output}");
            assert!(output.ends_with(&format!("{HARMLESS}\"")), "{output}");
            assert!(output.contains("\\u0000\\u001f\\u007f\\u0080\\u009b"), "{output}");
            assert_eq!(serde_json::from_str::<String>(&output).unwrap(), text);
        }
    }

    #[test]
    fn half_surrogates_become_the_replacement_character_and_pairs_stay() {
        for (json, expected) in [
            (r#""a\ud83d""#, r#""a\ufffd""#),
            (r#""\ud83d\ud83d\udE00\uDE00""#, r#""\ufffd\ud83d\udE00\ufffd""#),
            (r#""\ud83d\u0041""#, r#""\ufffd\u0041""#),
            (r#""\ud83d\\ude00""#, r#""\ufffd\\ude00""#),
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#"{"\udc00":1}"#, r#"{"\ufffd":1}"#),
        ] {
            assert_eq!(compact(json), expected);
            assert_eq!(embedded(json).get(), expected);
            assert!(serde_json::from_str::<Value>(expected).is_ok(), "{expected}");
        }
    }

    #[test]
    fn a_body_that_a_reader_would_refuse_is_embedded_as_text() {
        let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(embedded(&nested(200)).get(), nested(200));
        assert_eq!(embedded(&nested(201)).get(), format!("\"{}\"", nested(201)));
        let number = |digits: usize| "9".repeat(digits);
        assert_eq!(embedded(&number(4_300)).get(), number(4_300));
        assert_eq!(embedded(&number(4_301)).get(), format!("\"{}\"", number(4_301)));
        assert_eq!(embedded("{\"a\":\u{9b}").get(), r#""{\"a\":\u009b""#);
        let raw = RawValue::from_string(nested(201)).unwrap();
        assert_eq!(to_string(&json!({"body": 1})).unwrap(), r#"{"body":1}"#);
        assert_eq!(to_string(&[raw]).unwrap(), format!("[\"{}\"]", nested(201)));
    }

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
            proptest::char::any().prop_map(|character| Value::from(character.to_string())),
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
        fn all_outputs_mean_the_same(value in any_json()) {
            let json = serde_json::to_string_pretty(&value).unwrap();
            for output in [pretty(&json), compact(&json), to_string(&value).unwrap(), embedded(&json).get().to_owned()] {
                prop_assert_eq!(serde_json::from_str::<Value>(&output).unwrap(), value.clone());
                prop_assert!(!output.chars().any(|character| character != '\n' && needs_escape(character)));
            }
            prop_assert_eq!(compact(&json).lines().count(), 1);
        }

        #[test]
        fn any_text_can_be_embedded_and_laid_out(text in ".*|(\\[|\\]|[{}\",:a1\\\\u ]|\\\\ud8){0,40}") {
            prop_assert!(serde_json::from_str::<Value>(embedded(&text).get()).is_ok());
            prop_assert_eq!(serde_json::from_str::<String>(&quoted(&text)).unwrap(), &text[..]);
            prop_assert!(!pretty(&text).chars().any(|character| character != '\n' && needs_escape(character)));
        }
    }
}
