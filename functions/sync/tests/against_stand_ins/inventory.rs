use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use emulators::{
    faults::{self, Faults},
    partner::{Call, Fault},
};
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use shared::{Entity, EventId, FingerprintKey, Kind, Received, Secret, Timestamp};
use store::{
    Delivery, Inventory, Listing, Order, Origin, PAGE, Reader, Recorder, SealedReader, Settings, State, StoredDelivery,
    Tracked,
};
use sync::{Answer, InventoryOutcome, InventoryReport, SyncError};

use crate::world::{FOREIGN, World};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
fn line(n: usize) -> Value {
    json!({
        "create_time": 1_735_811_185 + n, "whatsapp": format!("97250{n:07}"), "apiKey": format!("Line-Key-{n:06}"),
        "display_name": format!("Client {n}"), "business_name": "Acme", "isOnline": 1, "coexistence": 0, "new_field": [n],
    })
}

fn link(n: usize) -> Value {
    json!({
        "create_time": 1_735_811_185 + n, "whatsapp": format!("97250{n:07}"), "coexistence": 0,
        "reference": format!("client-{n}"), "status": 1,
    })
}

fn entity(n: usize) -> Entity {
    Entity::named(format!("whatsapp#97250{n:07}"))
}

impl World {
    pub async fn inventory(&self) -> Result<InventoryReport, SyncError> {
        self.inventory_by(json!({ "action": "inventory" })).await
    }

    async fn planned_inventory(&self) -> Result<InventoryReport, SyncError> {
        self.inventory_by(json!({ "action": "inventory", "mode": "plan" })).await
    }

    async fn inventory_by(&self, event: Value) -> Result<InventoryReport, SyncError> {
        match self.invoke(event).await? {
            Answer::Inventory(report) => Ok(report),
            other => panic!("{other:?}"),
        }
    }

    /// Lists lines with their finished links.
    fn list_lines(&self, lines: impl IntoIterator<Item = usize> + Clone) {
        self.partner.list(Call::Lines, lines.clone().into_iter().map(line));
        self.partner.list(Call::OnboardingLinks, lines.into_iter().map(link));
    }

    fn reader(&self) -> Reader {
        Reader::new(self.dynamodb.client(), self.dynamodb.events_table())
    }

    async fn state(&self, entity: &Entity) -> Option<State> {
        self.reader().state(entity).await.unwrap()
    }

    async fn history(&self, entity: &Entity) -> Vec<StoredDelivery> {
        let times = Timestamp::from_micros(0)..Timestamp::from_micros(i64::MAX);
        let listing = Listing { times, order: Order::OldestFirst, after: None, page_size: PAGE };
        self.reader().history(entity, &listing).try_collect().await.unwrap()
    }

    fn notes(&self) -> Inventory {
        Inventory::new(self.dynamodb.client(), self.dynamodb.events_table())
    }

    async fn tracked(&self, entity: &Entity) -> Tracked {
        self.notes().entity(entity).await.unwrap().unwrap()
    }

    async fn api_key(&self, entity: &Entity) -> Option<String> {
        let sealed = SealedReader::new(self.dynamodb.client(), self.dynamodb.sealed_table());
        sealed.api_key(entity).await.unwrap().map(|key| key.api_key.expose().to_owned())
    }

    /// Records an event, as the receiver does.
    pub async fn deliver(&self, body: &Value) {
        self.record(&self.received(body.to_string().into_bytes()), false).await;
    }

    fn received(&self, body: Vec<u8>) -> Received {
        let mut random = [0; 8];
        getrandom::fill(&mut random).unwrap();
        Received {
            id: EventId::new(self.now, random),
            received_at: self.now,
            source_ip: None,
            request_id: "request-1".to_owned(),
            content_type: None,
            content_encoding: None,
            body,
        }
    }

    async fn record(&self, received: &Received, held: bool) {
        let key = FingerprintKey::new(Secret::new("a key for tests only")).unwrap();
        let settings = Settings {
            events_table: self.dynamodb.events_table().to_owned(),
            sealed_table: self.dynamodb.sealed_table().to_owned(),
            dedup_window: Duration::from_secs(600),
            retention: None,
        };
        let recorder = Recorder::new(self.dynamodb.client(), settings);
        let delivery = if held { Delivery::hold(received, &key) } else { Delivery::decode(received, &key) };
        recorder.record(&delivery).await.unwrap();
    }

