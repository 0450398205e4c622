//! A walk over JSON text that keeps every byte where it is.
//!
//! Bodies are stored as they were received, so what is looked for in them is found by position, not by decoding and
//! writing anew: that would reorder, round and merge. All functions expect text that [`is_json`] has accepted; the walk
//! is one pass without recursion, however deeply the text is nested.

use std::{fmt, ops::Range};

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::value::RawValue;

/// Whether the text is JSON (RFC 8259).
pub(crate) fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

/// What begins at some place of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// The name of a member of an object.
    Key,
    /// A string that is a value.
    Text,
    /// A number, `true`, `false` or `null`.
    Literal,
}

/// A scalar of the text, in the order of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scalar {
    pub(crate) token: Token,
    /// Its bytes, quotes included.
    pub(crate) span: Range<usize>,
    /// How many objects and arrays it is inside of.
    pub(crate) depth: usize,
}

/// All keys, strings and literals of the text.
pub(crate) fn scalars(text: &str) -> Vec<Scalar> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let (mut at, mut depth) = (0, 0);
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b'"' => {
                at = string_end(bytes, start);
                let token = match bytes.get(skip_blanks(bytes, at)) {
                    Some(b':') => Token::Key,
                    _ => Token::Text,
                };
                found.push(Scalar { token, span: start..at, depth });
                continue;
            }
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => {}
            _ => {
                at = literal_end(bytes, start);
                found.push(Scalar { token: Token::Literal, span: start..at, depth });
                continue;
            }
        }
        at += 1;
    }
    found
}

/// Where the value of the key that ends at `key_end` starts.
pub(crate) fn value_start(text: &str, key_end: usize) -> usize {
    let bytes = text.as_bytes();
    let colon = skip_blanks(bytes, key_end);
    skip_blanks(bytes, colon + 1)
}

/// Where the value that starts at `start` ends, be it a scalar, an object or an array.
pub(crate) fn value_end(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut at = start;
    loop {
        match bytes.get(at) {
            Some(b'{' | b'[') => {
                depth += 1;
                at += 1;
            }
            Some(b'}' | b']') => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            Some(b'"') => at = string_end(bytes, at),
            Some(b',' | b':' | b' ' | b'\t' | b'\n' | b'\r') => at += 1,
            Some(_) => at = literal_end(bytes, at),
            None => return bytes.len(),
        }
        if depth == 0 {
            return at;
        }
    }
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn literal_end(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
    start + rest.iter().position(ends).unwrap_or(rest.len())
}

fn skip_blanks(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    start + rest.iter().position(|byte| !blank(byte)).unwrap_or(rest.len())
}

/// The text that a JSON string stands for; what is not Unicode in it (half a surrogate pair) becomes U+FFFD.
/// `None` when the token is not a string.
pub(crate) fn unquote(token: &str) -> Option<String> {
    // Read as bytes: serde_json refuses half a surrogate pair in a `String`, though JSON allows one.
    struct Lossy(String);

    impl<'de> Deserialize<'de> for Lossy {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Bytes;
            impl Visitor<'_> for Bytes {
                type Value = Lossy;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a string")
                }

                fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Lossy, E> {
                    Ok(Lossy(String::from_utf8_lossy(bytes).into_owned()))
                }
            }
            deserializer.deserialize_bytes(Bytes)
        }
    }

    if !token.starts_with('"') {
        return None;
    }
    serde_json::from_str::<Lossy>(token).ok().map(|Lossy(text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<(Token, &str, usize)> {
        assert!(is_json(text));
        scalars(text).into_iter().map(|found| (found.token, &text[found.span], found.depth)).collect()
    }

    #[test]
    fn keys_strings_and_literals_are_told_apart() {
        assert_eq!(
            shown(r#" { "a" : [ "b", -1.5e3 , {"c\"":null}] , "d":"e:" } "#),
            [
                (Token::Key, r#""a""#, 1),
                (Token::Text, r#""b""#, 2),
                (Token::Literal, "-1.5e3", 2),
                (Token::Key, r#""c\"""#, 3),
                (Token::Literal, "null", 3),
                (Token::Key, r#""d""#, 1),
                (Token::Text, r#""e:""#, 1),
            ]
        );
    }

    #[test]
    fn a_value_ends_where_its_last_bracket_closes() {
        let text = r#"{"a": {"b":["]}"]} ,"c": 12}"#;
        let start = value_start(text, 4);
        assert_eq!(&text[start..value_end(text, start)], r#"{"b":["]}"]}"#);
        let start = value_start(text, 23);
        assert_eq!(&text[start..value_end(text, start)], "12");
    }

    #[test]
    fn nesting_has_no_limit() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(shown(&deep), [(Token::Literal, "1", 100_000)]);
    }

    #[test]
    fn escapes_are_read_also_those_of_half_a_character() {
        assert_eq!(unquote(r#""\u0061\n""#).unwrap(), "a\n");
        assert_eq!(unquote(r#""a\ud800b""#).unwrap().chars().next(), Some('a'));
        assert_eq!(unquote("12"), None);
    }
}
