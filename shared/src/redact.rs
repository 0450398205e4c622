//! Removes secrets from a body before anything but the sealed table gets it. docs/events.md has the rule in prose.

mod names;
mod repeats;
mod url;

use std::{borrow::Cow, ops::Range};

use crate::{
    json::{self, TokenKind},
    secret::Secret,
};
use names::{Role, is_credential};
use repeats::Secrets;

/// The placeholder of a secret in a redacted body, alone or inside a longer text.
pub const PLACEHOLDER: &str = "[sealed]";

/// The placeholder as JSON.
const SEALED: &str = r#""[sealed]""#;

/// Maximum nesting of JSON texts inside each other that is read. A deeper text is sealed as a whole.
const MAX_NESTING: usize = 4;

/// The result of redacting a body.
pub(crate) struct Redacted<'a> {
    /// The body without its secrets; `None` when it had none.
    pub(crate) body: Option<String>,
    /// The key of the line or store, if the body has one.
    pub(crate) api_key: Option<Secret>,
    /// The top-level members with a scalar value, without secrets: name and JSON text of the value.
    pub(crate) members: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// A JSON text and its scalar values.
pub(crate) struct Document<'a> {
    text: &'a str,
    values: Vec<Value<'a>>,
    /// The top-level members with a scalar value: name and index in `values`.
    members: Vec<(Cow<'a, str>, usize)>,
}

/// A scalar value.
struct Value<'a> {
    start: usize,
    token: &'a str,
    /// True when the value belongs to a credential, directly or nested.
    is_credential: bool,
}

/// An object that is being read, up to its current member.
struct Object {
    depth: usize,
    role: Role,
    /// The number of values before those of the current member.
    member: usize,
    /// The number of pair values before those of this object.
    pairs: usize,
    /// True when a member contains the name of a credential, so that the pair's values are one.
    names_credential: bool,
}