    /// Returns everything in the tables but what the lists have shown.
    async fn recorded(&self) -> Vec<String> {
        let mut items = Vec::new();
        for table in [self.dynamodb.events_table(), self.dynamodb.sealed_table()] {
            let scan = self.dynamodb.client().scan().table_name(table).into_paginator().items().send();
            let found: Vec<_> = scan.try_collect().await.unwrap();
            items.extend(found.into_iter().map(|item| {
                let item: std::collections::BTreeMap<_, _> = item.into_iter().collect();
                format!("{item:?}")
            }));
        }
        items.sort();
        items
    }
}

fn event(n: usize, code: i64) -> Value {
    json!({
        "status": "OK", "event": "whatsapp", "whatsapp": format!("97250{n:07}"),
        "whatsapp_reference": format!("client-{n}"), "whatsapp_extra_info": code,
        "whatsapp_apiKey": format!("Line-Key-{n:06}"),
    })
}

fn missed(report: &InventoryReport) -> Vec<&str> {
    report.missed.iter().map(|missed| missed.entity.as_str()).collect()
}

fn gone(report: &InventoryReport) -> Vec<&str> {
    report.gone.iter().map(|gone| gone.entity.as_str()).collect()
}

#[tokio::test]
async fn the_first_pass_imports_everything_that_is_listed_with_reference_and_sealed_key() {
    let world = World::start().await;
    world.list_lines(0..3);
    world.partner.list(Call::Stores, [json!({"whatsapp":"972501234567","token":"Line-Key-of-a-store","reference":"shop","status":1,"created_at":"1699999999"})]);
    world.partner.list(Call::OnlineAccounts, [json!({"create_time":1735811185,"account_name":"A","account_id":"523","server":"online","account_status":"active","reference":"5234"})]);
    world.partner.list(
        Call::Builders,
        [json!({"create_time":1735811185,"client":"C","builderID":"523","url":"https://builder.example/"})],
    );
    let report = world.inventory().await.unwrap();
    assert_eq!((report.outcome, report.imported, report.known), (InventoryOutcome::Updated, 6, 6));
    assert!(report.missed.is_empty() && report.changed.is_empty() && report.gone.is_empty());
    assert!(report.lists.values().all(|list| list.complete) && report.lists.len() == 6);
    let state = world.state(&entity(1)).await.unwrap();
    assert!(state.is_reconciled);
    assert_eq!((state.reference(), state.extra_info()), (Some("client-1"), None));
    assert_eq!(state.fields["other.display_name"].to_string(), "Client 1");
    assert_eq!(world.api_key(&entity(1)).await.as_deref(), Some("Line-Key-000001"));
    assert!(world.tracked(&entity(1)).await.key.is_some(), "the next pass does not read it again");
    let [event] = world.history(&entity(1)).await.try_into().unwrap();
    assert_eq!((event.origin, event.has_api_key), (Origin::Reconciled, true));
    assert!(event.body.unwrap().contains("new_field"), "unknown fields are kept");
    for (entity, reference) in
        [("store#972501234567", Some("shop")), ("online#online#523", Some("5234")), ("builder#523", None)]
    {
        assert_eq!(world.state(&Entity::named(entity)).await.unwrap().reference(), reference, "{entity}");
    }
    assert_eq!(world.api_key(&Entity::named("store#972501234567")).await.as_deref(), Some("Line-Key-of-a-store"));
    let before = world.recorded().await;
    let again = world.inventory().await.unwrap();
    assert_eq!((again.outcome, again.imported, again.known), (InventoryOutcome::UpToDate, 0, 6));
    assert_eq!(world.history(&entity(1)).await.len(), 1);
    assert_eq!(world.recorded().await.len(), before.len());
    assert_eq!((world.sum("Imported"), world.sum("InventoryRuns"), world.sum("InventoryFailed")), (6.0, 2.0, 0.0));
}

