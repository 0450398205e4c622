//! Compares the sealing of generated bodies with the rule of docs/events.md, "What is sealed". The rule is written down here
//! a second time, on parsed JSON, and shares no code with the crate.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

use proptest::{prelude::*, sample::select};
use serde_json::{Map, Value, json};
use shared::Event;

const SEALED: &str = "[sealed]";

/// Maximum number of JSON texts inside each other that are read.
const MAX_NESTING: usize = 4;

/// Splits a name into lower-case words, without digits at the end.
fn words(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.trim_end_matches(|c: char| !c.is_alphabetic()).chars().collect();
    let mut words = vec![String::new()];
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| letters[before]);
        let after_small = before.is_some_and(|c| !c.is_uppercase());
        let before_small = letters.get(at + 1).is_some_and(|c| c.is_lowercase());
        if !letter.is_alphanumeric() || (letter.is_uppercase() && (after_small || before_small)) {
            words.push(String::new());
        }
        if letter.is_alphanumeric() {
            words.last_mut().unwrap().extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn is_credential(name: &str) -> bool {
    let words = words(name);
    let last = words.last().map_or("", String::as_str);
    let two = words[words.len().saturating_sub(2)..].join(" ");
    let singles = ["token", "secret", "password", "passwd", "pwd", "authorization", "credential", "credentials"];
    singles.iter().chain(&["apikey", "privatekey"]).any(|end| last.ends_with(end))
        || two == "api key"
        || two == "private key"
}

fn last_word_is_one_of(name: &str, choices: &[&str]) -> bool {
    words(name).last().is_some_and(|word| choices.contains(&word.as_str()))
}

/// Returns whether a member of an object is a credential, by its name or as the value of a pair.
fn is_credential_member(object: &Map<String, Value>, name: &str) -> bool {
    let names_one = |(name, value): (&String, &Value)| {
        let pair_names = ["name", "key", "field", "header", "parameter", "param", "property"];
        !is_credential(name) && last_word_is_one_of(name, &pair_names) && value.as_str().is_some_and(is_credential)
    };
    is_credential(name) || (last_word_is_one_of(name, &["value", "val"]) && object.iter().any(names_one))
}

/// Returns the text of a value that can be secret: a number, or a text that is neither blank nor the placeholder.
fn sealable(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => (!["", SEALED].contains(&text.trim())).then(|| text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Returns the JSON that a text holds.
fn json_in(text: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(text).ok()?;
    (value.is_object() || value.is_array() || value.is_string()).then_some(value)
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        let escaped = (*byte == b'%').then(|| u8::from_str_radix(text_of(after.get(..2)?), 16).ok()).flatten();
        bytes.push(escaped.unwrap_or(*byte));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).unwrap()
}

fn text_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or("")
}

/// Calls `replace` with the values of credential parameters of a text's URLs, and returns the text with its answers.
fn map_url_credentials(text: &str, mut replace: impl FnMut(&str) -> String) -> String {
    let word = |word: &str| {
        let mut result = String::new();
        for (place, part) in word.split_inclusive(['?', '#', '&']).enumerate() {
            let end = part.trim_end_matches(['?', '#', '&']).len();
            match part[..end].split_once('=') {
                Some((name, value)) if place > 0 && is_credential(&percent_decoded(name)) => {
                    let replacement = if ["", SEALED].contains(&percent_decoded(value).trim()) {
                        value.to_owned()
                    } else {
                        replace(value)
                    };
                    result.extend([name, "=", &replacement, &part[end..]]);
                }
                _ => result.push_str(part),
            }
        }
        result
    };
    text.split(' ').map(word).collect::<Vec<String>>().join(" ")
}

/// Collects the credentials of a value.
fn collect(value: &Value, in_credential: bool, nesting: usize, secrets: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (name, member) in object {
                collect(member, in_credential || is_credential_member(object, name), nesting, secrets);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, in_credential, nesting, secrets)),
        _ => {
            let Some(text) = sealable(value) else { return };
            if value.is_string() {
                match json_in(&text) {
                    Some(json) if nesting < MAX_NESTING => collect(&json, in_credential, nesting + 1, secrets),
                    Some(_) => {}
                    None => {
                        _ = map_url_credentials(&text, |secret| {
                            secrets.extend([secret.to_owned(), percent_decoded(secret)]);
                            String::new()
                        })
                    }
                }
            }
            secrets.extend(in_credential.then_some(text));
        }
    }
}

