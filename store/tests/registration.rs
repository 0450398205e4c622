//! Tests the registration's items.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

mod common;

use common::{World, everything, noon, secs};
use futures_util::TryStreamExt;
use shared::{Entity, EventId, Secret, Timestamp};
use store::{
    Change, ChangeKind, CompetingUrl, DeletedStack, RefusedCredentials, Registration, RegistrationLedger,
    RegistrationStatus, StoreError, UrlBeforeOurs,
};

async fn start() -> (World, RegistrationLedger) {
    let world = World::start().await;
    let ledger = RegistrationLedger::new(world.dynamodb.client(), world.dynamodb.events_table());
    (world, ledger)
}

fn change(at: Timestamp, kind: ChangeKind) -> Change {
    Change {
        id: EventId::new(at, fastrand::u64(..).to_be_bytes()),
        at,
        kind,
        action: "sync".to_owned(),
        registered: None,
        not_ours: None,
        cause: None,
    }
}

/// Returns the whole ledger.
async fn changes(ledger: &RegistrationLedger) -> Vec<Change> {
    ledger.changes(&everything()).try_collect().await.unwrap()
}

#[tokio::test]
async fn the_ledger_is_no_entity_with_a_history() {
    let (world, ledger) = start().await;
    ledger.write(&Registration::default(), &[change(noon(), ChangeKind::Registered)]).await.unwrap();
    let ledger = Entity::named("registration");
    let history: Vec<_> = world.reader.history(&ledger, &everything()).try_collect().await.unwrap();
    assert_eq!((history, world.reader.state(&ledger).await.unwrap()), (vec![], None));
}

#[test]
fn a_registration_belongs_to_another_account_only_if_both_are_known_and_differ() {
    let of = |account: Option<&str>| Registration { account: account.map(str::to_owned), ..Registration::default() };
    for (known, other, expected) in [
        (Some("one"), Some("another"), true),
        (Some("one"), Some("one"), false),
        (Some("one"), None, false),
        (None, Some("one"), false),
        (None, None, false),
    ] {
        assert_eq!(of(known).is_of_another_account(other), expected, "{known:?} {other:?}");
    }
}

#[tokio::test]
async fn before_anything_was_written_nothing_is_known() {
    let (_world, ledger) = start().await;
    assert_eq!(ledger.read().await.unwrap(), Registration::default());
    assert_eq!(changes(&ledger).await, []);
}

#[tokio::test]
async fn the_state_is_read_as_it_was_written_and_replaces_the_one_before() {
    let (_world, ledger) = start().await;
    let full = Registration {
        version: 0,
        account: Some("account-1".to_owned()),
        checked_at: Some(noon()),
        registered: Some("https://example.com/***abcd".to_owned()),
        ours_at: Some(noon().minus(secs(1))),
        elsewhere_since: Some(noon().minus(secs(2))),
        counted_until: Some(noon().minus(secs(3))),
        competing: Some(CompetingUrl { url: "example.com/***1234".to_owned(), repairs: 2, repaired_at: noon() }),
        contested_since: Some(noon().minus(secs(5))),
        failing_since: Some(noon().minus(secs(4))),
        failure: Some("WrongCredentials".to_owned()),
        refused_credentials: Some(RefusedCredentials { secret_version: "version-1".to_owned(), at: noon() }),
        deleted_stack: Some(DeletedStack { stack_id: "arn:stack/1".to_owned(), at: noon() }),
        set_leases: [(EventId::new(noon(), [1; 8]), noon().plus(secs(1))), (EventId::new(noon(), [2; 8]), noon())]
            .into(),
    };
    let least = Registration { checked_at: Some(noon()), ..Registration::default() };
    for (state, version) in [full, least, Registration::default()].into_iter().zip(0..) {
        ledger.write(&Registration { version, ..state.clone() }, &[]).await.unwrap();
        assert_eq!(ledger.read().await.unwrap(), Registration { version: version + 1, ..state });
    }
}

#[tokio::test]
async fn a_state_that_somebody_else_has_written_since_it_was_read_is_not_overwritten() {
    let (_world, ledger) = start().await;
    let read = ledger.read().await.unwrap();
    let theirs = Registration { checked_at: Some(noon()), ..read.clone() };
    ledger.write(&theirs, &[]).await.unwrap();
    let drift = change(noon(), ChangeKind::Drift);
    assert!(matches!(ledger.write(&read, &[drift]).await, Err(StoreError::Conflict)));
    assert_eq!(ledger.read().await.unwrap().checked_at, Some(noon()));
    assert_eq!(changes(&ledger).await, []);
}