#[tokio::test]
async fn a_line_whose_event_was_missed_is_rebuilt_after_the_grace_period_and_the_gap_is_named() {
    let mut world = World::start().await;
    world.run("sync").await.unwrap();
    world.list_lines(0..1);
    world.inventory().await.unwrap();
    world.wait(HOUR);
    world.partner.register(Some(FOREIGN));
    world.list_lines(0..2);
    world.wait(MINUTE);
    world.run("sync").await.unwrap();
    let waiting = world.inventory().await.unwrap();
    assert_eq!((waiting.waiting, waiting.missed.len()), (vec![entity(1)], 0));
    assert!(world.state(&entity(1)).await.is_none());
    world.wait(30 * MINUTE);
    let planned = world.planned_inventory().await.unwrap();
    assert_eq!((missed(&planned), planned.outcome), (vec![entity(1).as_str()], InventoryOutcome::WouldUpdate));
    assert!(world.state(&entity(1)).await.is_none());
    let report = world.inventory().await.unwrap();
    assert_eq!((missed(&report), report.imported), (vec![entity(1).as_str()], 0));
    assert_eq!(report.missed, planned.missed, "a plan is what the next pass does");
    let [found] = report.missed.try_into().unwrap();
    assert_eq!(found.reference.as_deref(), Some("client-1"));
    assert!(found.gap.is_some(), "{found:?}");
    let [event] = world.history(&entity(1)).await.try_into().unwrap();
    assert_eq!((event.id.to_string(), event.origin), (found.event_id, Origin::Reconciled));
    assert_eq!(world.api_key(&entity(1)).await.as_deref(), Some("Line-Key-000001"));
    assert_eq!(world.inventory().await.unwrap().outcome, InventoryOutcome::UpToDate);
    assert_eq!(world.sum("EventsMissed"), 1.0);
}

#[tokio::test]
async fn an_event_that_came_is_never_called_missed_and_wins_over_the_list() {
    let mut world = World::start_with(&[("MISSED_AFTER_MINUTES", "0")]).await;
    world.inventory().await.unwrap();
    world.wait(MINUTE);
    world.list_lines(0..2);
    world.deliver(&event(0, 2)).await;
    let report = world.inventory().await.unwrap();
    assert_eq!(missed(&report), [entity(1).as_str()]);
    world.wait(MINUTE);
    // Delayed: it was received before the list was read.
    world.deliver(&event(1, 1)).await;
    let state = world.state(&entity(1)).await.unwrap();
    assert!(!state.is_reconciled);
    assert_eq!(state.extra_info().unwrap().as_str(), "1");
    assert_eq!(missed(&world.inventory().await.unwrap()), <[&str; 0]>::default());
    assert_eq!(world.history(&entity(0)).await.len(), 1);
}

#[tokio::test]
async fn while_its_event_may_wait_in_a_queue_or_in_quarantine_nothing_is_called_missed() {
    let mut world = World::start_with(&[("MISSED_AFTER_MINUTES", "0")]).await;
    world.inventory().await.unwrap();
    world.wait(MINUTE);
    world.list_lines(0..2);
    let client = emulators::sqs::client(&world.sqs.url());
    for queue in [world.sqs.queue_url(), world.sqs.dead_letter_queue_url()] {
        client.send_message().queue_url(&queue).message_body("{}").send().await.unwrap();
        let held = world.inventory().await.unwrap();
        assert_eq!((held.missed.len(), held.waiting.len()), (0, 2));
        assert!(held.held_back.unwrap().starts_with("1 deliveries wait"));
        let taken = client.receive_message().queue_url(&queue).send().await.unwrap();
        let handle = taken.messages()[0].receipt_handle().unwrap();
        assert_eq!(world.inventory().await.unwrap().missed.len(), 0, "a message in work waits too");
        client.delete_message().queue_url(&queue).receipt_handle(handle).send().await.unwrap();
    }
    // One is held for its source, and what cannot be decoded names the other.
    world.record(&world.received(event(0, 2).to_string().into_bytes()), true).await;
    world.record(&world.received(format!("oops 97250{:07}", 1).into_bytes()), false).await;
    world.wait(MINUTE);
    let held = world.inventory().await.unwrap();
    assert_eq!((held.missed.len(), held.waiting.len()), (0, 2));
    assert_eq!(held.held_back.as_deref(), Some("their events may be in quarantine"));
    assert_eq!(world.sum("InventoryHeldBack"), 5.0, "each pass so far but the first");
    world.list_lines(0..3);
    assert_eq!(missed(&world.inventory().await.unwrap()), [entity(2).as_str()]);
}

