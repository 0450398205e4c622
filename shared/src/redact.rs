//! Takes the secrets out of a body before anybody but the sealed table sees it. docs/events.md has the rule in prose.

mod names;
mod repeats;
mod url;

use std::{borrow::Cow, ops::Range};

use crate::{
    Secret,
    fields::MAX_TEXT,
    json::{self, TokenKind},
};
use names::{Role, is_credential};
use repeats::{Search, Secrets};

/// The text that stands in a redacted body where a secret stood.
pub(crate) const PLACEHOLDER: &str = "[sealed]";

/// The member that the provider documents for the key of a line (provider's page: Partner Webhook).
const API_KEY: &str = "whatsapp_apiKey";

/// Maximum number of texts with JSON inside each other that are read. One that is deeper is sealed as a whole.
const MAX_NESTING: usize = 4;

/// A body without its secrets.
pub(crate) struct Redacted {
    pub(crate) body: String,
    /// The key of the line, if the body has one.
    pub(crate) api_key: Option<Secret>,
}

/// Seals the credentials of a JSON text, and the values that repeat them; `None` when there is nothing to seal.
///
/// `naming` has the names of the top-level members that say what the event is about. The last value of each stays even if it
/// repeats a secret, because the event's key is made of it.
pub(crate) fn redact(text: &str, naming: &[&str]) -> Option<Redacted> {
    let document = Document::scan(text, &[&[API_KEY], naming].concat());
    let mut secrets = Secrets::default();
    document.collect(0, false, &mut secrets);
    let body = document.redacted(0, naming, &secrets.search())?;
    let api_key = document.last(API_KEY).and_then(|at| document.values[at].text());
    Some(Redacted { body, api_key: api_key.filter(|key| key.len() <= MAX_TEXT).map(Secret::new) })
}

/// A JSON text and its scalar values.
struct Document<'a> {
    text: &'a str,
    values: Vec<Value<'a>>,
    /// The watched members of the top level that have a scalar value, and its place in `values`.
    members: Vec<(&'a str, usize)>,
}

/// A scalar value.
struct Value<'a> {
    start: usize,
    token: &'a str,
    /// Whether it is, or is inside of, the value of a credential.
    is_credential: bool,
}

/// An object that is being read, up to its current member.
struct Object {
    depth: usize,
    role: Role,
    /// The number of values before the member's value.
    member: usize,
    /// The number of pairs' values before those of this object.
    pairs: usize,
    /// Whether a member gives the name of a credential, so that the pair's values are one.
    names_credential: bool,
}

impl<'a> Document<'a> {
    /// Reads a text in one pass and without recursion, however deeply it is nested.
    fn scan(text: &'a str, watched: &[&'a str]) -> Self {
        let (mut values, mut members): (Vec<Value<'a>>, Vec<_>) = (Vec::new(), Vec::new());
        let mut credentials: Vec<Range<usize>> = Vec::new();
        let mut pairs: Vec<Range<usize>> = Vec::new();
        let mut objects: Vec<Object> = Vec::new();
        let mut watching = None;
        for token in json::tokens(text) {
            let (start, depth, kind) = (token.span.start, token.depth, token.kind);
            let token = &text[token.span];
            let mut object = objects.last_mut().filter(|object| object.depth == depth);
            match kind {
                TokenKind::Open if token == "{" => objects.push(Object {
                    depth,
                    role: Role::Other,
                    member: values.len(),
                    pairs: pairs.len(),
                    names_credential: false,
                }),
                TokenKind::Name => {
                    let name = json::unquote(token).unwrap_or_default();
                    if depth == 1 {
                        watching = watched.iter().find(|watched| **watched == name);
                    }
                    if let Some(object) = object {
                        (object.role, object.member) = (Role::of(&name), values.len());
                    }
                }
                TokenKind::Text | TokenKind::Literal => {
                    if let Some(object) = object.as_mut().filter(|object| object.role == Role::PairName) {
                        object.names_credential |= json::unquote(token).is_some_and(|text| is_credential(&text));
                    }
                    if depth == 1 {
                        members.extend(watching.take().map(|name| (*name, values.len())));
                    }
                    values.push(Value { start, token, is_credential: false });
                }
                TokenKind::Comma | TokenKind::Close => {
                    let Some(object) = object else { continue };
                    match object.role {
                        Role::Credential => credentials.push(object.member..values.len()),
                        Role::PairValue => pairs.push(object.member..values.len()),
                        Role::PairName | Role::Other => {}
                    }
                    object.role = Role::Other;
                    if kind == TokenKind::Close {
                        let values_of_pairs = pairs.drain(object.pairs..);
                        if object.names_credential {
                            credentials.extend(values_of_pairs);
                        }
                        objects.pop();
                    }
                }
                TokenKind::Open | TokenKind::Colon => {}
            }
        }
        mark(&mut values, credentials);
        Self { text, values, members }
    }

    /// Returns the place of the last scalar value of a watched member.
    fn last(&self, name: &str) -> Option<usize> {
        self.members.iter().rfind(|(watched, _)| *watched == name).map(|(_, place)| *place)
    }

    /// Collects the secrets: credentials, and those in URLs and in texts that hold JSON. With `all`, each value is a secret.
    fn collect(&self, nesting: usize, all: bool, secrets: &mut Secrets) {
        for value in &self.values {
            let Some(text) = value.text() else { continue };
            let is_secret = all || value.is_credential;
            if is_secret {
                secrets.add(&text);
            }
            if !value.is_text() {
                continue;
            }
            if !holds_json(&text) {
                for secret in url_secrets(&text) {
                    secrets.add(&text[secret.clone()]);
                    secrets.add(&url::decoded(&text[secret]));
                }
            } else if nesting < MAX_NESTING {
                Document::scan(&text, &[]).collect(nesting + 1, is_secret, secrets);
            }
        }
    }

    /// Returns the text without its secrets; `None` when it has none.
    fn redacted(&self, nesting: usize, naming: &[&str], search: &Search) -> Option<String> {
        let kept: Vec<usize> = naming.iter().filter_map(|name| self.last(name)).collect();
        let mut redacted = String::new();
        let mut from = 0;
        for (place, value) in self.values.iter().enumerate() {
            if let Some(replacement) = value.replacement(nesting, kept.contains(&place), search) {
                redacted.push_str(&self.text[from..value.start]);
                redacted.push_str(&json::quoted(&replacement));
                from = value.start + value.token.len();
            }
        }
        (from > 0).then(|| redacted + &self.text[from..])
    }
}

