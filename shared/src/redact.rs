//! Takes the secrets out of a body before anybody but the sealed table sees it.

use std::ops::Range;

use crate::{
    Secret,
    fields::LONGEST_TEXT,
    json_text::{self, Scalar, Token},
};

/// What stands in a redacted body where a secret stood.
pub(crate) const PLACEHOLDER: &str = r#""[sealed]""#;

/// A member whose name, in lower case and without punctuation, has one of these in it holds a credential. The provider
/// documents `whatsapp_apiKey`; the others are what the kinds that it has not specified yet would be expected to use.
const CREDENTIALS: [&str; 4] = ["apikey", "password", "secret", "token"];

/// From this length on, a secret is also sealed where it is repeated inside other strings of the body. A shorter one would
/// be found by chance.
const SHORTEST_REPEATED: usize = 8;

/// With more secrets than this, everything but the documented fields is sealed: comparing each with each would take longer
/// than there is time to answer.
const MOST_COMPARED: usize = 32;

/// A body without its secrets.
pub(crate) struct Redacted {
    pub(crate) body: String,
    /// The text of the last `apiKey` of the top level.
    pub(crate) api_key: Option<Secret>,
}

/// Finds the credentials of a JSON text, at any depth; `None` when there are none.
///
/// `is_field` tells the top-level members that are read as documented fields: their values stay, as entities and references
/// are made of them.
pub(crate) fn redact(text: &str, scalars: &[Scalar], is_field: impl Fn(&str) -> bool) -> Option<Redacted> {
    let mut sealed: Vec<Range<usize>> = Vec::new();
    let mut secrets: Vec<String> = Vec::new();
    let mut api_key = None;
    let mut rest = scalars.iter().peekable();
    while let Some(key) = rest.next() {
        if key.token != Token::Key {
            continue;
        }
        let name = normalised(&text[key.span.clone()]);
        if !CREDENTIALS.iter().any(|credential| name.contains(credential)) {
            continue;
        }
        let start = json_text::value_start(text, key.span.end);
        let value = start..json_text::value_end(text, start);
        let token = &text[value.clone()];
        if matches!(token, "null" | "true" | "false" | r#""""#) {
            continue;
        }
        while let Some(inside) = rest.next_if(|scalar| within(scalar, &value)) {
            secrets.push(plain(text, inside));
        }
        if key.depth == 1 && name.ends_with("apikey") {
            let key = json_text::unquote(token).unwrap_or_else(|| token.to_owned());
            api_key = Some(key).filter(|key| key.len() <= LONGEST_TEXT).map(Secret::new);
        }
        sealed.push(value);
    }
    if sealed.is_empty() {
        return None;
    }
    secrets.retain(|secret| secret.len() >= SHORTEST_REPEATED);
    let repeats = repeated(text, scalars, &secrets, &sealed, is_field);
    sealed.extend(repeats);
    sealed.sort_by_key(|range| range.start);
    Some(Redacted { body: replace(text, &sealed), api_key })
}

/// The scalars outside of `sealed` that repeat a secret.
fn repeated(
    text: &str,
    scalars: &[Scalar],
    secrets: &[String],
    sealed: &[Range<usize>],
    is_field: impl Fn(&str) -> bool,
) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut field = false;
    let mut sealed = sealed.iter().peekable();
    for scalar in scalars {
        if scalar.depth == 1 && scalar.token == Token::Key {
            field = is_field(&plain(text, scalar));
        }
        while sealed.next_if(|range| range.end <= scalar.span.start).is_some() {}
        let inside = sealed.peek().is_some_and(|range| within(scalar, range));
        let kept = field && scalar.depth == 1 && scalar.token != Token::Key;
        if !inside && !kept {
            let content = plain(text, scalar);
            if secrets.len() > MOST_COMPARED || secrets.iter().any(|secret| content.contains(secret)) {
                found.push(scalar.span.clone());
            }
        }
    }
    found
}

fn within(scalar: &Scalar, range: &Range<usize>) -> bool {
    range.start <= scalar.span.start && scalar.span.end <= range.end
}

fn plain(text: &str, scalar: &Scalar) -> String {
    let token = &text[scalar.span.clone()];
    json_text::unquote(token).unwrap_or_else(|| token.to_owned())
}

fn normalised(key: &str) -> String {
    let name = json_text::unquote(key).unwrap_or_default();
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

fn replace(text: &str, ranges: &[Range<usize>]) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut from = 0;
    for range in ranges {
        redacted.push_str(&text[from..range.start]);
        redacted.push_str(PLACEHOLDER);
        from = range.end;
    }
    redacted.push_str(&text[from..]);
    redacted
}
