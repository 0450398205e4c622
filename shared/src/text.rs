//! Text for people and for a shell, and characters without width.

use crate::{event_id::EventId, json::needs_escape};

/// Returns an untrusted text with every character escaped that a terminal or a browser would obey.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if needs_escape(character) {
            plain.extend(character.escape_default());
        } else {
            plain.push(character);
        }
    }
    plain
}

/// Returns the end of an id: ids of about the same time share the beginning.
pub fn short(id: &EventId) -> String {
    format!("…{}", &id.simple()[24..])
}

/// Quotes an argument for a shell.
pub fn quoted(argument: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=:,./#+@".contains(letter);
    if !argument.is_empty() && !argument.starts_with('#') && argument.chars().all(is_plain) {
        return argument.to_owned();
    }
    format!("'{}'", plain(argument).replace('\'', r"'\''"))
}

/// Returns whether a character has no width: a mark that changes the direction of text, a joiner, a byte order mark, or
/// another of Unicode's default ignorable code points. Copied text often contains them unseen.
pub(crate) fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_reaches_the_terminal_as_a_command() {
        assert_eq!(plain("שלום a\u{1b}[2Jb\n\u{9b}"), "שלום a\\u{1b}[2Jb\\n\\u{9b}");
        assert_eq!(plain("gpj.\u{202e}exe"), "gpj.\\u{202e}exe");
    }

    #[test]
    fn an_id_is_shortened_to_the_end_that_tells_it_from_its_neighbours() {
        assert_eq!(short(&"01a205f0-5119-7000-8000-0000abcd1234".parse().unwrap()), "…abcd1234");
    }

    #[test]
    fn only_arguments_that_a_shell_would_change_are_quoted() {
        for plain in ["--since", "2h", "whatsapp#1", "https://a.example/b", "-"] {
            assert_eq!(quoted(plain), plain);
        }
        for (argument, expected) in
            [("", "''"), ("#a", "'#a'"), ("my profile", "'my profile'"), ("it's", r"'it'\''s'"), ("$a", "'$a'")]
        {
            assert_eq!(quoted(argument), expected);
        }
    }
}