#[tokio::test]
async fn a_list_that_is_not_whole_finds_nothing_and_is_named() {
    let faults = [
        Fault::Empty,
        Fault::CutOff,
        Fault::MissingComma,
        Fault::Html,
        Fault::Status(503),
        Fault::Reason(13),
        Fault::Answer(200, json!({"status": "OK", "reason": 1, "totalWhatsApp": 0}).to_string()),
        Fault::Answer(200, json!({"status": "OK", "reason": 1, "list": {}, "totalWhatsApp": 0}).to_string()),
        Fault::Disconnect,
    ];
    let world = World::start_with(&[("MISSED_AFTER_MINUTES", "0")]).await;
    world.list_lines(0..2);
    world.partner.list(Call::Builders, [json!({"builderID":"523"})]);
    world.inventory().await.unwrap();
    world.list_lines(0..3);
    for fault in faults {
        for list in [Call::Lines, Call::OnboardingLinks] {
            world.partner.next(list, fault.clone());
            let report = world.inventory().await.unwrap();
            assert_eq!(report.outcome, InventoryOutcome::Incomplete, "{fault:?}");
            let incomplete: Vec<&str> =
                report.lists.iter().filter(|(_, list)| !list.complete).map(|(name, _)| *name).collect();
            let name = if list == Call::Lines { "lines" } else { "onboarding_links" };
            assert_eq!(incomplete, [name], "{fault:?}");
            assert!((missed(&report).is_empty() && report.gone.is_empty()), "{fault:?}");
        }
    }
    assert_eq!(world.sum("InventoryFailed"), 18.0);
    world.partner.next(Call::Lines, Fault::WrongTotal);
    let report = world.inventory().await.unwrap();
    let cause = report.lists["lines"].cause.as_deref().unwrap();
    assert!(cause.contains("a list of 2 elements whose total is 3"), "{cause}");
    assert!(missed(&report).is_empty() && report.gone.is_empty());
    assert_eq!(missed(&world.inventory().await.unwrap()), [entity(2).as_str()]);
}

#[tokio::test]
async fn without_the_references_no_key_of_a_reused_number_is_sealed() {
    let mut world = World::start().await;
    world.list_lines(0..1);
    world.inventory().await.unwrap();
    world.wait(HOUR);
    let mut reused = line(0);
    reused["apiKey"] = json!("Line-Key-of-another");
    reused["create_time"] = json!(1_735_900_000);
    let mut its_link = link(0);
    its_link["reference"] = json!("another-client");
    its_link["create_time"] = json!(1_735_900_000);
    world.partner.list(Call::Lines, [reused]);
    world.partner.list(Call::OnboardingLinks, [its_link]);
    world.partner.next(Call::OnboardingLinks, Fault::Status(503));
    let report = world.inventory().await.unwrap();
    assert!(report.changed.iter().all(|changed| changed.change != "key"), "{:?}", report.changed);
    assert_eq!(world.api_key(&entity(0)).await.as_deref(), Some("Line-Key-000000"));
    world.wait(HOUR);
    let report = world.inventory().await.unwrap();
    assert!(report.changed.iter().any(|changed| changed.change == "key"), "{:?}", report.changed);
    assert_eq!(world.api_key(&entity(0)).await.as_deref(), Some("Line-Key-of-another"));
    assert_eq!(world.state(&entity(0)).await.unwrap().reference(), Some("another-client"));
}

