use serde_json::json;

use crate::{
    entity::Entity,
    fields::{Fields, MAX_TEXT},
    gzip::gunzip,
    json,
    kind::Kind,
    redact::{Document, PLACEHOLDER, Redacted},
    secret::Secret,
    undecodable::Undecodable,
};

/// One event, decoded: its kind and entity, its typed view, and its body without secrets.
///
/// Every JSON object decodes: unknown kinds and fields are kept, a field whose value cannot be read as its type stays in
/// the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The kind of the event.
    pub kind: Kind,
    /// The entity to whose history and state the event belongs.
    pub entity: Entity,
    /// The fields that could be read.
    pub fields: Fields,
    /// The body as received, byte for byte, with each secret replaced by `"[sealed]"`.
    pub body: String,
    /// The parts for the sealed table; `None` when the body has no secrets.
    pub sealed: Option<Sealed>,
}

/// Maximum length of a redacted body, in bytes. Replacing many small secrets can make a body longer, and an item holds at
/// most 400 KB. A longer body is replaced by a short note; the sealed table has the whole body.
const MAX_REDACTED: usize = 300_000;

/// The parts of an event that are stored only in the sealed table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The whole body as received.
    pub body: Secret,
    /// The line's key for the WhatsApp V2 API (provider's page: Partner Webhook, `whatsapp_apiKey`): anybody who has it can
    /// send messages as the client. Of a store it is the store's token. A key of more than 1,024 bytes is only in the body.
    pub api_key: Option<Secret>,
}