fn secrets_of(body: &Value) -> Vec<String> {
    let mut secrets = Vec::new();
    collect(body, false, 0, &mut secrets);
    let is_count = |text: &String| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        digits.len() < 4 && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    secrets.iter().map(|text| text.trim().to_owned()).filter(|text| !is_count(text)).collect()
}

fn repeats_one(text: &str, secrets: &[String]) -> bool {
    secrets.iter().any(|secret| text.trim() == secret)
}

fn contains_one(text: &str, secrets: &[String]) -> bool {
    secrets.iter().any(|secret| secret.chars().count() >= 8 && text.contains(secret.as_str()))
}

/// Returns the names of the top-level members that name the entity.
fn naming(body: &Value) -> &'static [&'static str] {
    match body["event"].as_str() {
        Some("whatsapp") => &["event", "whatsapp"],
        Some("builder") => &["event", "builderID"],
        Some("online") => &["event", "accountID", "server"],
        _ => &["event"],
    }
}

/// Returns a value without secrets.
fn sealed(value: &Value, in_credential: bool, stays: bool, nesting: usize, secrets: &[String]) -> Value {
    match value {
        Value::Object(object) => {
            let member = |(name, member): (&String, &Value)| {
                let in_credential = in_credential || is_credential_member(object, name);
                (name.clone(), sealed(member, in_credential, false, nesting, secrets))
            };
            object.iter().map(member).collect()
        }
        Value::Array(list) => list.iter().map(|value| sealed(value, in_credential, false, nesting, secrets)).collect(),
        _ => {
            let Some(text) = sealable(value) else { return value.clone() };
            if in_credential || (!stays && repeats_one(&text, secrets)) {
                return json!(SEALED);
            }
            if value.is_string()
                && let Some(inner) = json_in(&text)
            {
                let is_too_deep = nesting == MAX_NESTING;
                let inner = || sealed(&inner, false, false, nesting + 1, secrets).to_string();
                return if is_too_deep { json!(SEALED) } else { json!(inner()) };
            }
            let without = map_url_credentials(&text, |_| SEALED.to_owned());
            if !stays && contains_one(&without, secrets) {
                json!(SEALED)
            } else if value.is_string() {
                json!(without)
            } else {
                value.clone()
            }
        }
    }
}

/// Returns the redacted body that the rule demands.
fn expected(body: &Value, secrets: &[String]) -> Value {
    let mut redacted = sealed(body, false, false, 0, secrets);
    for name in naming(body) {
        if body.get(name).is_some_and(|value| !value.is_object() && !value.is_array()) {
            redacted[name] = sealed(&body[name], false, true, 0, secrets);
        }
    }
    redacted
}

/// Reads a whole number that may have an exponent, such as `12E3` or `1200E-2`.
fn whole(text: &str) -> Option<String> {
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (number, exponent) = (digits.parse::<i128>().ok()?, exponent.parse::<i32>().ok()?);
    if number == 0 {
        return Some("0".to_owned());
    }
    let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
    let value = if exponent < 0 { (number % power == 0).then(|| number / power) } else { number.checked_mul(power) };
    value.map(|value| value.to_string()).filter(|digits| digits.trim_start_matches('-').len() <= 38)
}