#[tokio::test]
async fn what_two_whole_lists_lack_is_marked_as_gone_and_unmarked_when_it_is_back() {
    let mut world = World::start().await;
    world.list_lines(0..2);
    world.inventory().await.unwrap();
    world.list_lines(0..1);
    for _ in 0..3 {
        let report = world.inventory().await.unwrap();
        assert_eq!(gone(&report), <[&str; 0]>::default(), "a list a moment later proves nothing more");
    }
    world.wait(HOUR);
    world.partner.next(Call::Lines, Fault::CutOff);
    assert_eq!(gone(&world.inventory().await.unwrap()), <[&str; 0]>::default());
    let report = world.inventory().await.unwrap();
    assert_eq!((gone(&report), report.outcome), (vec![entity(1).as_str()], InventoryOutcome::Updated));
    assert!(world.state(&entity(1)).await.is_some(), "marked, not deleted");
    let still = world.inventory().await.unwrap();
    assert_eq!((gone(&still), still.outcome), (vec![entity(1).as_str()], InventoryOutcome::UpToDate));
    world.list_lines(0..2);
    let back = world.inventory().await.unwrap();
    assert_eq!((gone(&back).len(), back.changed[0].change), (0, "back"));
    assert_eq!(world.sum("Gone"), 1.0);
    assert_eq!(world.history(&entity(1)).await.len(), 1);
}

#[tokio::test]
async fn an_element_that_could_not_be_used_in_the_first_list_is_imported_from_a_later_one_and_not_missed() {
    let mut world = World::start().await;
    world.list_lines(0..2);
    let mut garbled = line(1);
    garbled["whatsapp"] = json!(null);
    world.partner.list(Call::Lines, [line(0), garbled]);
    let first = world.inventory().await.unwrap();
    assert_eq!((first.imported, first.lists["lines"].unusable), (1, 1));
    world.wait(HOUR);
    world.list_lines(0..2);
    let next = world.inventory().await.unwrap();
    assert_eq!((next.imported, missed(&next).len(), next.waiting), (0, 0, vec![entity(1)]));
    world.wait(HOUR);
    let later = world.inventory().await.unwrap();
    assert_eq!((later.imported, missed(&later).len(), later.waiting.len()), (1, 0, 0));
}

#[tokio::test]
async fn a_missed_event_that_is_noted_is_counted_even_if_the_pass_fails_afterwards() {
    let miss = async |world: &mut World| {
        world.list_lines(0..1);
        world.inventory().await.unwrap();
        world.list_lines(0..2);
        world.inventory().await.unwrap();
        world.wait(HOUR);
        let faults = Faults::before(&world.dynamodb.url()).await.unwrap();
        world.restart_with_dynamodb_at(&faults.url());
        faults
    };
    let mut world = World::start().await;
    let faults = miss(&mut world).await;
    assert_eq!(missed(&world.inventory().await.unwrap()).len(), 1);
    let requests = faults.take_seen().len();
    let mut world = World::start().await;
    let faults = miss(&mut world).await;
    faults.times(requests - 1, faults::Fault::None);
    faults.times(usize::MAX, faults::Fault::InternalError);
    assert_eq!(world.inventory().await.unwrap_err().cause(), "StoreFailed");
    assert_eq!((world.sum("EventsMissed"), world.sum("InventoryFailed")), (1.0, 1.0));
    faults.recover().unwrap();
    assert_eq!(missed(&world.inventory().await.unwrap()).len(), 0);
    assert_eq!(world.sum("EventsMissed"), 1.0, "once");
}

#[tokio::test]
async fn an_event_that_another_pass_has_rebuilt_without_noting_it_is_noted_and_not_rebuilt_again() {
    let mut world = World::start().await;
    world.list_lines(0..1);
    world.inventory().await.unwrap();
    let noted = world.tracked(&entity(0)).await;
    // The other pass had its list at another time, so it derived another id.
    let listed_at = noted.listed_at.map(|at| at.plus(MINUTE));
    world.notes().write(&[Tracked { rebuilt_at: None, listed_at, ..noted }]).await.unwrap();
    world.wait(HOUR);
    let report = world.inventory().await.unwrap();
    assert_eq!((report.imported, missed(&report).len()), (0, 0));
    assert_eq!(world.history(&entity(0)).await.len(), 1);
    assert!(world.tracked(&entity(0)).await.rebuilt_at.is_some());
}

