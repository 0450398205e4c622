//! A walk over JSON text that keeps every byte where it is.
//!
//! Bodies are stored as they were received, so what is looked for in them is found by position, not by decoding and
//! writing anew: that would reorder, round and merge. All functions expect text that [`is_json`] has accepted; the walk
//! is one pass without recursion, however deeply the text is nested.

use std::{fmt, ops::Range};

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::value::RawValue;

/// Returns a document without the byte order mark in front of it, if it has one (RFC 8259, section 8.1, lets a reader ignore it).
pub fn without_byte_order_mark(document: &[u8]) -> &[u8] {
    document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document)
}

/// Whether the text is JSON (RFC 8259).
pub fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

/// The kinds of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// `{` or `[`.
    Open,
    /// `}` or `]`.
    Close,
    /// `,`.
    Comma,
    /// `:`.
    Colon,
    /// A string that is the name of a member.
    Name,
    /// A string that is a value.
    Text,
    /// A number, `true`, `false` or `null`.
    Literal,
}

/// One token of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The kind.
    pub kind: TokenKind,
    /// Its bytes, quotes included.
    pub span: Range<usize>,
    /// Number of objects and arrays that it is in; a bracket is in the object or array that it opens or closes.
    pub depth: usize,
}

impl Token {
    pub(crate) fn is_scalar(&self) -> bool {
        matches!(self.kind, TokenKind::Name | TokenKind::Text | TokenKind::Literal)
    }
}

/// Returns the tokens of a text in their order. The text between them is white space.
///
/// A text that is not JSON has tokens too: a string without an end goes to the end of the text, and a literal to the next
/// character that cannot be in one.
pub fn tokens(text: &str) -> impl Iterator<Item = Token> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    std::iter::from_fn(move || {
        let start = skip_blanks(bytes, at);
        let kind = match bytes.get(start)? {
            b'{' | b'[' => TokenKind::Open,
            b'}' | b']' => TokenKind::Close,
            b',' => TokenKind::Comma,
            b':' => TokenKind::Colon,
            b'"' => TokenKind::Text,
            _ => TokenKind::Literal,
        };
        at = start + 1;
        let mut token = Token { kind, span: start..at, depth };
        match kind {
            TokenKind::Open => {
                depth += 1;
                token.depth = depth;
            }
            TokenKind::Close => depth = depth.saturating_sub(1),
            TokenKind::Text => {
                at = string_end(bytes, start);
                if bytes.get(skip_blanks(bytes, at)) == Some(&b':') {
                    token.kind = TokenKind::Name;
                }
            }
            TokenKind::Literal => at = literal_end(bytes, start),
            _ => {}
        }
        token.span.end = at;
        Some(token)
    })
}

/// The names, strings and literals of the text.
pub(crate) fn scalars(text: &str) -> Vec<Token> {
    tokens(text).filter(Token::is_scalar).collect()
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
    let ends =
        |byte: &u8| matches!(byte, b',' | b':' | b'"' | b'{' | b'}' | b'[' | b']' | b' ' | b'\t' | b'\n' | b'\r');
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

    fn shown(text: &str) -> Vec<(TokenKind, &str, usize)> {
        assert!(is_json(text));
        scalars(text).into_iter().map(|found| (found.kind, &text[found.span], found.depth)).collect()
    }

    #[test]
    fn keys_strings_and_literals_are_told_apart() {
        assert_eq!(
            shown(r#" { "a" : [ "b", -1.5e3 , {"c\"":null}] , "d":"e:" } "#),
            [
                (TokenKind::Name, r#""a""#, 1),
                (TokenKind::Text, r#""b""#, 2),
                (TokenKind::Literal, "-1.5e3", 2),
                (TokenKind::Name, r#""c\"""#, 3),
                (TokenKind::Literal, "null", 3),
                (TokenKind::Name, r#""d""#, 1),
                (TokenKind::Text, r#""e:""#, 1),
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
        assert_eq!(shown(&deep), [(TokenKind::Literal, "1", 100_000)]);
    }

    #[test]
    fn escapes_are_read_also_those_of_half_a_character() {
        assert_eq!(unquote(r#""\u0061\n""#).unwrap(), "a\n");
        assert_eq!(unquote(r#""a\ud800b""#).unwrap().chars().next(), Some('a'));
        assert_eq!(unquote("12"), None);
    }
}
