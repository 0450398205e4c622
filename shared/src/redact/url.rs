//! Credentials in URLs: `https://example.com/?token=…`.

use std::{borrow::Cow, ops::Range};

use percent_encoding::percent_decode_str;

use super::names::is_credential;

/// Parameters of signed URLs whose names end like that of a credential. Their values, a key's id with a date and a region,
/// identify the signer and are not secret.
const SIGNERS: [&str; 2] = ["X-Amz-Credential", "X-Goog-Credential"];

/// Returns the ranges of credential parameters' values in a text, for each of its words that has a query or a fragment.
pub(crate) fn credential_values(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut next_word = 0;
    for word in text.split(char::is_whitespace) {
        let start = next_word;
        let end = start + word.len();
        next_word = end + text[end..].chars().next().map_or(0, char::len_utf8);
        let Some(query) = word.find(['?', '#']) else { continue };
        let mut at = query + 1;
        while let Some(rest) = word.get(at..) {
            let mut length = rest.find(['&', ';', '?', '#']).unwrap_or(rest.len());
            if let Some((name, _)) = rest[..length].split_once('=')
                && is_credential(&decoded(name))
                && !SIGNERS.iter().any(|signer| name.eq_ignore_ascii_case(signer))
            {
                let value = name.len() + 1;
                // A credential may contain a question mark or a semicolon.
                length = rest[value..].find(['&', '#']).map_or(rest.len(), |length| value + length);
                found.push(start + at + value..start + at + length);
            }
            at += length + 1;
        }
    }
    found
}

/// Returns a part of a URL without its percent-encoding.
pub(crate) fn decoded(part: &str) -> Cow<'_, str> {
    percent_decode_str(part).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_credential_parameters_are_found_and_no_others() {
        for (text, expected) in [
            ("https://b.example/x?token=K1&page=2", &["K1"][..]),
            ("https://b.example/x?page=2&api_key=K1#access_token=K2&state=7", &["K1", "K2"]),
            ("b.example/?a=1;apiKey=K1;x?y=2", &["K1;x?y=2"]),
            ("https://b.example/?api%4Bey=K%201", &["K%201"]),
            ("see https://b.example/?secret=K1 and\u{a0}https://c.example/?pwd=K2", &["K1", "K2"]),
            ("https://b.example/?token=", &[""]),
            ("https://b.example/token=K1", &[]),
            ("https://b.example/?token_type=x&max_tokens=1&token", &[]),
            ("https://b.example/?X-Amz-Credential=K1%2F2&x-goog-credential=K2&x-other-credential=K3", &["K3"]),
            ("token=K1", &[]),
            ("?", &[]),
            ("?&&;#?=", &[]),
        ] {
            let found: Vec<&str> = credential_values(text).into_iter().map(|value| &text[value]).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