#[tokio::test]
async fn a_key_that_changed_is_sealed_again_and_one_that_came_with_an_event_is_not() {
    let mut world = World::start().await;
    world.deliver(&event(0, 2)).await;
    world.list_lines(0..2);
    let first = world.inventory().await.unwrap();
    assert_eq!((first.imported, first.changed.len()), (1, 0), "the key of the event is the listed one");
    let first_key = world.tracked(&entity(0)).await.key.unwrap();
    world.wait(MINUTE);
    let mut changed = [line(0), line(1)];
    changed[0]["apiKey"] = json!("Line-Key-new");
    world.partner.list(Call::Lines, changed);
    let planned = world.planned_inventory().await.unwrap();
    assert_eq!(world.api_key(&entity(0)).await.as_deref(), Some("Line-Key-000000"));
    let report = world.inventory().await.unwrap();
    assert_eq!(report.changed, planned.changed);
    assert_eq!((report.changed.len(), report.changed[0].change), (1, "key"));
    assert_eq!(world.api_key(&entity(0)).await.as_deref(), Some("Line-Key-new"));
    assert_eq!(world.history(&entity(0)).await.last().unwrap().origin, Origin::Reconciled);
    assert_ne!(world.tracked(&entity(0)).await.key.unwrap(), first_key, "the next pass does not read it again");
    assert_eq!(world.inventory().await.unwrap().outcome, InventoryOutcome::UpToDate);
    // A newer key has come with an event; the list is late.
    world.wait(HOUR);
    let mut newest = event(0, 3);
    newest["whatsapp_apiKey"] = json!("Line-Key-newest");
    world.deliver(&newest).await;
    let mut late = [line(0), line(1)];
    late[0]["apiKey"] = json!("Line-Key-newest");
    world.partner.list(Call::Lines, late);
    assert_eq!(world.inventory().await.unwrap().outcome, InventoryOutcome::UpToDate);
    assert_eq!(world.api_key(&entity(0)).await.as_deref(), Some("Line-Key-newest"));
    assert_eq!(world.history(&entity(0)).await.len(), 3);
}

#[tokio::test]
async fn a_temporary_number_makes_no_line_and_a_client_who_does_not_finish_is_reported() {
    let world = World::start_with(&[("MISSED_AFTER_MINUTES", "0")]).await;
    world.inventory().await.unwrap();
    world.partner.list(
        Call::OnboardingLinks,
        [json!({
            "create_time": 1_735_811_185, "whatsapp": "972571234567", "coexistence": 1, "reference": "client-9",
            "business_name": "Acme", "status": 0,
        })],
    );
    world
        .partner
        .list(Call::Lines, [json!({"whatsapp": "972571234567", "create_time": 1_735_811_185, "apiKey": "Line-Key-1"})]);
    let report = world.inventory().await.unwrap();
    let stuck = serde_json::to_value(&report.stuck).unwrap();
    assert_eq!(stuck[0]["reference"], "client-9");
    assert!(!stuck.to_string().contains("97257"));
    let [found] = report.missed.try_into().unwrap();
    assert_eq!(found.reference, None, "the number of an unfinished link is matched with no line");
    assert_eq!(world.sum("Stuck"), 1.0);
}

#[tokio::test]
async fn refused_credentials_end_the_pass_and_are_not_tried_again() {
    let world = World::start().await;
    world.partner.next(Call::RegisteredNumbers, Fault::Reason(2));
    assert_eq!(world.inventory().await.unwrap_err().cause(), "WrongCredentials");
    world.partner.take_calls();
    assert_eq!(world.inventory().await.unwrap_err().cause(), "WrongCredentials");
    assert_eq!(world.partner.take_calls(), []);
    assert_eq!(world.sum("InventoryFailed"), 2.0);
    assert_eq!(world.ledger().await, [], "the registration did not fail");
}

#[tokio::test]
async fn a_plan_writes_nothing() {
    let world = World::start().await;
    world.list_lines(0..3);
    let before = world.recorded().await;
    let report = world.planned_inventory().await.unwrap();
    assert_eq!((report.outcome, report.imported), (InventoryOutcome::WouldUpdate, 3));
    let line = world.last_line();
    assert_eq!(
        (&line["action"], &line["outcome"], &line["imported"]),
        (&json!("inventory"), &json!("would_update"), &json!(3))
    );
    assert_eq!(world.recorded().await, before);
    assert_eq!(world.sum("InventoryRuns"), 0.0);
}

