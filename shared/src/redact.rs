//! Takes the secrets out of a body before anybody but the sealed table sees it.

use std::ops::Range;

use crate::{
    Secret,
    fields::LONGEST_TEXT,
    json::{self, Token, TokenKind},
};

/// What stands in a redacted body where a secret stood.
pub(crate) const PLACEHOLDER: &str = r#""[sealed]""#;

/// A member whose name, in lower case and without punctuation, has one of these in it holds a credential. The provider
/// documents `whatsapp_apiKey`; the others are what the kinds that it has not specified yet would be expected to use.
const CREDENTIALS: [&str; 4] = ["apikey", "password", "secret", "token"];

/// From this length on, a secret is also sealed where it is repeated inside other strings of the body. A shorter one would
/// be found by chance.
const SHORTEST_REPEATED: usize = 8;

/// With more secrets than this, everything but what names the entity is sealed: comparing each with each would take longer
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
/// `is_documented` tells the top-level members whose values the provider describes; they are sealed only where they repeat a
/// secret. `names_entity` tells those among them whose values stay in any case, as the event's key is made of them.
pub(crate) fn redact(
    text: &str,
    scalars: &[Token],
    is_documented: impl Fn(&str) -> bool,
    names_entity: impl Fn(&str) -> bool,
) -> Option<Redacted> {
    let mut sealed: Vec<Range<usize>> = Vec::new();
    let mut secrets: Vec<String> = Vec::new();
    let mut api_key = None;
    let mut field = false;
    let mut rest = scalars.iter().peekable();
    while let Some(key) = rest.next() {
        if key.depth == 1 && key.kind == TokenKind::Name {
            field = is_documented(&plain(text, key));
        }
        if key.kind == TokenKind::Text && !(field && key.depth == 1) && holds_credential(&text[key.span.clone()]) {
            // A text about credentials, such as JSON inside a string: what in it is the secret cannot be told.
            sealed.push(key.span.clone());
        }
        if key.kind != TokenKind::Name {
            continue;
        }
        if !holds_credential(&text[key.span.clone()]) {
            continue;
        }
        let name = normalised(&text[key.span.clone()]);
        let start = json::value_start(text, key.span.end);
        let value = start..json::value_end(text, start);
        let token = &text[value.clone()];
        if matches!(token, "null" | "true" | "false" | r#""""#) {
            continue;
        }
        while let Some(inside) = rest.next_if(|scalar| within(scalar, &value)) {
            secrets.push(plain(text, inside).trim().to_owned());
        }
        if key.depth == 1 && name.ends_with("apikey") {
            let key = json::unquote(token).unwrap_or_else(|| token.to_owned());
            api_key = Some(key).filter(|key| key.len() <= LONGEST_TEXT).map(Secret::new);
        }
        sealed.push(value);
    }
    if sealed.is_empty() {
        return None;
    }
    secrets.retain(|secret| secret.len() >= SHORTEST_REPEATED);
    let repeats = repeated(text, scalars, &secrets, &sealed, names_entity);
    sealed.extend(repeats);
    sealed.sort_by_key(|range| range.start);
    Some(Redacted { body: replace(text, &sealed), api_key })
}

/// The scalars outside of `sealed` that repeat a secret.
fn repeated(
    text: &str,
    scalars: &[Token],
    secrets: &[String],
    sealed: &[Range<usize>],
    names_entity: impl Fn(&str) -> bool,
) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut stays = false;
    let mut sealed = sealed.iter().peekable();
    for scalar in scalars {
        if scalar.depth == 1 && scalar.kind == TokenKind::Name {
            stays = names_entity(&plain(text, scalar));
        }
        while sealed.next_if(|range| range.end <= scalar.span.start).is_some() {}
        let inside = sealed.peek().is_some_and(|range| within(scalar, range));
        let kept = stays && scalar.depth == 1 && scalar.kind != TokenKind::Name;
        if !inside && !kept {
            let content = plain(text, scalar);
            if secrets.len() > MOST_COMPARED || secrets.iter().any(|secret| content.contains(secret)) {
                found.push(scalar.span.clone());
            }
        }
    }
    found
}

fn within(scalar: &Token, range: &Range<usize>) -> bool {
    range.start <= scalar.span.start && scalar.span.end <= range.end
}

fn plain(text: &str, scalar: &Token) -> String {
    let token = &text[scalar.span.clone()];
    json::unquote(token).unwrap_or_else(|| token.to_owned())
}

fn holds_credential(token: &str) -> bool {
    let text = normalised(token);
    CREDENTIALS.iter().any(|credential| text.contains(credential))
}

fn normalised(key: &str) -> String {
    let name = json::unquote(key).unwrap_or_default();
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
