//! Tests the sealing of an event's secrets, case by case.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

use shared::Event;

fn decode(body: &str) -> Event {
    Event::decode(body.as_bytes()).unwrap()
}

/// Returns the redacted body.
fn redacted(body: &str) -> String {
    decode(body).body
}

/// Returns entity, reference and update code, as far as the event has them.
fn facts(event: &Event) -> (&str, Option<&str>, Option<&str>) {
    (event.entity.as_str(), event.fields.reference(), event.fields.extra_info().map(|code| code.as_str()))
}

fn api_key(body: &str) -> Option<String> {
    decode(body).sealed?.api_key.map(|key| key.expose().to_owned())
}

#[test]
fn a_body_is_sealed_member_by_member() {
    for (body, expected) in [
        // Names decide, at any depth.
        (r#"{"whatsapp_apiKey":"Kq7-41"}"#, r#"{"whatsapp_apiKey":"[sealed]"}"#),
        (
            r#"{"a":[{"client-secret":"s1","b":{"db_passwd":12345}}]}"#,
            r#"{"a":[{"client-secret":"[sealed]","b":{"db_passwd":"[sealed]"}}]}"#,
        ),
        (r#"{ "Authorization" : "Bearer abc" , "n": 1 }"#, r#"{ "Authorization" : "[sealed]" , "n": 1 }"#),
        // Secrets are the scalars of a credential, not its members' names.
        (
            r#"{"event":"whatsapp","whatsapp":"972501","apiKey":{"whatsapp":"972501","list":["Zr55-19",true,null,"",7001]}}"#,
            r#"{"event":"whatsapp","whatsapp":"972501","apiKey":{"whatsapp":"[sealed]","list":["[sealed]",true,null,"","[sealed]"]}}"#,
        ),
        (
            r#"{"password":"status","status":"OK","m":"status"}"#,
            r#"{"password":"[sealed]","status":"OK","m":"[sealed]"}"#,
        ),
        // Pairs.
        (
            r#"{"fields":[{"name":"whatsapp_apiKey","value":"Kq7-41"},{"name":"colour","value":"red"}]}"#,
            r#"{"fields":[{"name":"whatsapp_apiKey","value":"[sealed]"},{"name":"colour","value":"red"}]}"#,
        ),
        (
            r#"{"value":["Kq7-41",{"x":"Kq7-42"}],"key":"api_key"}"#,
            r#"{"value":["[sealed]",{"x":"[sealed]"}],"key":"api_key"}"#,
        ),
        (
            r#"{"name":["token"],"value":"v1","o":{"name":"token"}}"#,
            r#"{"name":["token"],"value":"v1","o":{"name":"token"}}"#,
        ),
        // URLs.
        (
            r#"{"event":"builder","builder_url":"https://b.example/x?a=1&token=Kq7-41#top"}"#,
            r#"{"event":"builder","builder_url":"https://b.example/x?a=1&token=[sealed]#top"}"#,
        ),
        (
            r#"{"u":"https:\/\/b.example\/?pwd=s%20p&b=2","n":"s p"}"#,
            r#"{"u":"https://b.example/?pwd=[sealed]&b=2","n":"[sealed]"}"#,
        ),
        (r#"{"u":"https://b.example/?token=&b=2"}"#, r#"{"u":"https://b.example/?token=&b=2"}"#),
        // JSON in texts.
        (
            r#"{"data":" {\"apiKey\":\"Kq7-41\",\"n\":[1]}","copy":"Kq7-41"}"#,
            r#"{"data":" {\"apiKey\":\"[sealed]\",\"n\":[1]}","copy":"[sealed]"}"#,
        ),
        (
            r#"{"data":"[\"[\\\"{\\\\\\\"token\\\\\\\":\\\\\\\"Kq7-41\\\\\\\"}\\\"]\"]"}"#,
            r#"{"data":"[\"[\\\"{\\\\\\\"token\\\\\\\":\\\\\\\"[sealed]\\\\\\\"}\\\"]\"]"}"#,
        ),
        (r#"{"data":"\"{\\\"token\\\":\\\"Kq7-41\\\"}\""}"#, r#"{"data":"\"{\\\"token\\\":\\\"[sealed]\\\"}\""}"#),
        (r#"{"secret":"{\"a\":\"Kq7-41\"}","copy":"Kq7-41"}"#, r#"{"secret":"[sealed]","copy":"[sealed]"}"#),
        // Repeated values: as a whole at any length, inside other values from 8 characters.
        (
            r#"{"token":"Kq7-4191","a":"see Kq7-4191!","b":" Kq7-4191 ","c":"Kq7-419"}"#,
            r#"{"token":"[sealed]","a":"[sealed]","b":"[sealed]","c":"Kq7-419"}"#,
        ),
        (
            r#"{"token":"Kq7-419","a":"see Kq7-419!","b":"Kq7-419"}"#,
            r#"{"token":"[sealed]","a":"see Kq7-419!","b":"[sealed]"}"#,
        ),
        (
            r#"{"token":"48151623","n":481516234,"m":48151623,"o":4815162}"#,
            r#"{"token":"[sealed]","n":"[sealed]","m":"[sealed]","o":4815162}"#,
        ),
        (r#"{"token":"א1ב2ג3ד4","a":"<א1ב2ג3ד4>"}"#, r#"{"token":"[sealed]","a":"[sealed]"}"#),
        (r#"{"pin_token":1234,"a":1234}"#, r#"{"pin_token":"[sealed]","a":"[sealed]"}"#),
        (
            r#"{"has_token":1,"is_secret":"0","n":1,"z":"0"}"#,
            r#"{"has_token":"[sealed]","is_secret":"[sealed]","n":1,"z":"0"}"#,
        ),
        (r#"{"token":"rue","n":true,"t":"Kq"}"#, r#"{"token":"[sealed]","n":true,"t":"Kq"}"#),
        // An escape does not hide a repetition.
        (r#"{"to\u006ben":"Kq7-4191","a":"Kq7\u002d4191"}"#, r#"{"to\u006ben":"[sealed]","a":"[sealed]"}"#),
    ] {
        assert_eq!(redacted(body), expected, "{body}");
        assert_eq!(decode(body).sealed.is_some(), body != expected, "{body}");
    }
}

#[test]
fn names_that_only_resemble_those_of_credentials_seal_nothing() {
    for body in [
        r#"{"usage":{"prompt_tokens":1234,"total_tokens":1290},"max_tokens":4096,"token_type":"whatsapp"}"#,
        r#"{"greeting":"Please call the secretary","secretary_phone":"039999999","access_token_type":"reference"}"#,
        r#"{"access_tokens_url":"https://b.example/tokens","secret_type":"x","permissions":{"secrets":"read"},"privacy":"secret"}"#,
        r#"{"token":"","apiKey":null,"secret":true,"password":"  ","pwd":[],"authorization":{}}"#,
        r#"{"note":"the token is in the mail","text":"{\"a\":\"no secret\"","maybe":"{apiKey}"}"#,
    ] {
        assert_eq!(redacted(body), body);
        assert_eq!(decode(body).sealed, None, "{body}");
    }
}

#[test]
fn of_the_members_of_another_providers_webhooks_only_the_secret_is_sealed() {
    // The member names that concern keys, secrets and permissions in the example payloads of GitHub's webhooks, and members
    // that hold the same values.
    for member in [
        r#""access_tokens_url":"https://git.example/installations/7/access_tokens""#,
        r#""analysis_key":".ci/scan.yml:scan""#,
        r#""authorized_actor_names":["mona"]"#,
        r#""authorized_actors_only":{"from":false}"#,
        r#""authorized_dismissal_actors_only":true"#,
        r#""author_association":"OWNER""#,
        r#""author":{"name":"Mona","email":"mona@git.example"}"#,
        r#""description":"Can read secret things""#,
        r#""download_url":"https://store.example/f?X-Amz-Algorithm=A4&X-Amz-Credential=AK7%2F20260101%2Faws4_request&X-Amz-Expires=300""#,
        r#""events":["push","secret_scanning_alert","read"]"#,
        r#""key":{"id":100,"key":"ssh-rsa AAAAB3Nza","title":"deploy","read_only":true}"#,
        r#""keys_url":"https://git.example/keys{/key_id}""#,
        r#""license":{"key":"mit","name":"MIT License"}"#,
        r#""path":"read""#,
        r#""permissions":{"secrets":"read","organization_secrets":"write","secret_scanning_alerts":"read"}"#,
        r#""private":true"#,
        r#""privacy":"secret""#,
        r#""secret_type":"maker_io_key""#,
    ] {
        let body = format!(r#"{{{member},"hook":{{"config":{{"secret":"********","url":"https://b.example/"}}}}}}"#);
        assert_eq!(redacted(&body), body.replace("********", "[sealed]"));
    }
}

#[test]
fn the_fields_that_name_the_entity_stay_and_others_that_repeat_a_key_do_not() {
    let of = |body: &str| {
        let event = decode(body);
        let (entity, reference, code) = facts(&event);
        format!("{entity} {} {}", reference.unwrap_or("-"), code.unwrap_or("-"))
    };
    // The key is the number of the line, or contains it.
    assert_eq!(
        of(r#"{"event":"whatsapp","whatsapp":"97250123456","whatsapp_apiKey":"97250123456"}"#),
        "whatsapp#97250123456 - -"
    );
    assert_eq!(
        of(r#"{"event":"online","accountID":52345678,"server":"s52345678","token":"52345678"}"#),
        "online#s52345678#52345678 - -"
    );
    assert_eq!(
        of(r#"{"event":"builder","builderID":5234567,"token":5234567,"builder_reference":"r"}"#),
        "builder#5234567 r -"
    );
    assert_eq!(of(r#"{"event":"package","secret":"package"}"#), "package#- - -");
    // Another kind's field is a field like any other.
    let body = r#"{"event":"whatsapp","whatsapp":"972501","server":"https://s.example/Vb8-Tr55","whatsapp_apiKey":"Vb8-Tr55"}"#;
    assert!(!redacted(body).contains("Vb8-Tr55"));
    // Of a repeated field only the last names the entity.
    let body = r#"{"event":"whatsapp","whatsapp":"Vb8-Tr55","whatsapp":"972501","whatsapp_apiKey":"Vb8-Tr55"}"#;
    assert_eq!(of(body), "whatsapp#972501 - -");
    assert!(!redacted(body).contains("Vb8-Tr55"));
    // A documented field is sealed when it repeats the line's API key, even a short one, and for no other secret.
    assert_eq!(
        of(r#"{"event":"whatsapp","whatsapp":"972501","whatsapp_reference":"c7","whatsapp_apiKey":"c7"}"#),
        "whatsapp#972501 - -"
    );
    assert_eq!(
        of(
            r#"{"event":"whatsapp","whatsapp":"972501","whatsapp_reference":"c7","whatsapp_extra_info":2,"apiKey":"2"}"#
        ),
        "whatsapp#972501 c7 2"
    );
}

#[test]
fn entity_reference_and_update_code_stay_however_many_secrets_there_are() {
    let secrets: String = (0..9_000).map(|n| format!(r#","token{n}":"Kq7-{n:06}""#)).collect();
    let body = format!(
        r#"{{"event":"whatsapp","whatsapp":"972501","whatsapp_reference":"c-7","whatsapp_extra_info":2{secrets},"n":"<Kq7-008999>"}}"#
    );
    let event = decode(&body);
    assert_eq!(facts(&event), ("whatsapp#972501", Some("c-7"), Some("2")));
    assert!(!event.body.contains("Kq7-"), "{}", event.body);
    assert!(event.body.ends_with(r#","n":"[sealed]"}"#));
}

#[test]
fn the_key_of_a_line_is_the_documented_member_and_no_other() {
    for (body, expected) in [
        (r#"{"whatsapp_apiKey":"Kq7-41"}"#, Some("Kq7-41")),
        (r#"{"whatsapp_apiKey":"Kq7-41","old_apikey":"Kq7-40","whatsapp_apikey":"Kq7-39"}"#, Some("Kq7-41")),
        (r#"{"old_apikey":"Kq7-40","apiKey":"Kq7-41"}"#, None),
        (r#"{"a":{"whatsapp_apiKey":"Kq7-41"}}"#, None),
        (r#"{"whatsapp_apiKey":"[sealed]"}"#, None),
        (r#"{"whatsapp_apiKey":"[sealed]","token":"t-1"}"#, None),
        (r#"{"whatsapp_apiKey":" \t","token":"t-1"}"#, None),
        (r#"{"whatsapp_apiKey":{"key":"Kq7-41"}}"#, None),
        (r#"{"whatsapp_apiKey":true,"token":"t-1"}"#, None),
        (r#"{"whatsapp_apiKey":"Kq7-40","whatsapp_apiKey":"Kq7-41"}"#, Some("Kq7-41")),
        (r#"{"whatsapp_apiKey":"Kq7-40","whatsapp_apiKey":""}"#, None),
        // A number may be written as a text, and a text as a number.
        (r#"{"whatsapp_apiKey":481516}"#, Some("481516")),
    ] {
        assert_eq!(api_key(body).as_deref(), expected, "{body}");
    }
    let longest = "k".repeat(1_024);
    assert_eq!(api_key(&format!(r#"{{"whatsapp_apiKey":"{longest}"}}"#)), Some(longest.clone()));
    assert_eq!(api_key(&format!(r#"{{"whatsapp_apiKey":"{longest}k"}}"#)), None);
}

#[test]
fn a_redacted_body_that_comes_again_has_nothing_to_seal_and_no_value_where_it_was_sealed() {
    let body = r#"{"event":"whatsapp","whatsapp":"972501","whatsapp_reference":"[sealed]","whatsapp_apiKey":"[sealed]","u":"https://b.example/?token=[sealed]"}"#;
    let event = decode(body);
    assert_eq!((event.body.as_str(), &event.sealed), (body, &None));
    assert_eq!(facts(&event), ("whatsapp#972501", None, None));
    // An encoder of URLs may have escaped the placeholder.
    let body = r#"{"u":"https://b.example/?token=%5Bsealed%5D&b=2","n":"see [sealed]","o":"[sealed]"}"#;
    assert_eq!((redacted(body).as_str(), decode(body).sealed), (body, None));
    let again = r#"{"token":"Kq7-4191","data":"{\"pwd\":\"x-1\"}","n":"see Kq7-4191"}"#;
    assert_eq!(redacted(&redacted(again)), redacted(again));
}

#[test]
fn a_text_with_json_that_is_nested_too_deeply_to_be_read_is_sealed_as_a_whole() {
    let mut text = r#"{"n":"Kq7-41"}"#.to_owned();
    for _ in 0..5 {
        text = serde_json::to_string(&[text]).unwrap();
    }
    let body = format!(r#"{{"data":{}}}"#, serde_json::to_string(&text).unwrap());
    let event = decode(&body);
    assert!(!event.body.contains("Kq7-41"), "{}", event.body);
    assert!(event.body.contains("[sealed]"));
}

#[test]
fn the_original_is_sealed_as_it_was_received() {
    let body = "\u{feff}{\"event\":\"whatsapp\",\"whatsapp\":\"972501\",\"whatsapp_apiKey\":\"Kq7-41\"} ";
    let event = decode(body);
    assert_eq!(event.sealed.unwrap().body.expose(), body);
    assert_eq!(event.body, "{\"event\":\"whatsapp\",\"whatsapp\":\"972501\",\"whatsapp_apiKey\":\"[sealed]\"} ");
}