#[tokio::test]
async fn a_plan_calls_nothing_missed_whose_event_has_come_since_the_states_were_read() {
    let mut world = World::start_with(&[("MISSED_AFTER_MINUTES", "0")]).await;
    world.inventory().await.unwrap();
    world.wait(MINUTE);
    world.list_lines(0..1);
    let faults = Faults::before(&world.dynamodb.url()).await.unwrap();
    world.restart_with_dynamodb_at(&faults.url());
    assert_eq!(missed(&world.planned_inventory().await.unwrap()), [entity(0).as_str()]);
    let second_look = faults.take_seen().iter().rposition(|operation| operation == "GetItem").unwrap();
    let held = faults.hold(second_look - 1, faults::Point::BeforeAnswer);
    let deliver = async {
        let held = held.reached().await.unwrap();
        world.deliver(&event(0, 2)).await;
        drop(held);
    };
    let (plan, ()) = tokio::join!(world.planned_inventory(), deliver);
    assert_eq!(missed(&plan.unwrap()), <[&str; 0]>::default());
}

#[tokio::test]
async fn a_pass_without_time_rebuilds_nothing_and_reports_the_number_of_entities_left() {
    let world = World::start().await;
    world.list_lines(0..3);
    world.partner.list(Call::Builders, [json!({"create_time": 1735811185, "builderID": "523"})]);
    let event = json!({ "action": "inventory" });
    let Answer::Inventory(report) = world.invoke_within(&world.sync, event, Duration::from_secs(19)).await.unwrap()
    else {
        panic!("inventory")
    };
    assert_eq!((report.outcome, report.left, report.imported), (InventoryOutcome::Incomplete, 4, 0));
    let next = world.inventory().await.unwrap();
    assert_eq!((next.outcome, next.left, next.imported), (InventoryOutcome::Updated, 0, 4));
}

#[tokio::test]
async fn hundreds_of_lines_are_imported_in_one_pass_and_ten_thousand_are_compared() {
    let world = World::start().await;
    world.list_lines(0..500);
    assert_eq!(world.inventory().await.unwrap().imported, 500);
    let states: Vec<State> = world.reader().states(&Kind::Whatsapp, None, PAGE).try_collect().await.unwrap();
    assert_eq!(states.len(), 500);
    world.list_lines(0..10_000);
    let planned = world.planned_inventory().await.unwrap();
    assert_eq!((planned.lists["lines"].elements, planned.known), (Some(10_000), 500));
    assert_eq!(planned.waiting.len(), 1_000);
    assert_eq!(serde_json::to_value(&planned).unwrap()["waiting_left_out"], 8_500);
    world.list_lines(0..500);
    assert_eq!(world.inventory().await.unwrap().outcome, InventoryOutcome::UpToDate);
}

impl World {
    /// Returns the sort keys of a partition that begin with `event#`.
    async fn events_in(&self, pk: &str) -> Vec<String> {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let query = self.dynamodb.client().query().table_name(self.dynamodb.events_table());
        let query = query.key_condition_expression("pk = :pk AND begins_with(sk, :event)");
        let query = query.expression_attribute_values(":pk", text(pk));
        let found = query.expression_attribute_values(":event", text("event#")).send().await.unwrap();
        found.items().iter().map(|item| item["sk"].as_s().unwrap().clone()).collect()
    }
}