#[tokio::test]
async fn changes_are_read_as_they_were_written_in_the_order_of_their_times() {
    let (_world, ledger) = start().await;
    let mut written: Vec<Change> =
        ChangeKind::ALL.iter().zip(0..).map(|(kind, second)| change(noon().plus(secs(second)), *kind)).collect();
    written[1].registered = Some("https://other.example/***abcd".to_owned());
    written[1].not_ours = Some(noon().minus(secs(3600))..noon());
    written[7].cause = Some("PartnerUnreachable".to_owned());
    for change in written.iter().rev() {
        ledger.write(&ledger.read().await.unwrap(), std::slice::from_ref(change)).await.unwrap();
    }
    assert_eq!(changes(&ledger).await, written);
}

#[tokio::test]
async fn the_state_is_written_together_with_its_changes_or_not_at_all() {
    let (_world, ledger) = start().await;
    let one = change(noon(), ChangeKind::Drift);
    let state = Registration { checked_at: Some(noon()), ..Registration::default() };
    // DynamoDB refuses a transaction that writes an item twice.
    let refused = ledger.write(&state, &[one.clone(), one.clone()]).await;
    assert!(matches!(refused, Err(StoreError::DynamoDb(_))), "{refused:?}");
    assert_eq!(ledger.read().await.unwrap(), Registration::default());
    ledger.write(&state, &[one]).await.unwrap();
    assert_eq!(ledger.read().await.unwrap(), Registration { version: 1, ..state });
}

#[tokio::test]
async fn the_status_is_judged_by_the_changes_of_the_range_and_as_many_earlier_ones_as_are_asked_for() {
    let (_world, ledger) = start().await;
    let at = |minute: u64| noon().plus(secs(60 * minute));
    let state = |elsewhere_since, contested_since| Registration {
        checked_at: Some(at(9)),
        registered: Some("https://other.example/***2222".to_owned()),
        ours_at: Some(at(1)),
        elsewhere_since,
        contested_since,
        ..Registration::default()
    };
    let all: Vec<Change> = (0..8).map(|minute| change(at(minute), ChangeKind::Drift)).collect();
    ledger.write(&state(None, None), &all).await.unwrap();
    let listed = async |before| {
        let status = RegistrationStatus::read(&ledger, at(6)..at(9), before).await.unwrap();
        assert_eq!(status.times(), &(at(6)..at(9)));
        assert_eq!(status.in_time().map(|change| change.at).collect::<Vec<_>>(), [at(7), at(6)]);
        (status.since(), status.whereabouts().name(), status.is_contested())
    };
    // The same URL was registered at all times: it is there since the earliest change that was read.
    ledger.write(&Registration { version: 1, registered: None, ..state(None, None) }, &[]).await.unwrap();
    assert_eq!(listed(0).await, (Some(at(6)), "nowhere", false));
    assert_eq!(listed(3).await, (Some(at(3)), "nowhere", false));
    ledger.write(&Registration { version: 2, ..state(Some(at(2)), Some(at(5))) }, &[]).await.unwrap();
    assert_eq!(listed(0).await, (Some(at(2)), "elsewhere", true));
    let status = RegistrationStatus::read(&ledger, at(6)..at(9), 1).await.unwrap();
    assert_eq!(status.registration().version, 3);
    ledger.write(&Registration { version: 3, ..state(None, None) }, &[]).await.unwrap();
    assert_eq!(listed(0).await.1, "ours");
    ledger.write(&Registration { version: 4, checked_at: None, ..state(None, None) }, &[]).await.unwrap();
    assert_eq!(listed(0).await.1, "unknown");
}

#[tokio::test]
async fn the_url_before_ours_is_kept_in_the_sealed_table_alone_and_the_last_one_counts() {
    let (world, _ledger) = start().await;
    let before = UrlBeforeOurs::new(world.dynamodb.client(), world.dynamodb.sealed_table());
    assert_eq!(before.read().await.unwrap(), None);
    for url in ["https://before.example/first", "https://before.example/second-s3cret"] {
        before.keep(&Secret::new(url), "account", noon()).await.unwrap();
    }
    let kept = before.read().await.unwrap().unwrap();
    assert_eq!((kept.url.expose(), kept.account.as_str()), ("https://before.example/second-s3cret", "account"));
    assert!(!format!("{:?}", world.items("events").await).contains("s3cret"));
}
