//! Splits a body into pieces with a colour each: pure.

use shared::json::{self, TokenKind};

/// The placeholder of a secret.
const SEALED: &str = "\"[sealed]\"";

/// A part of the body of one kind.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    pub class: &'static str,
    pub text: String,
}

impl Piece {
    /// Returns whether it stands for a secret.
    pub fn is_sealed(&self) -> bool {
        self.class == "sealed"
    }
}

/// Splits a body, laid out with a line for each value, into pieces. A body that is nested deeper than 200 levels is one text.
pub fn pieces(body: &str) -> Vec<Piece> {
    let pretty = json::pretty(json::embedded(body).get());
    let mut pieces = Vec::new();
    let mut end = 0;
    for token in json::tokens(&pretty) {
        let class = match token.kind {
            TokenKind::Name => "key",
            TokenKind::Text if pretty[token.span.clone()] == *SEALED => "sealed",
            TokenKind::Text => "text",
            TokenKind::Literal => "bare",
            TokenKind::Open | TokenKind::Close | TokenKind::Comma | TokenKind::Colon => continue,
        };
        pieces.extend(sign(&pretty[end..token.span.start]));
        end = token.span.end;
        pieces.push(Piece { class, text: pretty[token.span].to_owned() });
    }
    pieces.extend(sign(&pretty[end..]));
    pieces
}

/// The signs and the white space between two values.
fn sign(text: &str) -> Option<Piece> {
    (!text.is_empty()).then(|| Piece { class: "sign", text: text.to_owned() })
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
            prop_assert_eq!(whole, json::pretty(json::embedded(&body).get()));
        }
    }
}