#[tokio::test]
async fn nothing_is_decided_about_an_entity_with_an_item_that_cannot_be_read_and_everything_else_goes_on() {
    let mut world = World::start_with(&[("MISSED_AFTER_MINUTES", "0")]).await;
    world.list_lines(0..8);
    world.inventory().await.unwrap();
    let (events, sealed) = (world.dynamodb.events_table(), world.dynamodb.sealed_table());
    for n in [0, 1] {
        world.dynamodb.garble(events, [entity(n).as_str(), "state"], "first_seen").await.unwrap();
    }
    for n in [2, 3] {
        world.dynamodb.garble(events, ["inventory", entity(n).as_str()], "listed_at").await.unwrap();
    }
    world
        .dynamodb
        .garble(sealed, [entity(4).as_str(), &world.events_in(entity(4).as_str()).await[0]], "received_at")
        .await
        .unwrap();
    // 1, 3, 6 and 7 are not listed any more, 8 is new, and all others have another key.
    let listed = [0, 2, 4, 5, 8];
    let with_another_key = |n: usize| {
        let mut line = line(n);
        line["apiKey"] = json!(format!("Another-Key-{n}"));
        line
    };
    world.partner.list(Call::Lines, listed.map(with_another_key));
    world.partner.list(Call::OnboardingLinks, listed.map(link));
    world.wait(MINUTE);
    let planned = world.planned_inventory().await.unwrap();
    let report = world.inventory().await.unwrap();
    assert_eq!((missed(&planned), missed(&report)), (vec![entity(8).as_str()], vec![entity(8).as_str()]));
    let first_list = report.missed[0].not_listed_at.clone();
    let changed: Vec<_> = report.changed.iter().map(|changed| (changed.entity.clone(), changed.change)).collect();
    assert_eq!(changed, [(entity(5), "key")]);
    world.wait(MINUTE);
    let again = world.inventory().await.unwrap();
    assert_eq!(gone(&again), [entity(6).as_str(), entity(7).as_str()]);
    for report in [planned, report, again] {
        assert_eq!((report.outcome, report.unreadable), (InventoryOutcome::Incomplete, (0..5).map(entity).collect()));
    }
    for n in [0, 2] {
        assert_eq!(world.api_key(&entity(n)).await, Some(format!("Line-Key-{n:06}")), "{n} is left");
    }
    for n in 0..5 {
        assert_eq!(world.history(&entity(n)).await.len(), 1, "{n} is not recorded again");
    }
    let inventory = Inventory::new(world.dynamodb.client(), events);
    let tracked = inventory.entity(&entity(1)).await.unwrap().unwrap();
    assert_eq!((tracked.absent_since, tracked.gone_at), (None, None));
    let log = world.log().join("\n");
    for item in ["whatsapp#972500000001 / state", "inventory / whatsapp#972500000003", "whatsapp#972500000004 / event#"]
    {
        assert!(log.contains(&format!("the item {item}")), "{item}: {log}");
    }
    assert_eq!(world.sum("InventoryFailed"), 2.0);
    // A listed entity that cannot be used may be any other: its list proves no absence.
    world.list_lines([0, 9]);
    world.wait(MINUTE);
    let [found] = world.inventory().await.unwrap().missed.try_into().unwrap();
    assert_eq!((found.entity, found.not_listed_at), (entity(9), first_list));
}

#[tokio::test]
async fn a_quarantined_delivery_that_cannot_be_read_may_be_any_event_and_such_an_entry_of_the_ledger_explains_no_gap() {
    let mut world = World::start_with(&[("MISSED_AFTER_MINUTES", "0")]).await;
    world.run("sync").await.unwrap();
    world.inventory().await.unwrap();
    world.wait(MINUTE);
    let events = world.dynamodb.events_table();
    world.partner.register(Some(FOREIGN));
    world.run("sync").await.unwrap();
    world.list_lines(0..1);
    world.record(&world.received(b"oops".to_vec()), false).await;
    let quarantine = format!("quarantine#{}", &world.now.to_string()[..10]);
    let [sk] = world.events_in(&quarantine).await.try_into().unwrap();
    world.dynamodb.garble(events, [&quarantine, &sk], "received_at").await.unwrap();
    world.wait(MINUTE);
    let held = world.inventory().await.unwrap();
    assert_eq!((held.missed.len(), held.waiting.len()), (0, 1));
    assert_eq!(held.held_back.as_deref(), Some("their events may be in quarantine"));
    assert_eq!(
        (held.outcome, held.unreadable),
        (InventoryOutcome::Incomplete, vec![Entity::named(quarantine.clone())])
    );

    let key =
        [("pk", &quarantine), ("sk", &sk)].map(|(name, value)| (name.to_owned(), AttributeValue::S(value.clone())));
    world.dynamodb.client().delete_item().table_name(events).set_key(Some(key.into())).send().await.unwrap();
    let planned = world.planned_inventory().await.unwrap();
    assert!(planned.missed[0].gap.is_some(), "{planned:?}");
    for sk in world.events_in("registration").await {
        world.dynamodb.garble(events, ["registration", &sk], "change").await.unwrap();
    }
    let found = world.inventory().await.unwrap();
    assert_eq!((missed(&found), &found.missed[0].gap), (vec![entity(0).as_str()], &None));
    assert_eq!(found.unreadable, [Entity::named("registration")]);
}