impl<'a> Document<'a> {
    /// Reads a text in one pass and without recursion, at any depth of nesting.
    pub(crate) fn scan(text: &'a str) -> Self {
        let (mut values, mut members): (Vec<Value<'a>>, Vec<_>) = (Vec::new(), Vec::new());
        let mut credentials: Vec<Range<usize>> = Vec::new();
        let mut pairs: Vec<Range<usize>> = Vec::new();
        let mut objects: Vec<Object> = Vec::new();
        let mut member = None;
        for token in json::tokens(text) {
            let (start, depth, kind) = (token.span.start, token.depth, token.kind);
            let token = &text[token.span];
            let object = objects.last_mut().filter(|object| object.depth == depth);
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
                    if let Some(object) = object {
                        (object.role, object.member) = (Role::of(&name), values.len());
                    }
                    member = (depth == 1).then_some(name);
                }
                TokenKind::Text | TokenKind::Literal => {
                    if let Some(object) = object.filter(|object| object.role == Role::PairName) {
                        object.names_credential |= json::unquote(token).is_some_and(|text| is_credential(&text));
                    }
                    if depth == 1 {
                        members.extend(member.take().map(|name| (name, values.len())));
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

    /// Returns the last value of a top-level member, as written in the text.
    pub(crate) fn last(&self, name: &str) -> Option<&'a str> {
        self.place_of_last(name).map(|place| self.values[place].token)
    }

    fn place_of_last(&self, name: &str) -> Option<usize> {
        self.members.iter().rfind(|(member, _)| member == name).map(|(_, place)| *place)
    }

    /// Seals the credentials, and the values that repeat them.
    ///
    /// `naming` has the names of the top-level members that identify the event's entity. The last value of each is kept
    /// even if it repeats a secret, because the event's key is made of it. `key` is the name of the member with the entity's own
    /// key.
    pub(crate) fn redact(self, naming: &[&str], key: &str) -> Redacted<'a> {
        let mut secrets = Secrets::default();
        self.collect(0, false, &mut |secret| secrets.add(secret));
        let kept: Vec<usize> = naming.iter().filter_map(|name| self.place_of_last(name)).collect();
        let replacements = self.replacements(0, &kept, &secrets);
        let body = self.replaced(&replacements);
        let api_key = self.place_of_last(key).and_then(|place| self.values[place].text()).map(Secret::new);
        let members = self.members.into_iter().map(|(name, place)| {
            let replacement = replacements.binary_search_by_key(&place, |(place, _)| *place);
            let value = replacement.map_or(self.values[place].token.into(), |at| replacements[at].1.clone());
            (name, value)
        });
        Redacted { body, api_key, members: members.collect() }
    }

    /// Collects the secrets: credentials, and those in URLs and in texts that contain JSON. With `all`, each value is a secret.
    fn collect(&self, nesting: usize, all: bool, add: &mut dyn FnMut(Cow<'a, str>)) {
        for value in &self.values {
            let Some(text) = value.text() else { continue };
            let is_secret = all || value.is_credential;
            if !holds_json(&text) {
                for secret in url_secrets(&text).map(|secret| &text[secret]) {
                    add(secret.to_owned().into());
                    add(url::decoded(secret).into_owned().into());
                }
            } else if nesting < MAX_NESTING {
                Document::scan(&text).collect(nesting + 1, is_secret, &mut |secret| add(secret.into_owned().into()));
            }
            if is_secret {
                add(text);
            }
        }
    }

    /// Returns the values that are or contain secrets: their indexes, in order, and the JSON texts that replace them.
    /// Values at the kept indexes may repeat a secret.
    fn replacements(&self, nesting: usize, kept: &[usize], secrets: &Secrets<'_>) -> Vec<(usize, Cow<'static, str>)> {
        let values = self.values.iter().enumerate();
        let replacement = |(place, value): (usize, &Value<'a>)| {
            value.replacement(nesting, kept.contains(&place), secrets).map(|replacement| (place, replacement))
        };
        values.filter_map(replacement).collect()
    }

    /// Returns the text with its replacements; `None` when there are none.
    fn replaced(&self, replacements: &[(usize, Cow<'static, str>)]) -> Option<String> {
        let mut text = String::with_capacity(self.text.len());
        let mut from = 0;
        for (place, replacement) in replacements {
            let value = &self.values[*place];
            text.push_str(&self.text[from..value.start]);
            text.push_str(replacement);
            from = value.start + value.token.len();
        }
        text.push_str(&self.text[from..]);
        (!replacements.is_empty()).then_some(text)
    }
}

/// Marks the values in ranges as credentials. Ranges may be nested, so each value is visited once, not once for each of its
/// ranges.
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

impl<'a> Value<'a> {
    /// Returns a text or a number; `None` for values that cannot be a secret: flags, null, blank texts and the placeholder.
    fn text(&self) -> Option<Cow<'a, str>> {
        match json::unquote(self.token) {
            Some(text) => can_be_secret(&text).then_some(text),
            None => (!matches!(self.token, "true" | "false" | "null")).then_some(Cow::Borrowed(self.token)),
        }
    }

    /// Returns the replacement of a value that is or contains a secret, as JSON text; `None` when the value stays. With
    /// `is_kept` it may repeat a secret.
    fn replacement(&self, nesting: usize, is_kept: bool, secrets: &Secrets<'_>) -> Option<Cow<'static, str>> {
        let text = self.text()?;
        if self.is_credential || (!is_kept && secrets.has(&text)) {
            return Some(SEALED.into());
        }
        if holds_json(&text) {
            if nesting == MAX_NESTING {
                return Some(SEALED.into());
            }
            let document = Document::scan(&text);
            let redacted = document.replaced(&document.replacements(nesting + 1, &[], secrets))?;
            return Some(json::quoted(&redacted).into());
        }
        let changed = without_url_secrets(&text);
        if !is_kept && secrets.are_in(changed.as_deref().unwrap_or(&text)) {
            return Some(SEALED.into());
        }
        changed.map(|changed| json::quoted(&changed).into())
    }
}

fn can_be_secret(text: &str) -> bool {
    !matches!(text.trim(), "" | PLACEHOLDER)
}

/// Returns whether a text is a JSON object, array or string, which is then redacted as JSON.
fn holds_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[', '"']) && json::is_json(text)
}

fn url_secrets(text: &str) -> impl Iterator<Item = Range<usize>> {
    url::credential_values(text).into_iter().filter(|value| can_be_secret(&url::decoded(&text[value.clone()])))
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