/// Returns entity, reference and update code of a redacted body.
fn facts(redacted: &Value) -> (String, Option<String>, Option<String>) {
    let text = |name: &str| match &redacted[name] {
        Value::String(text) if text.len() > 1_024 => None,
        Value::String(text) => (!["", SEALED].contains(&text.as_str())).then(|| text.clone()),
        Value::Number(number) if number.is_i64() => Some(number.to_string()),
        _ => None,
    };
    let integer = |name: &str| whole(text(name)?.trim());
    let without_blanks = |name: &str| {
        let text = text(name).map(|text| text.replace(' ', ""));
        text.filter(|text| !text.is_empty() && text.len() <= 256)
    };
    let line = |text: String| match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text,
        false => whole(&text).unwrap_or(text),
    };
    let kind = redacted["event"].as_str().unwrap_or("unnamed");
    let entity = match kind {
        "whatsapp" => without_blanks("whatsapp").map(line),
        "builder" => integer("builderID"),
        "online" => integer("accountID")
            .map(|account| format!("{}#{account}", without_blanks("server").as_deref().unwrap_or("-"))),
        _ => None,
    };
    let entity = format!("{kind}#{}", entity.as_deref().unwrap_or("-"));
    (entity, text(&format!("{kind}_reference")), integer(&format!("{kind}_extra_info")))
}

/// Returns a value whose texts with JSON are that JSON, so that their layout does not matter.
fn opened(value: &Value) -> Value {
    match value {
        Value::Object(object) => object.iter().map(|(name, value)| (name.clone(), opened(value))).collect(),
        Value::Array(list) => list.iter().map(opened).collect(),
        Value::String(text) => json_in(text).map_or_else(|| value.clone(), |json| json!({"text of": opened(&json)})),
        _ => value.clone(),
    }
}

/// Calls `visit` with each scalar value of a body and whether it names the entity.
fn visit_scalars(value: &Value, names: bool, visit: &mut dyn FnMut(String, bool)) {
    match value {
        Value::Object(object) => object.values().for_each(|value| visit_scalars(value, false, visit)),
        Value::Array(list) => list.iter().for_each(|value| visit_scalars(value, false, visit)),
        Value::String(text) => match json_in(text) {
            Some(json) => visit_scalars(&json, false, visit),
            None => visit(text.clone(), names),
        },
        _ => visit(value.to_string(), names),
    }
}

/// Generates the text of a secret; some are those of other fields, too short or padded.
fn secret_text() -> impl Strategy<Value = String> {
    let few = vec![
        "Kq7-4191-Zt",
        "Kq7-4191-Zt-55",
        "Vb8-Tr55",
        "Vb8-Tr5",
        "c7",
        " c7 ",
        "k",
        "48151623",
        "1234",
        "7",
        "OK",
        "whatsapp",
        "online",
        "reference",
        "972501234567",
        "eu1",
        "client-7",
        "א1ב2ג3ד4",
        " padded-key-1 ",
        "two words here",
        "true",
        SEALED,
        "",
        "  ",
    ];
    prop_oneof![4 => select(few).prop_map(str::to_owned), 1 => "[A-Za-z0-9-]{4,14}", 1 => "-?[0-9]{1,3}[eE]-?[0-3]"]
}

fn credential_name() -> impl Strategy<Value = String> {
    let ends = vec![
        "api key",
        "token",
        "secret",
        "password",
        "passwd",
        "pwd",
        "authorization",
        "credential",
        "credentials",
        "private key",
    ];
    let starts = vec!["", "", "whatsapp ", "access ", "client ", "x ", "oauth2 "];
    (select(starts), select(ends), 0..7, any::<bool>()).prop_map(|(start, end, style, is_numbered)| {
        let phrase = format!("{start}{end}");
        let parts: Vec<&str> = phrase.split(' ').collect();
        let capital = |word: &&str| word[..1].to_uppercase() + &word[1..];
        let name = match style {
            0 => parts[0].to_owned() + &parts[1..].iter().map(capital).collect::<String>(),
            1 => parts.iter().map(capital).collect(),
            2 => parts.join("_"),
            3 => parts.join("-"),
            4 => parts.join("_").to_uppercase(),
            5 => parts.iter().map(capital).collect::<Vec<String>>().join("-"),
            _ => parts.concat(),
        };
        if is_numbered && style == 2 { name + "2" } else { name }
    })
}