impl Event {
    /// Decodes a body, which may be compressed with gzip.
    ///
    /// # Errors
    /// Fails when the body is not a JSON object in UTF-8, or its gzip stream cannot be read.
    pub fn decode(body: &[u8]) -> Result<Self, Undecodable> {
        let body = gunzip(body)?;
        let received = std::str::from_utf8(&body).map_err(|_| Undecodable::NotUtf8)?;
        let text = received.strip_prefix('\u{feff}').unwrap_or(received);
        if text.trim().is_empty() {
            return Err(Undecodable::Empty);
        }
        if !json::is_json(text) {
            return Err(Undecodable::NotJson);
        }
        if !text.trim_start().starts_with('{') {
            return Err(Undecodable::NotAnObject);
        }

        let document = Document::scan(text);
        let kind = document.last("event").and_then(json::unquote).map_or(Kind::Unnamed, |name| Kind::of(&name));
        let Redacted { body, api_key, members } =
            document.redact(Entity::naming_fields(&kind), Entity::key_field(&kind));
        let fields = Fields::read(&kind, members);
        let entity = Entity::of(&kind, &fields);
        let api_key = api_key.filter(|key| key.expose().len() <= MAX_TEXT);
        let sealed = body.is_some().then(|| Sealed { body: Secret::new(received), api_key });
        let body = match body {
            Some(redacted) if redacted.len() > MAX_REDACTED => json!({"event": kind, "body": PLACEHOLDER}).to_string(),
            Some(redacted) => redacted,
            None => text.to_owned(),
        };
        Ok(Self { kind, entity, fields, body, sealed })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value as Json;

    use super::*;
    use crate::{fields::Value, integer::Integer};

    fn decode(json: &Json) -> Event {
        Event::decode(json.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn the_documented_examples_name_their_entity_reference_and_update() {
        let line = decode(
            &json!({"status":"OK","event":"whatsapp","whatsapp":"972501234567","whatsapp_reference":"1234567","whatsapp_extra_info":2,"whatsapp_apiKey":"123-456-789"}),
        );
        let bot = decode(
            &json!({"status":"OK","event":"builder","builderID":523,"builder_url":"https://builderurl.com/...","builder_reference":"63f563","builder_extra_info":1}),
        );
        let inbox = decode(
            &json!({"status":"OK","event":"online","accountID":523,"agentID":14,"inboxID":3,"server":"online","online_reference":"5234-my-code","online_extra_info":7}),
        );
        let shown = [line, bot, inbox].map(|event| {
            let status = event.fields.extra_info().map(ToString::to_string);
            (event.entity.to_string(), event.fields.reference().map(str::to_owned), status)
        });
        let expected = [
            ("whatsapp#972501234567", "1234567", "2"),
            ("builder#523", "63f563", "1"),
            ("online#online#523", "5234-my-code", "7"),
        ];
        assert_eq!(
            shown,
            expected.map(|(entity, reference, status)| (
                entity.to_owned(),
                Some(reference.to_owned()),
                Some(status.to_owned())
            ))
        );
    }

    #[test]
    fn numbers_sent_as_strings_and_strings_sent_as_numbers_are_read() {
        let event = decode(
            &json!({"event":"online","accountID":"523","server":7,"online_reference":5234,"online_extra_info":" 7 "}),
        );
        assert_eq!(event.entity.as_str(), "online#7#523");
        assert_eq!(event.fields.reference(), Some("5234"));
        assert_eq!(event.fields.extra_info().unwrap().as_str(), "7");
    }

    #[test]
    fn a_number_too_large_for_any_machine_word_is_not_rounded() {
        let event = Event::decode(br#"{"event":"whatsapp","whatsapp":97250123456712345678901234567}"#).unwrap();
        assert_eq!(event.entity.as_str(), "whatsapp#97250123456712345678901234567");
    }

    #[test]
    fn a_field_of_an_impossible_type_stays_in_the_body_alone() {
        let body = json!({"event":"whatsapp","whatsapp":["972"],"whatsapp_extra_info":"soon","daily_limit":1.5,"whatsapp_reference":true});
        let event = decode(&body);
        assert_eq!(event.entity.as_str(), "whatsapp#-");
        assert_eq!(event.fields.documented(), []);
        assert_eq!(event.body, body.to_string());
    }

    #[test]
    fn kinds_that_nobody_has_heard_of_are_events() {
        let event = decode(&json!({"event":"voice","voice_reference":"r1","voice_extra_info":3,"line":"972"}));
        assert_eq!(event.kind, Kind::Other("voice".to_owned()));
        assert_eq!(event.entity.as_str(), "voice#-");
        assert_eq!(event.fields.reference(), Some("r1"));
        assert_eq!(event.fields.undocumented(), [("line".to_owned(), Value::Text("972".to_owned()))]);
        for body in [json!({}), json!({"event":7}), json!({"event":null}), json!({"event":{"event":"whatsapp"}})] {
            assert_eq!(decode(&body).kind, Kind::Unnamed, "{body}");
        }
    }

    #[test]
    fn undocumented_fields_have_a_name_of_1_to_64_bytes_and_are_at_most_32() {
        let named = |lengths: &[usize]| {
            let members = lengths.iter().map(|length| ("n".repeat(*length), json!(1)));
            let event = decode(&members.collect());
            event.fields.undocumented().iter().map(|(name, _)| name.len()).collect::<Vec<_>>()
        };
        assert_eq!(named(&[0, 1, 64, 65, 66]), [1, 64]);
        assert_eq!(named(&(1..=40).collect::<Vec<_>>()), (1..=32).collect::<Vec<_>>());
    }

    #[test]
    fn an_undocumented_field_keeps_its_type() {
        let event = decode(&json!({"event": "x", "a": "5", "b": 5, "c": true, "d": null}));
        let number = Integer::from_decimal("5").unwrap();
        let values = [Value::Text("5".to_owned()), Value::Integer(number), Value::Flag(true)];
        let shown: Vec<_> = event.fields.undocumented().iter().map(|(_, value)| value.clone()).collect();
        assert_eq!(shown, values);
    }

    #[test]
    fn of_a_repeated_field_the_last_one_counts() {
        let event = Event::decode(br#"{"event":"builder","event":"whatsapp","whatsapp":"1","whatsapp":"2"}"#).unwrap();
        assert_eq!(event.entity.as_str(), "whatsapp#2");
        let event = Event::decode(br#"{"event":"voice","a":1,"b":2,"a":1.5,"b":3}"#).unwrap();
        let [(name, value)] = event.fields.undocumented() else { panic!("{:?}", event.fields) };
        assert_eq!((name.as_str(), value.to_string()), ("b", "3".to_owned()));
    }

    #[test]
    fn the_api_key_is_in_the_sealed_part_alone() {
        let event = decode(&json!({"event":"whatsapp","whatsapp":"972501234567","whatsapp_apiKey":"123-456-789"}));
        let sealed = event.sealed.as_ref().unwrap();
        assert_eq!(sealed.api_key.as_ref().unwrap().expose(), "123-456-789");
        assert!(sealed.body.expose().contains("123-456-789"));
        assert!(!format!("{event:?}").contains("123-456-789"));
        assert!(event.body.contains(r#""whatsapp_apiKey":"[sealed]""#));
    }

    #[test]
    fn credentials_are_found_under_other_names_and_at_any_depth() {
        for body in [
            r#"{"whatsapp_apikey":"123-456-789"}"#,
            r#"{"whatsapp\u005fapi\u004bey" : "123-456-789"}"#,
            r#"{"a":[{"API-KEY":123456789}]}"#,
            r#"{"apiKey":{"old":["123-456-789"],"new":"x"}}"#,
            r#"{"whatsapp_apiKey":"123-456-789","note":"the key is 123-456-789."}"#,
            r#"{"note":"123-456-78\u0039","whatsapp_apiKey":"123-456-789"}"#,
            r#"{"access_token":"123-456-789","client_secret":"123-456-789"}"#,
            r#"{"data":"{\"whatsapp_apiKey\":\"123-456-789\"}"}"#,
            r#"{"event":"builder","builder_url":"https://example.com/123-456-789","token":" 123-456-789 "}"#,
            r#"{"event":"whatsapp","whatsapp_reference":"123-456-789","whatsapp_apiKey":"123-456-789"}"#,
        ] {
            let event = Event::decode(body.as_bytes()).unwrap();
            let shown = format!("{event:?}");
            assert!(!shown.contains("123-456-78") && !shown.contains("123456789"), "{body} -> {shown}");
            assert_eq!(event.sealed.unwrap().body.expose(), body);
            assert!(json::is_json(&event.body), "{}", event.body);
        }
    }

    #[test]
    fn a_store_is_an_entity_of_its_own_whose_token_is_its_key() {
        let body = json!({"event":"store","whatsapp":"972501234567","token":"abc123xyz","store_reference":"r"});
        let event = decode(&body);
        assert_eq!((event.entity.as_str(), event.fields.reference()), ("store#972501234567", Some("r")));
        assert!(!event.body.contains("abc123xyz"));
        assert_eq!(event.sealed.unwrap().api_key.unwrap().expose(), "abc123xyz");
        assert_eq!(decode(&json!({"event":"whatsapp","token":"abc123xyz"})).sealed.unwrap().api_key, None);
    }

    #[test]
    fn a_body_without_credentials_is_not_sealed() {
        for body in [
            r#"{"event":"whatsapp","whatsapp_apiKey":null}"#,
            r#"{"whatsapp_apiKey":""}"#,
            r#" {"a" : 1.0e400, "a":1} "#,
        ] {
            let event = Event::decode(body.as_bytes()).unwrap();
            assert_eq!((event.body.as_str(), event.sealed), (body, None));
        }
    }

    #[test]
    fn thousands_of_credentials_are_all_sealed() {
        let members: Vec<String> =
            (0..10_000).map(|n| format!(r#""token{n}":"secret-number-{n}","n{n}":"secret-number-{n}""#)).collect();
        let event = Event::decode(format!("{{{}}}", members.join(",")).as_bytes()).unwrap();
        assert!(!event.body.contains("secret-number"));
    }

    #[test]
    fn a_body_that_redaction_would_blow_up_is_kept_short_and_its_fields_are_read() {
        let body = format!(r#"{{"event":"package","package_reference":"r"{}}}"#, r#","token":1"#.repeat(26_000));
        let event = Event::decode(body.as_bytes()).unwrap();
        assert_eq!(event.body, r#"{"body":"[sealed]","event":"package"}"#);
        assert_eq!(event.fields.reference(), Some("r"));
        assert_eq!(event.sealed.unwrap().body.expose(), body);
    }

    #[test]
    fn a_redacted_body_may_have_300_000_bytes() {
        let padded = |padding: usize| {
            decode(&json!({"event": "x", "token": "a secret of the sender", "text": " ".repeat(padding)})).body
        };
        let most = MAX_REDACTED - padded(0).len();
        assert_eq!(padded(most).len(), MAX_REDACTED);
        assert_eq!(padded(most + 1), r#"{"body":"[sealed]","event":"x"}"#);
    }

    #[test]
    fn a_byte_order_mark_before_an_event_is_no_part_of_it() {
        let event = Event::decode(b"\xef\xbb\xbf{\"event\":\"whatsapp\",\"whatsapp\":\"972500000001\"}").unwrap();
        assert_eq!(event.entity.as_str(), "whatsapp#972500000001");
        assert_eq!(event.body, r#"{"event":"whatsapp","whatsapp":"972500000001"}"#);
    }

    #[test]
    fn a_body_that_is_no_object_is_no_event() {
        for (body, cause) in [
            (&b""[..], Undecodable::Empty),
            (b" \r\n", Undecodable::Empty),
            (b"\xff{}", Undecodable::NotUtf8),
            (b"{\"a\":1 \"b\":2}", Undecodable::NotJson),
            (b"{\"a\":1", Undecodable::NotJson),
            (b"\xef\xbb\xbf", Undecodable::Empty),
            (b"\xef\xbb\xbf\xef\xbb\xbf{}", Undecodable::NotJson),
            (b"a=1&b=2", Undecodable::NotJson),
            (b"[{}]", Undecodable::NotAnObject),
            (b" \"{}\"", Undecodable::NotAnObject),
            (b"12", Undecodable::NotAnObject),
            (b"null", Undecodable::NotAnObject),
        ] {
            assert_eq!(Event::decode(body).unwrap_err(), cause, "{}", String::from_utf8_lossy(body));
        }
    }

    /// Generates any JSON value, including names and texts that the decoder treats specially.
    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<f64>().prop_map(Json::from),
            ".*".prop_map(Json::from),
            "[0-9]{1,45}".prop_map(Json::from),
            Just(json!("123-456-789")),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Json::from),
                any_object(inner).prop_map(Json::Object),
            ]
        })
    }

    fn any_object(value: impl Strategy<Value = Json>) -> impl Strategy<Value = serde_json::Map<String, Json>> {
        let name = prop_oneof![
            ".*",
            prop::sample::select(vec![
                "status",
                "whatsapp",
                "whatsapp_reference",
                "whatsapp_extra_info",
                "whatsapp_apiKey",
                "builderID",
                "accountID",
                "server"
            ])
            .prop_map(str::to_owned),
        ];
        prop::collection::vec((name, value), 0..8).prop_map(|members| members.into_iter().collect())
    }

    fn any_event() -> impl Strategy<Value = serde_json::Map<String, Json>> {
        let kind = prop_oneof![
            prop::sample::select(vec!["whatsapp", "builder", "online", "partners", "package", "voice"])
                .prop_map(Json::from),
            any_json(),
        ];
        (any_object(any_json()), prop::option::of(kind)).prop_map(|(mut object, kind)| {
            object.extend(kind.map(|kind| ("event".to_owned(), kind)));
            object
        })
    }

    proptest! {
        #[test]
        fn any_json_object_decodes_and_loses_nothing_but_the_sealed_secret(object in any_event()) {
            let text = Json::Object(object.clone()).to_string();
            let event = Event::decode(text.as_bytes()).unwrap();
            match &event.sealed {
                Some(sealed) => prop_assert_eq!(sealed.body.expose(), &text),
                None => prop_assert_eq!(&event.body, &text),
            }
            let redacted: Json = serde_json::from_str(&event.body).unwrap();
            let object: serde_json::Map<String, Json> = serde_json::from_str(&text).unwrap();
            for (name, value) in &object {
                let unchanged = redacted.get(name) == Some(value);
                prop_assert!(unchanged || event.sealed.is_some(), "{} is lost", name);
            }
        }

        #[test]
        fn an_api_key_never_shows(object in any_event(), key in "[A-Za-z0-9-]{8,40}") {
            let mut object = object;
            object.insert("whatsapp_apiKey".to_owned(), json!(key));
            let event = decode(&Json::Object(object.clone()));
            object.remove("whatsapp_apiKey");
            prop_assume!(!Json::Object(object).to_string().contains(&key));
            let shown = format!("{event:?}");
            prop_assert!(!shown.contains(&key));
            let api_key = event.sealed.and_then(|sealed| sealed.api_key);
            prop_assert_eq!(api_key, Some(Secret::new(key)));
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(body: Vec<u8>) {
            let _ = Event::decode(&body);
        }

        #[test]
        fn no_text_of_json_pieces_makes_the_decoder_panic(pieces in prop::collection::vec(prop::sample::select(vec!["{", "}", "[", "]", "\"", "\\", "\\u", "d800", ":", ",", "apiKey", "event", "whatsapp", "1", "e", "true", " ", "é"]), 0..40)) {
            let _ = Event::decode(pieces.concat().as_bytes());
        }
    }
}
