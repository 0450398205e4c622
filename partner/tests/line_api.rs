//! The client of the V2 API against its stand-in.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

use std::time::Duration;

use emulators::partner::{Call, Fault, Line, Partner, Writing};
use partner::{
    ApiBaseUrl, Limits, LineApi, LineApiError, LineSettings, LineWebhook, Operation, PartnerError, Unexpected,
    Unreached,
};
use serde_json::json;
use shared::{RegisteredUrl, Secret, WebhookUrl};

const LIMITS: Limits = Limits { connect: Duration::from_secs(5), call: Duration::from_secs(10) };
const NUMBER: &str = "972501234567";
const KEY: &str = "line-key-123-456-789";
const URL: &str = "https://example.com/lines/Secret-Part-0123456789";

fn api(partner: &Partner) -> LineApi {
    limited(partner, LIMITS)
}

fn limited(partner: &Partner, limits: Limits) -> LineApi {
    LineApi::new(ApiBaseUrl::parse(&partner.line_api_url()).unwrap(), limits)
}

async fn start() -> Partner {
    let partner = Partner::start().await.unwrap();
    let line = Line { system: 1, system_phone_alert: "0501234567".to_owned(), ..Line::new(KEY) };
    partner.put_line(NUMBER, line);
    partner
}

fn settings() -> LineSettings {
    LineSettings { url: WebhookUrl::parse(URL).unwrap(), retry: true, read_status: false }
}

async fn get(api: &LineApi) -> Result<LineWebhook, LineApiError> {
    api.get_webhook(NUMBER, &Secret::new(KEY)).await
}

async fn set(api: &LineApi, before: &LineWebhook) -> Result<(), LineApiError> {
    api.set_webhook(NUMBER, &Secret::new(KEY), &settings(), before).await
}

