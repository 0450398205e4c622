//! The client against a stand-in for the partner API, and against peers that are not it.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

use std::{
    io::{Read, Write},
    net::TcpListener,
    time::{Duration, Instant, SystemTime},
};

use emulators::partner::{CLIENT_ID, CLIENT_SECRET, Call, Fault, Partner};
use partner::{
    AccessToken, ApiBaseUrl, ClientCredentials, Credentials, Limits, List, Operation, PartnerApi, PartnerError,
    Session, Unexpected, Unreached,
};
use serde_json::{Value, json};
use shared::{Secret, WebhookUrl};

const LIMITS: Limits = Limits { connect: Duration::from_secs(5), call: Duration::from_secs(10) };
const URL: &str = "https://example.com/v1/webhook/Webhook-Token-0123456789";
const OPERATIONS: [(Operation, Call); 3] = [
    (Operation::AccessToken, Call::AccessToken),
    (Operation::GetWebhook, Call::Get),
    (Operation::SetWebhook, Call::Set),
];

fn api(base: &str, limits: Limits) -> PartnerApi {
    PartnerApi::new(ApiBaseUrl::parse(base).unwrap(), limits)
}

fn credentials() -> Credentials {
    Credentials::Client(ClientCredentials { id: Secret::new(CLIENT_ID), secret: Secret::new(CLIENT_SECRET) })
}

/// Opens a session, gets what is registered, sets a URL and gets it back.
async fn set_and_get_back(api: &PartnerApi, credentials: Credentials) -> Result<String, PartnerError> {
    let mut session = api.session(credentials, SystemTime::now().into()).await?;
    session.get_webhook().await?;
    session.set_webhook(&WebhookUrl::parse(URL).unwrap()).await?;
    Ok(session.get_webhook().await?.unwrap().expose().to_owned())
}

/// The error when the stand-in misbehaves at the next call, which must not be made again. It has no secret in it.
async fn error_with(limits: Limits, call: Call, fault: Fault) -> PartnerError {
    let partner = Partner::start().await.unwrap();
    partner.next(call, fault);
    let error = set_and_get_back(&api(&partner.url(), limits), credentials()).await.unwrap_err();
    assert_eq!(partner.calls().into_iter().filter(|made| *made == call).count(), 1, "{call:?}: {error}");
    let shown = format!("{error} {error:?}");
    for secret in [CLIENT_ID, CLIENT_SECRET, URL, "stand-in-access-token", &partner.url()] {
        assert!(!shown.contains(secret), "{shown}");
    }
    error
}

#[tokio::test]
async fn a_webhook_is_set_and_got_back_with_one_access_token_for_all_sessions() {
    let partner = Partner::start().await.unwrap();
    let api = api(&partner.url(), LIMITS);
    for _ in 0..2 {
        assert_eq!(set_and_get_back(&api, credentials()).await.unwrap(), URL);
    }
    let (get, set) = (Call::Get, Call::Set);
    assert_eq!(partner.calls(), [Call::AccessToken, get, set, get, get, set, get]);
}

#[tokio::test]
async fn an_expired_access_token_is_replaced_once_in_a_session() {
    let partner = Partner::start().await.unwrap();
    let api = api(&partner.url(), LIMITS);
    partner.next(Call::Get, Fault::TokenExpired);
    assert_eq!(set_and_get_back(&api, credentials()).await.unwrap(), URL);
    partner.next(Call::Get, Fault::TokenExpired);
    partner.next(Call::Set, Fault::TokenExpired);
    assert_eq!(set_and_get_back(&api, credentials()).await.unwrap_err(), PartnerError::TokenExpiredTwice);
}

#[tokio::test]
async fn a_fixed_access_token_is_used_as_it_is_and_its_end_is_the_error() {
    let partner = Partner::start().await.unwrap();
    let fixed = || Credentials::Fixed(AccessToken::new(Secret::new("fixed")).unwrap());
    let api = api(&partner.url(), LIMITS);
    assert_eq!(set_and_get_back(&api, fixed()).await.unwrap_err(), PartnerError::FixedTokenExpired);
    partner.take_access_token("fixed");
    assert_eq!(set_and_get_back(&api, fixed()).await.unwrap(), URL);
    assert!(!partner.calls().contains(&Call::AccessToken));
}

