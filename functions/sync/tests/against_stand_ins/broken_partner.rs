use std::{
    io::{Read, Write},
    net::TcpListener,
    time::{Duration, Instant},
};

use emulators::partner::{Call, Fault};
use store::ChangeKind;
use sync::{Limits, Outcome, SyncError};

use crate::world::{LIMITS, OURS, World};

const CALLS: [Call; 3] = [Call::AccessToken, Call::Get, Call::Set];

/// One sync that meets the fault at a call, which it must not make again.
async fn sync_with(limits: Limits, call: Call, fault: Fault) -> SyncError {
    let mut world = World::start().await;
    world.restart(limits);
    world.partner.next(call, fault);
    let error = world.run("sync").await.unwrap_err();
    assert_eq!(world.partner.calls().into_iter().filter(|made| *made == call).count(), 1, "{call:?}: {error}");
    let [failed] = world.changes().await.try_into().unwrap();
    assert_eq!((failed.kind, failed.cause.as_deref()), (ChangeKind::Failed, Some(error.cause())), "{call:?}");
    error
}

#[tokio::test]
async fn an_answer_that_is_not_the_api_is_the_cause_at_every_call() {
    for (fault, words) in [
        (Fault::Html, "(HTTP status 200): an HTML page;"),
        (Fault::Empty, "(HTTP status 200): an empty answer;"),
        (Fault::WrongJson, "(HTTP status 200): a JSON object without the fields of this call"),
        (Fault::Endless, "(HTTP status 200): more than 64 KB;"),
        (Fault::Redirect, "(HTTP status 302): a redirect, which is not followed;"),
        (Fault::Status(403), "(HTTP status 403): something that is not a JSON object;"),
        (Fault::Status(500), "(HTTP status 500): something that is not a JSON object;"),
        (Fault::Answer(502, "<html>".to_owned()), "(HTTP status 502): an HTML page;"),
        (Fault::Answer(403, r#"{"message":"Forbidden"}"#.to_owned()), "(HTTP status 403): a JSON object without"),
    ] {
        for call in CALLS {
            let error = sync_with(LIMITS, call, fault.clone()).await;
            assert_eq!(error.cause(), "NotTheApi", "{call:?} {fault:?}: {error}");
            assert!(error.to_string().contains(words), "{call:?} {fault:?}: {error}");
        }
    }
}

#[tokio::test]
async fn an_access_token_that_cannot_be_sent_is_the_cause() {
    let answer = r#"{"access_token":"a\r\nb","reason":1}"#.to_owned();
    let error = sync_with(LIMITS, Call::AccessToken, Fault::Answer(200, answer)).await;
    assert!(matches!(error, SyncError::NotTheApi { answered: sync::Answered::UnusableToken, .. }), "{error}");
}

#[tokio::test]
async fn a_reason_of_the_api_counts_more_than_the_http_status() {
    let refusal = |reason: i64| format!(r#"{{"status":"FAIL","reason":{reason}}}"#);
    for (call, status, reason, cause) in [
        (Call::AccessToken, 401, 2, "WrongCredentials"),
        (Call::AccessToken, 429, 3, "AddressBlocked"),
        (Call::Get, 500, 77, "UnknownReason"),
        (Call::Set, 400, 13, "UrlRefused"),
    ] {
        assert_eq!(sync_with(LIMITS, call, Fault::Answer(status, refusal(reason))).await.cause(), cause);
    }

    let world = World::start().await;
    world.partner.register(Some(OURS));
    world.partner.next(Call::Get, Fault::Answer(401, refusal(3)));
    assert_eq!(world.run("sync").await.unwrap().outcome, Outcome::UpToDate);
    assert_eq!(world.partner.calls(), [Call::AccessToken, Call::Get, Call::AccessToken, Call::Get]);
}

#[tokio::test]
async fn a_call_that_is_never_answered_ends_in_time() {
    let limits = Limits { call: Duration::from_millis(400), ..LIMITS };
    for call in CALLS {
        let started = Instant::now();
        let error = sync_with(limits, call, Fault::Hang).await;
        assert_eq!(error.cause(), "PartnerUnreachable");
        assert!(error.to_string().contains("it did not answer in time"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_the_cause() {
    for call in CALLS {
        let error = sync_with(LIMITS, call, Fault::Disconnect).await;
        assert_eq!(error.cause(), "PartnerUnreachable", "{error}");
        assert_eq!(error.to_string().contains("whether the URL was set is not known"), call == Call::Set, "{error}");
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_the_cause() {
    let mut world = World::start().await;
    for url in ["http://127.0.0.1:1/api", "https://partner-api.invalid/api"] {
        world.restart_with_api_at(url);
        assert_eq!(world.cause("sync").await, "PartnerUnreachable");
    }
}

/// What sync makes of a peer that answers with these bytes, and closes when all is over.
async fn sync_with_peer(answer: Vec<u8>) -> SyncError {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api", listener.local_addr().unwrap());
    let peer = std::thread::spawn(move || {
        let mut connection = listener.accept().unwrap().0;
        // Closing before the request was taken would reset the connection, which is another fault.
        connection.read_exact(&mut [0; 64]).unwrap();
        connection.write_all(&answer).unwrap();
        connection
    });
    let mut world = World::start().await;
    world.restart_with_api_at(&url);
    let error = world.run("sync").await.unwrap_err();
    peer.join().unwrap();
    error
}

#[tokio::test]
async fn a_peer_that_does_not_speak_http_is_the_cause() {
    let error = sync_with_peer(b"220 mail.example ESMTP\r\n\r\n".to_vec()).await;
    assert_eq!(error.cause(), "NotTheApi", "{error}");
}

#[tokio::test]
async fn headers_of_up_to_16_kib_are_taken_and_longer_ones_are_the_cause() {
    let answer = |header: usize| {
        let (header, body) = ("x".repeat(header), r#"{"status":"FAIL","reason":2}"#);
        format!("HTTP/1.1 401 Unauthorized\r\ncontent-length: {}\r\nx-long: {header}\r\n\r\n{body}", body.len())
    };
    assert_eq!(sync_with_peer(answer(15_000).into_bytes()).await.cause(), "WrongCredentials");
    for header in [17_000, 60_000] {
        let error = sync_with_peer(answer(header).into_bytes()).await;
        assert!(
            matches!(error, SyncError::NotTheApi { answered: sync::Answered::LongHeaders, .. }),
            "{header}: {error}"
        );
    }
}
