//! Command lines that a person is told to run.

use super::text;

/// An argument as a shell reads it.
pub fn quoted(argument: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=:,./#+@".contains(letter);
    if !argument.is_empty() && !argument.starts_with('#') && argument.chars().all(is_plain) {
        return argument.to_owned();
    }
    format!("'{}'", text::plain(argument).replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_shell_would_read_in_another_way_is_quoted() {
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