#[tokio::test]
async fn a_refusal_is_its_reason_also_with_an_http_status_of_refusal() {
    for status in [200, 400, 401, 403] {
        for (call, reason, error) in [
            (Call::AccessToken, 2, PartnerError::WrongCredentials { operation: Operation::AccessToken }),
            (Call::Get, 2, PartnerError::WrongCredentials { operation: Operation::GetWebhook }),
            (Call::AccessToken, 3, PartnerError::AddressBlocked),
            (Call::Set, 13, PartnerError::UrlRefused),
            (Call::Get, 13, PartnerError::UnknownReason { operation: Operation::GetWebhook, reason: 13 }),
            (Call::Set, 1, PartnerError::UnknownReason { operation: Operation::SetWebhook, reason: 1 }),
        ] {
            let answer = format!(r#"{{"status":"FAIL","reason":{reason}}}"#);
            assert_eq!(error_with(LIMITS, call, Fault::Answer(status, answer)).await, error, "{status}");
        }
    }
}

#[tokio::test]
async fn an_answer_with_the_http_status_of_an_outage_decides_nothing_whatever_it_says() {
    for status in [429, 500, 502, 503] {
        for (operation, call) in OPERATIONS {
            for answer in [
                json!({ "status": "FAIL", "reason": 2 }),
                json!({ "status": "FAIL", "reason": 3 }),
                json!({ "status": "FAIL", "reason": 13 }),
                json!({ "status": "OK", "reason": 1, "url": URL, "access_token": "t" }),
            ] {
                let error = error_with(LIMITS, call, Fault::Answer(status, answer.to_string())).await;
                let answer = Unexpected::FailedStatus;
                assert_eq!(error, PartnerError::NotTheApi { operation, status: Some(status), answer });
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_not_the_api_is_the_error_at_every_call() {
    for (fault, status, answer) in [
        (Fault::Html, 200, Unexpected::Html),
        (Fault::Empty, 200, Unexpected::Empty),
        (Fault::Endless, 200, Unexpected::TooLong(64 * 1024)),
        (Fault::Redirect, 302, Unexpected::Redirect),
        (Fault::Status(403), 403, Unexpected::NotAnObject),
        (Fault::Status(500), 500, Unexpected::NotAnObject),
        (Fault::Answer(502, "<html>".to_owned()), 502, Unexpected::Html),
        (Fault::Answer(200, r#"{"status":"OK","reason":{}}"#.to_owned()), 200, Unexpected::WrongType("reason")),
    ] {
        for (operation, call) in OPERATIONS {
            let error = error_with(LIMITS, call, fault.clone()).await;
            assert_eq!(error, PartnerError::NotTheApi { operation, status: Some(status), answer });
        }
    }
    for (_, call) in OPERATIONS {
        for fault in [Fault::WrongJson, Fault::Answer(403, r#"{"message":"Forbidden"}"#.to_owned())] {
            let error = error_with(LIMITS, call, fault).await;
            assert!(error.to_string().contains("a JSON object without the fields of this call"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_url_that_is_not_a_text_is_never_read_as_nothing_registered() {
    for url in ["{}", r#"{"url":"https://a.example"}"#, r#"["https://a.example"]"#, "1", "true", "null"] {
        let answer = format!(r#"{{"status":"OK","url":{url},"reason":1}}"#);
        let error = error_with(LIMITS, Call::Get, Fault::Answer(200, answer)).await;
        assert!(
            matches!(error, PartnerError::NotTheApi { answer: Unexpected::WrongType("url"), .. }),
            "{url}: {error}"
        );
    }
}

#[tokio::test]
async fn answers_after_a_byte_order_mark_are_read() {
    let partner = Partner::start().await.unwrap();
    partner.take_access_token("t");
    let with_mark = |body: String| Fault::Answer(200, format!("\u{feff}{body}"));
    partner.next(Call::AccessToken, with_mark(r#"{"access_token":"t","reason":1}"#.to_owned()));
    partner.always(Call::Get, with_mark(format!(r#"{{"status":"OK","url":"{URL}","reason":1}}"#)));
    partner.next(Call::Set, with_mark(r#"{"status":"OK","reason":1}"#.to_owned()));
    assert_eq!(set_and_get_back(&api(&partner.url(), LIMITS), credentials()).await.unwrap(), URL);
}

#[tokio::test]
async fn an_access_token_that_no_header_can_carry_is_the_error() {
    let answer = r#"{"access_token":"a\r\nb","reason":1}"#.to_owned();
    let error = error_with(LIMITS, Call::AccessToken, Fault::Answer(200, answer)).await;
    assert!(matches!(error, PartnerError::NotTheApi { answer: Unexpected::UnusableToken, .. }), "{error}");
}

#[tokio::test]
async fn a_call_that_is_never_answered_ends_in_time() {
    let limits = Limits { call: Duration::from_millis(400), ..LIMITS };
    for (operation, call) in OPERATIONS {
        let started = Instant::now();
        let error = error_with(limits, call, Fault::Hang).await;
        assert_eq!(error, PartnerError::Unreachable { operation, cause: Unreached::NoAnswer });
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_the_error_and_a_set_may_have_been_carried_out() {
    for (_, call) in OPERATIONS {
        let error = error_with(LIMITS, call, Fault::Disconnect).await;
        assert!(matches!(error, PartnerError::Unreachable { .. }), "{error}");
        assert_eq!(error.to_string().contains("it is unknown whether the URL was set"), call == Call::Set, "{error}");
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_the_error() {
    for base in ["http://127.0.0.1:1/api", "https://partner-api.invalid/api"] {
        let error = set_and_get_back(&api(base, LIMITS), credentials()).await.unwrap_err();
        assert!(matches!(error, PartnerError::Unreachable { operation: Operation::AccessToken, .. }), "{error}");
    }
}

/// The error with a peer that answers with these bytes, and closes when all is over.
async fn error_with_peer(answer: Vec<u8>) -> PartnerError {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}/api", listener.local_addr().unwrap());
    let peer = std::thread::spawn(move || {
        let mut connection = listener.accept().unwrap().0;
        // Closing before the request was read would reset the connection, which is another fault.
        connection.read_exact(&mut [0; 64]).unwrap();
        connection.write_all(&answer).unwrap();
        connection
    });
    let error = set_and_get_back(&api(&base, LIMITS), credentials()).await.unwrap_err();
    peer.join().unwrap();
    error
}

#[tokio::test]
async fn a_peer_that_does_not_speak_http_is_the_error() {
    let error = error_with_peer(b"220 mail.example ESMTP\r\n\r\n".to_vec()).await;
    assert!(matches!(error, PartnerError::NotTheApi { answer: Unexpected::NotHttp, .. }), "{error}");
}

#[tokio::test]
async fn headers_of_up_to_16_kib_are_read_and_longer_ones_are_the_error() {
    let answer = |header: usize| {
        let (header, body) = ("x".repeat(header), r#"{"status":"FAIL","reason":2}"#);
        format!("HTTP/1.1 401 Unauthorized\r\ncontent-length: {}\r\nx-long: {header}\r\n\r\n{body}", body.len())
    };
    let error = error_with_peer(answer(15_000).into_bytes()).await;
    assert!(matches!(error, PartnerError::WrongCredentials { .. }), "{error}");
    for header in [17_000, 60_000] {
        let error = error_with_peer(answer(header).into_bytes()).await;
        assert!(matches!(error, PartnerError::NotTheApi { answer: Unexpected::LongHeaders, .. }), "{header}: {error}");
    }
}

const LISTS: [(List, Call); 6] = [
    (List::Lines, Call::Lines),
    (List::OnboardingLinks, Call::OnboardingLinks),
    (List::RegisteredNumbers, Call::RegisteredNumbers),
    (List::Stores, Call::Stores),
    (List::OnlineAccounts, Call::OnlineAccounts),
    (List::Builders, Call::Builders),
];

/// Calls a list, and returns the number of its elements.
async fn length(session: &mut Session<'_>, list: List) -> Result<usize, PartnerError> {
    Ok(match list {
        List::Lines => session.lines().await?.len(),
        List::OnboardingLinks => session.onboarding_links().await?.len(),
        List::RegisteredNumbers => session.registered_numbers().await?.len(),
        List::Stores => session.stores().await?.len(),
        List::OnlineAccounts => session.online_accounts().await?.len(),
        List::Builders => session.builders().await?.len(),
    })
}

/// Calls a list of a provider that has `elements` of them, after a fault was queued for it.
async fn length_with(
    limits: Limits,
    (list, call): (List, Call),
    elements: usize,
    fault: Option<Fault>,
) -> Result<usize, PartnerError> {
    let partner = Partner::start().await.unwrap();
    let element = |n: usize| json!({ "whatsapp": format!("97250{n:07}"), "apiKey": format!("key-{n}"), "token": "t" });
    partner.list(call, (0..elements).map(element));
    fault.into_iter().for_each(|fault| partner.next(call, fault));
    let api = api(&partner.url(), limits);
    let mut session = api.session(credentials(), SystemTime::now().into()).await.unwrap();
    let length = length(&mut session, list).await;
    assert!(!format!("{length:?}").contains("key-"));
    length
}

#[tokio::test]
async fn every_list_is_read_whole_also_when_it_is_empty_or_long() {
    for list in LISTS {
        for elements in [0, 1, 10_000] {
            assert_eq!(length_with(LIMITS, list, elements, None).await, Ok(elements), "{list:?}");
        }
    }
}

#[tokio::test]
async fn a_list_that_is_not_whole_is_the_error_that_names_it() {
    for (list, call) in LISTS {
        let has_total = !matches!(list, List::OnboardingLinks | List::RegisteredNumbers);
        for (fault, status, answer) in [
            (Fault::CutOff, 200, Unexpected::NotAnObject),
            (Fault::MissingComma, 200, Unexpected::NotAnObject),
            (Fault::WrongTotal, 200, Unexpected::WrongTotal { total: 3, elements: 2 }),
            (Fault::Html, 200, Unexpected::Html),
            (Fault::Empty, 200, Unexpected::Empty),
            (Fault::Redirect, 302, Unexpected::Redirect),
            (Fault::Endless, 200, Unexpected::TooLong(5 * 1024 * 1024)),
            (Fault::Status(503), 503, Unexpected::NotAnObject),
        ] {
            if !has_total && matches!(fault, Fault::WrongTotal) {
                continue;
            }
            let expected = PartnerError::NotTheApi { operation: Operation::List(list), status: Some(status), answer };
            assert_eq!(length_with(LIMITS, (list, call), 3, Some(fault)).await, Err(expected));
        }
    }
}

#[tokio::test]
async fn a_list_with_an_http_status_of_failure_does_not_count_and_an_outage_refuses_nothing() {
    let whole: Value = json!({ "status": "OK", "reason": 1, "list": [] });
    let refusal: Value = json!({ "status": "FAIL", "reason": 2 });
    for (status, answer) in
        [(400, &whole), (404, &whole), (500, &whole), (503, &whole), (429, &refusal), (500, &refusal)]
    {
        let fault = Fault::Answer(status, answer.to_string());
        let list = (List::OnboardingLinks, Call::OnboardingLinks);
        let error = length_with(LIMITS, list, 0, Some(fault)).await.unwrap_err();
        assert!(matches!(error, PartnerError::NotTheApi { answer: Unexpected::FailedStatus, .. }), "{error}");
    }
}

#[tokio::test]
async fn a_refused_list_is_its_reason_and_an_expired_access_token_is_replaced_once() {
    for (list, call) in LISTS {
        let operation = Operation::List(list);
        for (reason, error) in [
            (2, PartnerError::WrongCredentials { operation }),
            (13, PartnerError::UnknownReason { operation, reason: 13 }),
        ] {
            assert_eq!(length_with(LIMITS, (list, call), 1, Some(Fault::Reason(reason))).await, Err(error));
        }
        assert_eq!(length_with(LIMITS, (list, call), 1, Some(Fault::TokenExpired)).await, Ok(1));
    }
}

#[tokio::test]
async fn a_list_that_is_never_answered_ends_in_time() {
    let limits = Limits { call: Duration::from_millis(400), ..LIMITS };
    for (list, call) in LISTS {
        let expected = PartnerError::Unreachable { operation: Operation::List(list), cause: Unreached::NoAnswer };
        assert_eq!(length_with(limits, (list, call), 1, Some(Fault::Hang)).await, Err(expected));
    }
}