/// Marks the values in ranges as credentials. Ranges may be nested in each other, so each value is looked at once, not once
/// for each of its ranges.
fn mark(values: &mut [Value<'_>], mut credentials: Vec<Range<usize>>) {
    credentials.sort_unstable_by_key(|range| range.start);
    let mut marked = 0;
    for range in credentials {
        for value in values.get_mut(range.start.max(marked)..range.end).unwrap_or_default() {
            value.is_credential = true;
        }
        marked = marked.max(range.end);
    }
}

impl Value<'_> {
    fn is_text(&self) -> bool {
        self.token.starts_with('"')
    }

    /// Returns a text or a number; `None` for values that cannot be a secret: flags, null, blank texts and the placeholder.
    fn text(&self) -> Option<Cow<'_, str>> {
        match json::unquote(self.token) {
            Some(text) => can_be_secret(&text).then_some(text),
            None => (!matches!(self.token, "true" | "false" | "null")).then_some(Cow::Borrowed(self.token)),
        }
    }

    /// Returns the text in place of a value that is or has a secret; `None` when the value stays. With `is_kept` it may
    /// repeat one.
    fn replacement(&self, nesting: usize, is_kept: bool, search: &Search) -> Option<Cow<'static, str>> {
        const SEALED: Option<Cow<'static, str>> = Some(Cow::Borrowed(PLACEHOLDER));

        let text = self.text()?;
        if self.is_credential || (!is_kept && search.is_secret(&text)) {
            return SEALED;
        }
        let mut changed = None;
        if self.is_text() {
            if holds_json(&text) {
                if nesting == MAX_NESTING {
                    return SEALED;
                }
                return Document::scan(&text, &[]).redacted(nesting + 1, &[], search).map(Cow::Owned);
            }
            changed = without_url_secrets(&text);
        }
        if !is_kept && search.finds(changed.as_deref().unwrap_or(&text)) {
            return SEALED;
        }
        changed.map(Cow::Owned)
    }
}

fn can_be_secret(text: &str) -> bool {
    !matches!(text.trim(), "" | PLACEHOLDER)
}

/// Whether a text is a JSON object, array or string, which is then redacted as such.
fn holds_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[', '"']) && json::is_json(text)
}

fn url_secrets(text: &str) -> impl Iterator<Item = Range<usize>> {
    url::credential_values(text).into_iter().filter(|value| can_be_secret(&text[value.clone()]))
}

fn without_url_secrets(text: &str) -> Option<String> {
    let mut redacted = String::new();
    let mut from = 0;
    for secret in url_secrets(text) {
        redacted.push_str(&text[from..secret.start]);
        redacted.push_str(PLACEHOLDER);
        from = secret.end;
    }
    (from > 0).then(|| redacted + &text[from..])
}