fn other_name() -> impl Strategy<Value = String> {
    let names = vec![
        "prompt_tokens",
        "max_tokens",
        "maxTokens",
        "token_type",
        "tokenType",
        "secretary_phone",
        "secretary",
        "access_tokens_url",
        "secret_type",
        "secrets",
        "privacy",
        "api_key_id",
        "apiKeys",
        "password_hint",
        "authorization_url",
        "credentialsUrl",
        "public_key",
        "keyboard",
        "pwd-age",
        "name",
        "key",
        "header",
        "fieldName",
        "value",
        "field_value",
        "values",
        "url",
        "note",
        "data",
        "status",
        "whatsapp",
        "builderID",
        "server",
        "whatsapp_reference",
        "Kq7-4191-Zt",
        "טוקן",
    ];
    select(names).prop_map(str::to_owned)
}

fn url(texts: &[String]) -> impl Strategy<Value = String> + use<> {
    let escape = |text: &str| text.replace(' ', "%20").replace('-', "%2D").replace('[', "%5B");
    let parameter =
        (prop_oneof![credential_name(), other_name()], select(texts.to_vec()), any::<bool>(), select(vec!["&", "#"]))
            .prop_map(move |(name, value, escapes, sign)| {
                let value = if escapes { escape(&value) } else { value.replace(' ', "+") };
                format!("{name}={value}{sign}")
            });
    let begin = vec!["https://b.example/token=1?", "https://b.example/#", "see b.example/?", "Kq7-4191-Zt /?"];
    (prop::collection::vec(parameter, 0..4), select(begin))
        .prop_map(|(parameters, begin)| format!("{begin}{} .", parameters.concat()))
}

fn scalar(texts: &[String]) -> impl Strategy<Value = Value> + use<> {
    prop_oneof![
        6 => select(texts.to_vec()).prop_map(Value::from),
        1 => secret_text().prop_map(Value::from),
        2 => select(texts.to_vec()).prop_map(|text| json!(format!("see {text}!"))),
        2 => select(vec![7, 1234, 48_151_623, 481_516_234, 972_501_234_567_i64, -5]).prop_map(Value::from),
        1 => select(vec![json!(null), json!(true), json!(false), json!(1.5), json!([]), json!({})]),
        2 => url(texts).prop_map(Value::from),
    ]
}

/// Generates a value of any depth, with pairs, and with JSON in texts.
fn value(texts: &[String]) -> impl Strategy<Value = Value> + use<> {
    scalar(texts).prop_recursive(4, 24, 4, |inner| {
        let pair = (
            select(vec!["name", "key", "headerName", "param", "surname"]),
            prop_oneof![credential_name(), other_name()],
            select(vec!["value", "field_value", "Val", "values"]),
            inner.clone(),
        );
        prop_oneof![
            2 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            4 => members(inner.clone(), 0..4).prop_map(Value::from),
            2 => pair.prop_map(|(name, of, value, it)| json!({name: of, value: it, "note": "x"})),
            1 => members(inner.clone(), 0..4).prop_map(|members| json!(Value::Object(members).to_string())),
            1 => (inner, 1..7).prop_map(|(value, times)| (0..times).fold(value, |value, _| json!([value]).to_string().into())),
        ]
    })
}

fn members(
    value: impl Strategy<Value = Value>,
    count: std::ops::Range<usize>,
) -> impl Strategy<Value = Map<String, Value>> {
    let name = prop_oneof![1 => credential_name(), 1 => other_name()];
    prop::collection::vec((name, value), count).prop_map(|members| members.into_iter().collect())
}

