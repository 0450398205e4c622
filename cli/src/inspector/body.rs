//! A body in pieces that can be told apart by their colour: pure.

use crate::output::json_layout;

/// What stands in place of a secret.
const SEALED: &str = "\"[sealed]\"";

/// Some characters of the body.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    pub class: &'static str,
    pub text: String,
}

impl Piece {
    /// Whether a secret stood here.
    pub fn is_sealed(&self) -> bool {
        self.class == "sealed"
    }
}

/// The body with a line for each value; what it means and says is as it came.
pub fn pieces(body: &str) -> Vec<Piece> {
    let pretty = json_layout::pretty(body);
    let mut pieces = Vec::new();
    let mut rest = pretty.as_str();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '"' => end_of_text(rest),
            _ if is_bare(first) => rest.find(|next| !is_bare(next)).unwrap_or(rest.len()),
            _ => rest.find(|next| next == '"' || is_bare(next)).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(end);
        let class = match first {
            '"' if after.starts_with(':') => "key",
            '"' if token == SEALED => "sealed",
            '"' => "text",
            _ if is_bare(first) => "bare",
            _ => "sign",
        };
        pieces.push(Piece { class, text: token.to_owned() });
        rest = after;
    }
    pieces
}

/// Whether a character is one of a number, of `true`, `false` or `null`.
fn is_bare(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '-' | '+' | '.')
}

/// Where a text ends that begins here.
fn end_of_text(rest: &str) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of_class(body: &str, class: &str) -> Vec<String> {
        pieces(body).into_iter().filter(|piece| piece.class == class).map(|piece| piece.text).collect()
    }

    #[test]
    fn names_texts_numbers_and_seals_are_told_apart() {
        let body = r#"{"a":"b: \"c\":","whatsapp_apiKey":"[sealed]","n":[-1e2,true,null],"[sealed]":1}"#;
        assert_eq!(of_class(body, "key"), [r#""a""#, r#""whatsapp_apiKey""#, r#""n""#, r#""[sealed]""#]);
        assert_eq!(of_class(body, "text"), [r#""b: \"c\":""#]);
        assert_eq!(of_class(body, "sealed"), [r#""[sealed]""#]);
        assert_eq!(of_class(body, "bare"), ["-1e2", "true", "null", "1"]);
    }

    proptest! {
        #[test]
        fn together_the_pieces_are_the_whole(body in ".*|[\\[\\]{}\",:a1\\\\ ]*") {
            let whole: String = pieces(&body).into_iter().map(|piece| piece.text).collect();
            prop_assert_eq!(whole, json_layout::pretty(&body));
        }
    }
}
