//! A tokenizer for JSON text that keeps every byte in place.
//!
//! Bodies are stored as received, so values in them are found by position. Decoding and rewriting would reorder, round and merge.
//! All functions expect text that [`is_json`] has accepted; the walk is one pass without recursion, at any depth of nesting.

use std::{borrow::Cow, ops::Range};

use serde_json::value::RawValue;

/// Returns a document without its byte order mark, if it has one (RFC 8259, section 8.1, lets a reader ignore it).
pub fn without_byte_order_mark(document: &[u8]) -> &[u8] {
    document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document)
}

/// Returns whether the text is JSON (RFC 8259).
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
    /// The kind of token.
    pub kind: TokenKind,
    /// Position of the token's bytes, quotes included.
    pub span: Range<usize>,
    /// Number of enclosing objects and arrays; a bracket counts as inside the object or array that it opens or closes.
    pub depth: usize,
}

/// Returns the tokens of a text in order. The text between them is white space.
///
/// A text that is not JSON has tokens too: a string without an end extends to the end of the text, and a literal to the
/// next character that cannot be in one.
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
    let is_end = |byte: u8| matches!(byte, b',' | b':' | b'"' | b'{' | b'}' | b'[' | b']') || is_blank(byte);
    let mut at = start;
    while bytes.get(at).is_some_and(|byte| !is_end(*byte)) {
        at += 1;
    }
    at
}

fn skip_blanks(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while bytes.get(at).is_some_and(|byte| is_blank(*byte)) {
        at += 1;
    }
    at
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Returns the text that a JSON string encodes; `None` when the token is not a string. Half a surrogate pair becomes U+FFFD.
pub fn unquote(token: &str) -> Option<Cow<'_, str>> {
    let content = token.strip_prefix('"')?.strip_suffix('"')?;
    let Some((plain, mut escape)) = content.split_once('\\') else { return Some(Cow::Borrowed(content)) };
    let mut text = String::with_capacity(content.len());
    text.push_str(plain);
    loop {
        let (character, rest) = unescape(escape);
        text.push(character);
        let Some((plain, next)) = rest.split_once('\\') else {
            text.push_str(rest);
            return Some(Cow::Owned(text));
        };
        text.push_str(plain);
        escape = next;
    }
}

/// Reads an escape after its backslash; returns its character and the rest of the text.
fn unescape(escape: &str) -> (char, &str) {
    let mut characters = escape.chars();
    let character = match characters.next() {
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => return unescape_unicode(escape),
        Some(other) => other,
        None => char::REPLACEMENT_CHARACTER,
    };
    (character, characters.as_str())
}

fn unescape_unicode(escape: &str) -> (char, &str) {
    let rest = escape.get(5..).unwrap_or_default();
    let low = rest.strip_prefix('\\').and_then(utf16_unit).filter(|unit| is_low_surrogate(*unit));
    match (utf16_unit(escape), low) {
        (Some(high @ 0xd800..=0xdbff), Some(low)) => {
            let pair = 0x1_0000 + ((u32::from(high) - 0xd800) << 10) + (u32::from(low) - 0xdc00);
            (char::from_u32(pair).unwrap_or(char::REPLACEMENT_CHARACTER), &rest[6..])
        }
        (unit, _) => (unit.and_then(|unit| char::from_u32(unit.into())).unwrap_or(char::REPLACEMENT_CHARACTER), rest),
    }
}

/// Returns the UTF-16 unit of a `\u` escape, given the text after its backslash.
pub(super) fn utf16_unit(escape: &str) -> Option<u16> {
    u16::from_str_radix(escape.strip_prefix('u')?.get(..4)?, 16).ok()
}

pub(super) fn is_low_surrogate(unit: u16) -> bool {
    matches!(unit, 0xdc00..=0xdfff)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> Vec<(TokenKind, &str, usize)> {
        assert!(is_json(text));
        let scalar = |kind| matches!(kind, TokenKind::Name | TokenKind::Text | TokenKind::Literal);
        let scalars = tokens(text).filter(|token| scalar(token.kind));
        scalars.map(|token| (token.kind, &text[token.span], token.depth)).collect()
    }

    #[test]
    fn one_byte_order_mark_is_taken_off() {
        assert_eq!(without_byte_order_mark(b"\xef\xbb\xbf{}"), b"{}");
        assert_eq!(without_byte_order_mark(b"\xef\xbb\xbf\xef\xbb\xbf{}"), b"\xef\xbb\xbf{}");
        assert_eq!(without_byte_order_mark(b"{}"), b"{}");
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
    fn brackets_and_signs_are_tokens_of_the_object_or_array_they_belong_to() {
        let shown: Vec<_> = tokens("[{\"a\":[]},1]").map(|token| (token.kind, token.depth)).collect();
        let expected = [
            (TokenKind::Open, 1),
            (TokenKind::Open, 2),
            (TokenKind::Name, 2),
            (TokenKind::Colon, 2),
            (TokenKind::Open, 3),
            (TokenKind::Close, 3),
            (TokenKind::Close, 2),
            (TokenKind::Comma, 1),
            (TokenKind::Literal, 1),
            (TokenKind::Close, 1),
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn nesting_has_no_limit() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(shown(&deep), [(TokenKind::Literal, "1", 100_000)]);
    }

    #[test]
    fn escapes_are_read_also_those_of_half_a_character() {
        for (token, text) in [
            (r#""""#, ""),
            (r#""\u0061\n\"\\\/\b\f\r\t""#, "a\n\"\\/\u{8}\u{c}\r\t"),
            (r#""\ud83d\ude00x""#, "\u{1f600}x"),
            (r#""a\ud83db""#, "a\u{fffd}b"),
            (r#""\ud83d\ud83d\ude00\ude00""#, "\u{fffd}\u{1f600}\u{fffd}"),
            (r#""\ud83d\n""#, "\u{fffd}\n"),
        ] {
            assert_eq!(unquote(token).unwrap(), text, "{token}");
        }
        assert_eq!(unquote("12"), None);
    }

    proptest! {
        #[test]
        fn a_string_is_read_as_serde_reads_it(text: String) {
            let token = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(unquote(&token).unwrap(), &text[..]);
            let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
            let token = format!("\"{escaped}\"");
            prop_assert_eq!(unquote(&token).unwrap(), &text[..]);
        }

        #[test]
        fn no_token_of_any_text_makes_it_panic(text in ".*|[\"\\\\u{}d8,: é]{0,30}") {
            for token in tokens(&text) {
                let _ = unquote(&text[token.span]);
            }
        }
    }
}