/// Generates a body from few texts, so that they often repeat each other.
fn body() -> impl Strategy<Value = Value> {
    prop::collection::vec(secret_text(), 1..4).prop_flat_map(|texts| body_of(&texts))
}

fn body_of(texts: &[String]) -> impl Strategy<Value = Value> + use<> {
    let kinds = vec![
        ("whatsapp", &["whatsapp", "whatsapp_reference", "whatsapp_extra_info", "daily_limit", "whatsapp_apiKey"][..]),
        ("builder", &["builderID", "builder_url", "builder_reference", "builder_extra_info", "server"]),
        ("online", &["accountID", "agentID", "inboxID", "server", "online_reference", "online_extra_info"]),
        ("package", &["package_reference", "package_extra_info", "whatsapp_apiKey"]),
        ("voice", &["voice_reference", "voice_extra_info", "whatsapp"]),
        ("", &["unnamed_reference", "unnamed_extra_info", "whatsapp_apiKey"]),
    ];
    let field = || {
        let usual =
            select(vec![json!("972501234567"), json!(523), json!("client-7"), json!(2), json!("eu1"), json!(" 7 ")]);
        prop::option::weighted(0.8, prop_oneof![3 => usual, 2 => scalar(texts)])
    };
    (select(kinds), prop::collection::vec(field(), 6), members(value(texts), 0..6)).prop_map(
        |((kind, names), fields, members)| {
            let mut body = members;
            body.extend(names.iter().zip(fields).filter_map(|(name, value)| Some(((*name).to_owned(), value?))));
            body.insert("status".to_owned(), json!("OK"));
            if !kind.is_empty() {
                body.insert("event".to_owned(), json!(kind));
            }
            Value::Object(body)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_body_is_sealed_as_the_rule_says_and_not_otherwise(body in body()) {
        let text = body.to_string();
        let secrets = secrets_of(&body);
        let expected = expected(&body, &secrets);
        let event = Event::decode(text.as_bytes()).unwrap();
        let redacted: Value = serde_json::from_str(&event.body).unwrap();

        // No credential is left. One that contains the placeholder may seem to be, in place of another.
        let shown: Vec<String> = secrets.iter().filter(|secret| !secret.contains(SEALED)).cloned().collect();
        let mut left = Vec::new();
        for (name, member) in redacted.as_object().unwrap() {
            visit_scalars(member, naming(&body).contains(&name.as_str()), &mut |value, names| {
                if !names && (repeats_one(&value, &shown) || contains_one(&value, &shown)) {
                    left.push(value);
                }
            });
        }
        left.retain(|value| !matches!(value.as_str(), "true" | "false" | "null"));
        prop_assert!(left.is_empty(), "{left:?} in {}", event.body);
        for (name, value) in event.fields.documented().iter().chain(event.fields.undocumented()) {
            let (value, names) = (value.to_string(), naming(&body).contains(&name.as_str()));
            prop_assert!(names || value == "true" || !repeats_one(&value, &shown), "{name}: {value}");
        }

        // Nothing else changes.
        prop_assert_eq!(opened(&redacted), opened(&expected));
        let found = (
            event.entity.to_string(),
            event.fields.reference().map(str::to_owned),
            event.fields.extra_info().map(ToString::to_string),
        );
        prop_assert_eq!(found, facts(&expected));

        // The line's key is the documented one, and the original is sealed as it came.
        let changes = opened(&expected) != opened(&body);
        prop_assert_eq!(event.sealed.as_ref().map(|sealed| sealed.body.expose()), changes.then_some(&text[..]));
        let key = body.get("whatsapp_apiKey").and_then(sealable);
        prop_assert_eq!(event.sealed.and_then(|sealed| Some(sealed.api_key?.expose().to_owned())), key);
    }
}