fn assert_hides_secrets(error: &LineApiError, partner: &Partner) {
    let shown = format!("{error} {error:?}");
    for secret in [KEY, URL, "0501234567", &partner.line_api_url()] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn a_webhook_is_set_and_the_other_settings_stay() {
    let partner = start().await;
    let api = api(&partner);
    let before = get(&api).await.unwrap();
    assert_eq!((&before.url, before.retry), (&None, Some(false)));
    set(&api, &before).await.unwrap();
    let after = get(&api).await.unwrap();
    assert!(after.url.unwrap().means(&settings().url));
    assert_eq!((after.retry, after.read_status), (Some(true), Some(false)));
    let line = partner.line(NUMBER).unwrap();
    assert_eq!((line.system, line.system_phone_alert.as_str(), line.url.as_str()), (1, "0501234567", URL));
    let calls: Vec<Call> = partner.take_line_calls().into_iter().map(|call| call.call).collect();
    assert_eq!(calls, [Call::LineGet, Call::LineSet, Call::LineGet]);
}

#[tokio::test]
async fn a_url_is_read_in_every_spelling() {
    let partner = start().await;
    partner.register_line(NUMBER, Some(URL));
    for writing in [Writing::Exact, Writing::WithoutScheme, Writing::HostInCapitals, Writing::TrailingSlash] {
        partner.write(writing);
        let url = get(&api(&partner)).await.unwrap().url.unwrap();
        assert!(url.means(&settings().url), "{writing:?}: {url}");
    }
}

#[tokio::test]
async fn the_documented_example_is_read_and_so_are_numbers_as_texts_and_missing_fields() {
    let partner = start().await;
    let example = json!({
        "status": "OK", "url": "your-webhook.example.com", "system": "1", "systemPhoneAlert": "0501234567", "retry": 1,
        "readStatus": 1, "reason": 1,
    });
    let texts =
        json!({"status": "OK", "url": "your-webhook.example.com", "retry": "1", "readStatus": "1", "reason": "1"});
    for answer in [example, texts] {
        partner.next(Call::LineGet, Fault::Answer(200, answer.to_string()));
        let webhook = get(&api(&partner)).await.unwrap();
        assert_eq!(webhook.url, RegisteredUrl::new("your-webhook.example.com"));
        assert_eq!((webhook.retry, webhook.read_status), (Some(true), Some(true)));
    }
    partner.next(Call::LineGet, Fault::Answer(200, json!({"status": "OK", "url": " "}).to_string()));
    assert_eq!(get(&api(&partner)).await.unwrap().url, None);
}

#[tokio::test]
async fn reasons_have_the_meaning_of_this_api() {
    let partner = start().await;
    let api = api(&partner);
    let before = get(&api).await.unwrap();
    let undocumented = |operation, reason| PartnerError::UnknownReason { operation, reason }.into();
    for (reason, at_get, at_set) in [
        (2, LineApiError::UnknownNumber, LineApiError::UnknownNumber),
        (3, LineApiError::WrongKey, LineApiError::WrongKey),
        (13, undocumented(Operation::GetLineWebhook, 13), undocumented(Operation::SetLineWebhook, 13)),
        (1, undocumented(Operation::GetLineWebhook, 1), undocumented(Operation::SetLineWebhook, 1)),
    ] {
        partner.next(Call::LineGet, Fault::Reason(reason));
        partner.next(Call::LineSet, Fault::Reason(reason));
        assert_eq!(get(&api).await.unwrap_err(), at_get);
        assert_eq!(set(&api, &before).await.unwrap_err(), at_set);
    }
    for status in [429, 500] {
        partner.next(Call::LineSet, Fault::Answer(status, r#"{"status":"FAIL","reason":3}"#.to_owned()));
        let error = set(&api, &before).await.unwrap_err();
        assert!(matches!(&error, LineApiError::Failed(error) if error.is_outage()), "{error}");
    }
    assert_eq!(api.get_webhook("97250", &Secret::new(KEY)).await.unwrap_err(), LineApiError::UnknownNumber);
    assert_eq!(api.get_webhook(NUMBER, &Secret::new("other")).await.unwrap_err(), LineApiError::WrongKey);
}

#[tokio::test]
async fn an_answer_from_something_else_is_named_and_the_call_is_not_repeated() {
    for (fault, answer) in [
        (Fault::Html, Unexpected::Html),
        (Fault::Empty, Unexpected::Empty),
        (Fault::WrongJson, Unexpected::MissingField("status, reason")),
        (Fault::Redirect, Unexpected::Redirect),
        (Fault::Endless, Unexpected::TooLong(64 * 1024)),
        (Fault::Status(500), Unexpected::NotAnObject),
        (Fault::Answer(200, r#"{"status":"OK","reason":1}"#.to_owned()), Unexpected::MissingField("url")),
        (Fault::Answer(200, r#"{"status":"OK","url":null,"reason":1}"#.to_owned()), Unexpected::WrongType("url")),
        (Fault::Answer(503, r#"{"status":"OK","url":"","reason":1}"#.to_owned()), Unexpected::FailedStatus),
        (Fault::Answer(500, r#"{"status":"FAIL","reason":3}"#.to_owned()), Unexpected::FailedStatus),
        (Fault::Answer(429, r#"{"status":"FAIL","reason":2}"#.to_owned()), Unexpected::FailedStatus),
    ] {
        let partner = start().await;
        partner.next(Call::LineGet, fault.clone());
        let error = get(&api(&partner)).await.unwrap_err();
        let LineApiError::Failed(PartnerError::NotTheApi { operation, answer: got, .. }) = &error else {
            panic!("{fault:?}: {error}")
        };
        assert_eq!((*operation, *got), (Operation::GetLineWebhook, answer), "{fault:?}");
        assert_hides_secrets(&error, &partner);
        assert_eq!(partner.calls().len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_call_without_an_answer_ends_in_time_and_says_what_is_unknown() {
    let partner = start().await;
    let before = get(&api(&partner)).await.unwrap();
    let hasty = limited(&partner, Limits { call: Duration::from_millis(200), ..LIMITS });
    partner.next(Call::LineGet, Fault::Hang);
    partner.next(Call::LineSet, Fault::Hang);
    for (error, operation) in [
        (get(&hasty).await.unwrap_err(), Operation::GetLineWebhook),
        (set(&hasty, &before).await.unwrap_err(), Operation::SetLineWebhook),
    ] {
        assert_eq!(error, PartnerError::Unreachable { operation, cause: Unreached::NoAnswer }.into());
        assert_hides_secrets(&error, &partner);
        let is_set = operation == Operation::SetLineWebhook;
        assert_eq!(error.to_string().contains("it is unknown whether the URL was set"), is_set, "{error}");
    }
    partner.next(Call::LineGet, Fault::Disconnect);
    let error = get(&api(&partner)).await.unwrap_err();
    assert!(matches!(&error, LineApiError::Failed(PartnerError::Unreachable { .. })), "{error}");
    assert_hides_secrets(&error, &partner);
}
