//! Tests the entity of an event: one line, bot or inbox has one key in every spelling.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

use shared::{Entity, Event, Kind};

fn decode(body: &str) -> Event {
    Event::decode(body.as_bytes()).unwrap()
}

fn entity(body: &str) -> String {
    decode(body).entity.to_string()
}

#[test]
fn a_line_has_one_key_however_its_number_is_written() {
    for number in [
        "\"972500000001\"",
        "\"+972500000001\"",
        "\"\u{202a}972500000001\u{202c}\"",
        "\"\u{200f}972500000001\"",
        "\"\\u200e+972500000001\\u200e\"",
        "\"\u{2066}+\u{200b}972500\u{ad}000001\u{2069}\u{feff}\"",
        "\" 972 50\u{a0}000\u{202f}0001\\n\"",
        "\"\\u0000972500000001\\u009f\"",
        "972500000001",
        "972500000001.0",
        "9.72500000001E11",
        "9725000000010e-1",
        "\"9.72500000001E11\"",
        "\"972500000001.0\"",
    ] {
        let body = format!(r#"{{"event":"whatsapp","whatsapp":{number},"whatsapp_extra_info":2.0}}"#);
        let event = decode(&body);
        assert_eq!(event.entity.as_str(), "whatsapp#972500000001", "{body}");
        assert_eq!(event.fields.text("whatsapp"), Some("972500000001"), "{body}");
        assert_eq!(event.fields.extra_info().unwrap().as_str(), "2");
        assert_eq!(event.body, body);
    }
}

#[test]
fn bots_and_inboxes_have_one_key_in_every_spelling() {
    for id in ["523", "523.0", "5.23e2", "\"523\"", "\" +523.00\"", "\"\u{200f}523\"", "52300E-2"] {
        assert_eq!(entity(&format!(r#"{{"event":"builder","builderID":{id}}}"#)), "builder#523", "{id}");
        assert_eq!(
            entity(&format!(r#"{{"event":"online","accountID":{id},"server":"\u200eeu1 "}}"#)),
            "online#eu1#523"
        );
    }
    assert_eq!(entity(r#"{"event":"online","accountID":523}"#), "online#-#523");
}

#[test]
fn long_numbers_keep_every_digit() {
    assert_eq!(entity(r#"{"event":"builder","builderID":9007199254740993.0}"#), "builder#9007199254740993");
    assert_eq!(
        entity(r#"{"event":"whatsapp","whatsapp":97250123456712345678901234567}"#),
        "whatsapp#97250123456712345678901234567"
    );
}

#[test]
fn a_value_that_is_no_whole_number_names_no_entity() {
    for id in ["523.5", "1e999999999", "1e-5", "\"5 2 x\"", "\"\"", "null", "true", "[523]", "{}"] {
        assert_eq!(entity(&format!(r#"{{"event":"builder","builderID":{id}}}"#)), "builder#-", "{id}");
    }
    for number in ["\"\u{200f} \"", "\"+\"", "\"-\"", "1.5", "null"] {
        assert_eq!(entity(&format!(r#"{{"event":"whatsapp","whatsapp":{number}}}"#)), "whatsapp#-", "{number}");
    }
    let longest = "9".repeat(256);
    assert_eq!(entity(&format!(r#"{{"event":"whatsapp","whatsapp":"{longest}"}}"#)), format!("whatsapp#{longest}"));
    assert_eq!(entity(&format!(r#"{{"event":"whatsapp","whatsapp":"{longest}9"}}"#)), "whatsapp#-");
}

#[test]
fn only_an_entity_that_is_named_is_one() {
    for (body, is_unnamed) in [
        (r#"{"event":"whatsapp","whatsapp":"972501"}"#, false),
        (r#"{"event":"online","accountID":523}"#, false),
        (r#"{"event":"whatsapp"}"#, true),
        (r#"{"event":"online","server":"eu1"}"#, true),
        (r#"{"event":"package","package":"basic-100"}"#, true),
        (r#"{"event":"a#b"}"#, true),
        (r"{}", true),
    ] {
        assert_eq!(decode(body).entity.is_unnamed(), is_unnamed, "{body}");
    }
    assert!(!Entity::named("webhook-tokens").is_unnamed());
}

#[test]
fn an_inbox_without_its_server_is_not_named_in_whole() {
    for (body, is_whole) in [
        (r#"{"event":"online","server":"eu1","accountID":523}"#, true),
        (r#"{"event":"online","accountID":523}"#, false),
        (r#"{"event":"builder","builderID":523}"#, true),
        (r#"{"event":"a-b#-"}"#, false),
        (r#"{"event":"builder"}"#, false),
    ] {
        assert_eq!(decode(body).entity.is_whole(), is_whole, "{body}");
    }
}

#[test]
fn two_kinds_never_share_a_key() {
    for (kind, expected) in [
        ("whatsapp#972501234567", "whatsapp%23972501234567#-"),
        ("whatsapp%23972501234567", "whatsapp%2523972501234567#-"),
        ("quarantine", "%71uarantine#-"),
        ("%71uarantine", "%2571uarantine#-"),
        ("unnamed", "unnamed#-"),
        ("voice", "voice#-"),
        ("partners", "partners#-"),
        ("package", "package#-"),
    ] {
        let event = decode(&format!(r#"{{"event":"{kind}"}}"#));
        assert_eq!(event.entity.as_str(), expected);
        assert_eq!(event.kind.as_str(), kind);
    }
    assert_eq!(decode(r#"{"event":"unnamed"}"#).kind, Kind::Unnamed);
}

#[test]
fn a_kind_that_is_not_specified_yet_has_its_reference_and_update_code() {
    for kind in ["partners", "package", "voice"] {
        let event = decode(&format!(
            r#"{{"event":"{kind}","status":"OK","{kind}_reference":"r","{kind}_extra_info":3,"whatsapp":"972"}}"#
        ));
        assert_eq!((event.fields.reference(), event.fields.extra_info().unwrap().as_str()), (Some("r"), "3"));
        let names: Vec<&str> = event.fields.documented().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["status", &format!("{kind}_reference"), &format!("{kind}_extra_info")]);
        assert_eq!(event.fields.undocumented()[0].0, "whatsapp");
    }
}
