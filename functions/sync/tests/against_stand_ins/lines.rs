use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use emulators::{
    faults::{Faults, Point},
    partner::{Call, Fault, Line, LineCall, Writing},
};
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use shared::{Entity, EventId, Timestamp};
use store::{
    Inventory, LineAction, LineChange, LineRecord, LineStatus, Lines, Listing, Order, PAGE, SetLease, Tracked,
};
use sync::{Answer, Limits, LinesOutcome, LinesReport, SyncError};

use crate::world::{LIMITS, World};

const HOUR: Duration = Duration::from_secs(3600);
const URL: (&str, &str) =
    ("LINE_WEBHOOK_URL", "https://bot.example/in/{whatsapp}/Line-Secret-0123456789?client={reference}");
const OBSERVE: (&str, &str) = ("LINE_WEBHOOK_MODE", "observe");
const ENFORCE: (&str, &str) = ("LINE_WEBHOOK_MODE", "enforce");
const FOREIGN: &str = "https://other.example/in/Foreign-Token-9876543210";

fn number(n: usize) -> String {
    format!("97250{n:07}")
}

fn entity(n: usize) -> Entity {
    Entity::named(format!("whatsapp#{}", number(n)))
}

fn key(n: usize) -> String {
    format!("Line-Key-{n:06}")
}

/// Our URL of a line.
fn ours(n: usize) -> String {
    format!("https://bot.example/in/{}/Line-Secret-0123456789?client=client-{n}", number(n))
}

fn all() -> Value {
    json!({ "action": "lines" })
}

fn one(n: usize) -> Value {
    json!({ "action": "lines", "entity": entity(n) })
}

impl World {
    async fn with_lines(settings: &[(&'static str, &'static str)], lines: usize) -> Self {
        let mut settings = settings.to_vec();
        settings.push(URL);
        let world = Self::start_with(&settings).await;
        for n in 0..lines {
            world.onboard(n).await;
        }
        world
    }

    /// Finishes the onboarding of a line and delivers its event.
    async fn onboard(&self, n: usize) {
        self.partner.onboard(&number(n), Some(&format!("client-{n}")), &key(n));
        self.event(n, &key(n)).await;
    }

    /// Delivers an event of a line that has a key.
    async fn event(&self, n: usize, key: &str) {
        self.deliver(&json!({
            "status": "OK", "event": "whatsapp", "whatsapp": number(n), "whatsapp_reference": format!("client-{n}"),
            "whatsapp_extra_info": 2, "whatsapp_apiKey": key,
        }))
        .await;
    }

    async fn lines(&self, event: Value) -> Result<LinesReport, SyncError> {
        match self.invoke(event).await? {
            Answer::Lines(report) => Ok(report),
            other => panic!("{other:?}"),
        }
    }

    fn stored(&self) -> Lines {
        Lines::new(self.dynamodb.client(), self.dynamodb.events_table())
    }

    async fn line(&self, n: usize) -> LineRecord {
        self.stored().get(&entity(n)).await.unwrap().unwrap()
    }

    async fn line_history(&self, n: usize) -> Vec<LineChange> {
        let times = Timestamp::from_micros(0)..Timestamp::from_micros(i64::MAX);
        let listing = Listing { times, order: Order::OldestFirst, after: None, page_size: PAGE };
        self.stored().history(&entity(n), &listing).try_collect().await.unwrap()
    }

    /// Returns from which status to which each change of a line went, and by which action.
    async fn line_steps(&self, n: usize) -> Vec<(Option<LineStatus>, LineStatus, LineAction)> {
        let changes = self.line_history(n).await;
        changes.into_iter().map(|change| (change.from, change.to, change.action)).collect()
    }

    /// Requests a check of a line even if its key was refused.
    async fn ask_again(&self, n: usize) -> LinesReport {
        self.lines(json!({ "action": "lines", "entity": entity(n), "again": true })).await.unwrap()
    }

    /// Passes over all lines, with an event that is delivered once they were listed.
    async fn pass_with(&mut self, event: &Value) -> LinesReport {
        let faults = Faults::before(&self.dynamodb.url()).await.unwrap();
        self.restart_with_dynamodb_at(&faults.url());
        self.lines(json!({"action": "lines", "mode": "plan"})).await.unwrap();
        let listed = faults.take_seen().iter().position(|operation| operation == "BatchGetItem").unwrap();
        // An event that is received at the same time as another may count as the older one.
        self.wait(HOUR);
        let held = faults.hold(listed, Point::BeforeAnswer);
        self.line_calls();
        let deliver = async {
            let listed = held.reached().await.unwrap();
            self.deliver(event).await;
            drop(listed);
        };
        let (report, ()) = tokio::join!(self.lines(all()), deliver);
        self.restart_with_dynamodb_at(&self.dynamodb.url());
        report.unwrap()
    }

    fn line_calls(&self) -> Vec<Call> {
        self.partner.take_line_calls().into_iter().map(|call| call.call).collect()
    }

    fn url(&self, n: usize) -> String {
        self.partner.line(&number(n)).unwrap().url
    }
}

/// The event of Lambda for a message of the queue of new keys.
fn queued(request: &Value) -> Value {
    let attributes = json!({"ApproximateReceiveCount": "1", "SentTimestamp": "1795348801000"});
    let message = json!({
        "messageId": "1", "receiptHandle": "r", "eventSource": "aws:sqs", "body": request.to_string(), "attributes": attributes,
    });
    json!({ "Records": [message] })
}

fn statuses(report: &LinesReport) -> Vec<(&str, &str)> {
    report.not_live.iter().map(|line| (line.entity.as_str(), line.webhook)).collect()
}

#[tokio::test]
async fn a_message_of_the_queue_sets_its_line_and_any_other_request_fails_without_a_call() {
    let world = World::with_lines(&[], 2).await;
    let report = world.lines(queued(&one(1))).await.unwrap();
    assert_eq!((report.outcome, report.checked), (LinesOutcome::Updated, 1));
    assert_eq!((world.url(0), world.url(1)), (String::new(), ours(1)));
    world.line_calls();
    let error = world.lines(queued(&all())).await.unwrap_err();
    assert_eq!(error.cause(), "BadRequest");
    assert_eq!(world.line_calls(), []);
    let line = world.last_line();
    assert_eq!((&line["level"], &line["cause"]), (&json!("ERROR"), &json!("BadRequest")));
    assert_eq!(line["error"], error.to_string());
}

#[tokio::test]
async fn the_webhook_of_an_onboarded_line_is_set_and_read_back() {
    let mut world = World::with_lines(&[], 1).await;
    let onboarded_at = world.now;
    world.wait(HOUR);
    let report = world.lines(one(0)).await.unwrap();
    assert_eq!((report.outcome, report.lines, report.checked, report.left), (LinesOutcome::Updated, 1, 1, 0));
    assert_eq!(report.counts, [("live", 1)].into());
    assert_eq!(world.url(0), ours(0));
    assert_eq!(world.line_calls(), [Call::LineGet, Call::LineSet, Call::LineGet]);
    let line = world.line(0).await;
    assert_eq!((line.status, line.concluded, line.lease), (LineStatus::Live, Some(LineStatus::Live), None));
    assert_eq!((line.set_at, line.live_at, line.checked_at), (line.live_at, line.checked_at, Some(line.attempted_at)));
    let steps =
        [(None, LineStatus::Empty, LineAction::Found), (Some(LineStatus::Empty), LineStatus::Live, LineAction::Set)];
    assert_eq!(world.line_steps(0).await, steps);
    let set = world.line_history(0).await.pop().unwrap();
    assert_eq!(set.not_live, Some(onboarded_at..line.live_at.unwrap()), "from the event with its key on");
    assert_eq!(set.url, line.url);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["changed"][1]["action"], "set");
    assert_eq!(json["outcome"], "updated");

    let again = world.lines(all()).await.unwrap();
    assert_eq!((again.outcome, again.changed.len(), again.checked), (LinesOutcome::UpToDate, 0, 1));
    assert_eq!(world.line_calls(), [Call::LineGet]);
    assert_eq!(world.line_steps(0).await.len(), 2);
}

#[tokio::test]
async fn every_spelling_of_our_url_is_ours() {
    let world = World::with_lines(&[], 1).await;
    world.lines(all()).await.unwrap();
    world.line_calls();
    for writing in [Writing::WithoutScheme, Writing::HostInCapitals] {
        world.partner.write(writing);
        let report = world.lines(all()).await.unwrap();
        assert_eq!((report.outcome, world.line_calls()), (LinesOutcome::UpToDate, vec![Call::LineGet]), "{writing:?}");
    }
}

#[tokio::test]
async fn each_status_is_found_in_its_case() {
    let world = World::with_lines(&[], 5).await;
    world.partner.register_line(&number(1), Some(FOREIGN));
    world.partner.put_line(&number(2), Line::new("another"));
    world.partner.remove_line(&number(3));
    world.deliver(&json!({"status": "OK", "event": "whatsapp", "whatsapp": number(9), "whatsapp_extra_info": 4})).await;
    let report = world.lines(all()).await.unwrap();
    assert_eq!(
        report.counts,
        [("live", 2), ("foreign", 1), ("wrong_key", 1), ("unknown_number", 1), ("no_key", 1)].into()
    );
    let mut found = statuses(&report);
    found.sort_unstable();
    let (one, two, three, nine) = (entity(1), entity(2), entity(3), entity(9));
    let expected = [
        (one.as_str(), "foreign"),
        (two.as_str(), "wrong_key"),
        (three.as_str(), "unknown_number"),
        (nine.as_str(), "no_key"),
    ];
    assert_eq!(found, expected);
    assert_eq!(world.line(1).await.url.as_deref(), Some("other.example"), "the host alone");
    assert_eq!(world.url(1), FOREIGN);
    for (call, fault) in [
        (Call::LineGet, Fault::Status(500)),
        (Call::LineGet, Fault::Disconnect),
        (Call::LineGet, Fault::Html),
        (Call::LineGet, Fault::Reason(13)),
        (Call::LineGet, Fault::Answer(200, json!({"status": "OK", "reason": 1}).to_string())),
        (Call::LineGet, Fault::Answer(502, json!({"status": "OK", "url": "", "reason": 1}).to_string())),
    ] {
        let world = World::with_lines(&[], 1).await;
        world.partner.always(call, fault.clone());
        let report = world.lines(all()).await.unwrap();
        assert_eq!((report.outcome, report.left), (LinesOutcome::Incomplete, 1), "{fault:?}");
        assert_eq!(statuses(&report), [(entity(0).as_str(), "unreachable")], "{fault:?}");
        assert!(report.not_live[0].cause.is_some());
        assert_eq!((world.line_calls(), world.line_steps(0).await.len()), (vec![Call::LineGet], 0), "{fault:?}");
    }
}

#[tokio::test]
async fn a_foreign_url_is_replaced_only_in_the_mode_enforce_and_observe_replaces_nothing() {
    for (settings, registered, expected, status) in [
        (&[][..], Some(FOREIGN), Some(FOREIGN), "foreign"),
        (&[OBSERVE], Some(FOREIGN), Some(FOREIGN), "foreign"),
        (&[OBSERVE], None, None, "empty"),
        (&[ENFORCE], Some(FOREIGN), Some(ours(0).as_str()), "live"),
        (&[ENFORCE], None, Some(ours(0).as_str()), "live"),
    ] {
        let world = World::with_lines(settings, 1).await;
        world.partner.register_line(&number(0), registered);
        for _ in 0..2 {
            let report = world.lines(all()).await.unwrap();
            assert_eq!(report.counts, [(status, 1)].into(), "{settings:?} {registered:?}");
        }
        assert_eq!(world.url(0), expected.unwrap_or_default());
        let sets = world.line_calls().into_iter().filter(|call| *call == Call::LineSet).count();
        assert_eq!(sets, usize::from(status == "live"), "{settings:?} {registered:?}");
    }
}

#[tokio::test]
async fn an_outdated_url_of_ours_is_replaced_and_stays_ours_if_the_new_one_is_not_accepted() {
    let mut world = World::with_lines(&[], 1).await;
    world.lines(all()).await.unwrap();
    world.configure(&[("LINE_WEBHOOK_URL", "https://new.example/{whatsapp}")]);
    world.partner.next(Call::LineSet, Fault::SetIgnored);
    let ignored = world.lines(all()).await.unwrap();
    assert_eq!(ignored.counts, [("foreign", 1)].into());
    assert_eq!((world.url(0), world.sum("LinesNotLive"), world.sum("LinesForeign")), (ours(0), 1.0, 0.0));
    world.partner.write(Writing::WithoutScheme);
    let report = world.lines(all()).await.unwrap();
    assert_eq!(report.counts, [("live", 1)].into());
    assert_eq!(world.url(0), format!("https://new.example/{}", number(0)));
}

#[tokio::test]
async fn a_webhook_that_somebody_else_changes_counts_as_drifted_each_time_even_if_it_is_repaired() {
    let mut world = World::with_lines(&[ENFORCE], 1).await;
    let mut drifted = 0.0;
    world.lines(all()).await.unwrap();
    for (event, registered, expected) in
        [(all(), Some(FOREIGN), 1.0), (all(), None, 1.0), (one(0), Some(FOREIGN), 1.0), (all(), Some(&*ours(0)), 0.0)]
    {
        world.partner.register_line(&number(0), registered);
        assert_eq!(world.lines(event).await.unwrap().counts, [("live", 1)].into());
        drifted += expected;
        assert_eq!((world.sum("LinesDrifted"), world.sum("LinesNotLive")), (drifted, 0.0), "{registered:?}");
    }
    world.configure(&[("LINE_WEBHOOK_URL", "https://new.example/{whatsapp}"), ENFORCE]);
    world.lines(all()).await.unwrap();
    assert_eq!(world.line_steps(0).await.len(), 10);
    assert_eq!(world.sum("LinesDrifted"), drifted, "our own change is no drift");
}

#[tokio::test]
async fn a_foreign_url_is_alarming_only_if_the_mode_replaces_it() {
    for (settings, registered, fault, not_live, foreign) in [
        (&[][..], Some(FOREIGN), None, 0.0, 1.0),
        (&[OBSERVE], Some(FOREIGN), None, 0.0, 1.0),
        (&[OBSERVE], None, None, 1.0, 0.0),
        (&[ENFORCE], Some(FOREIGN), None, 0.0, 0.0),
        (&[ENFORCE], Some(FOREIGN), Some(Fault::SetIgnored), 1.0, 0.0),
    ] {
        let world = World::with_lines(settings, 1).await;
        world.partner.register_line(&number(0), registered);
        if let Some(fault) = fault {
            world.partner.always(Call::LineSet, fault);
        }
        world.lines(one(0)).await.unwrap();
        assert_eq!((world.sum("LinesNotLive"), world.sum("LinesForeign")), (0.0, 0.0), "a single line");
        world.lines(all()).await.unwrap();
        let counted = (world.sum("LinesNotLive"), world.sum("LinesForeign"));
        assert_eq!(counted, (not_live, foreign), "{settings:?} {registered:?}");
    }
}

#[tokio::test]
async fn a_url_of_ours_that_the_provider_changes_keeps_a_cause_and_stays_alarming() {
    let answer = |url: &str, system: &str| {
        Fault::Answer(200, json!({"status": "OK", "url": url, "system": system, "reason": 1}).to_string())
    };
    for (set, system, between) in [
        (None, "0", None),
        (None, "0", Some(Fault::Disconnect)),
        (None, "0", Some(Fault::Reason(2))),
        (None, "1", None),
        (Some(Fault::Html), "0", None),
    ] {
        let world = World::with_lines(&[], 1).await;
        if let Some(set) = &set {
            world.partner.next(Call::LineSet, set.clone());
        }
        world.partner.next(Call::LineGet, answer("", system));
        world.partner.next(Call::LineGet, answer(FOREIGN, "0"));
        assert!(world.lines(all()).await.unwrap().not_live[0].cause.is_some());
        if let Some(between) = &between {
            world.partner.next(Call::LineGet, between.clone());
            world.lines(all()).await.unwrap();
        }
        world.partner.always(Call::LineGet, answer(FOREIGN, "0"));
        for _ in 0..2 {
            let before = world.sum("LinesNotLive");
            let report = world.lines(all()).await.unwrap();
            let cause = report.not_live[0].cause.as_deref();
            let expected = "the provider did not take our URL when it was last set, and shows another one";
            assert_eq!(cause, Some(expected), "{set:?} {system} {between:?}");
            assert_eq!((world.sum("LinesNotLive") - before, world.sum("LinesForeign")), (1.0, 0.0));
        }
        world.partner.always(Call::LineGet, answer("https://third.example/", "0"));
        let before = world.sum("LinesNotLive");
        world.lines(all()).await.unwrap();
        assert_eq!((world.sum("LinesNotLive") - before, world.sum("LinesForeign")), (0.0, 1.0), "another URL");
    }
}

#[tokio::test]
async fn an_outdated_url_is_only_reported_in_the_mode_observe() {
    let mut world = World::with_lines(&[], 1).await;
    world.lines(all()).await.unwrap();
    world.configure(&[("LINE_WEBHOOK_URL", "https://new.example/{whatsapp}"), OBSERVE]);
    let report = world.lines(all()).await.unwrap();
    assert_eq!(report.not_live[0].cause.as_deref(), Some("an earlier URL of this stack is still registered"));
    assert_eq!(world.url(0), ours(0));
}

#[tokio::test]
async fn the_configured_settings_are_set_and_the_others_stay() {
    let world = World::with_lines(&[], 1).await;
    let line = Line { url: ours(0), system: 1, system_phone_alert: "0501234567".to_owned(), ..Line::new(&key(0)) };
    world.partner.put_line(&number(0), line.clone());
    world.lines(all()).await.unwrap();
    assert_eq!(world.partner.line(&number(0)).unwrap(), Line { retry: 1, ..line });
    assert_eq!(world.line(0).await.cause, None);
}

#[tokio::test]
async fn settings_that_the_provider_does_not_accept_are_reported_once() {
    let world = World::with_lines(&[], 1).await;
    world.partner.put_line(&number(0), Line { url: ours(0), ..Line::new(&key(0)) });
    world.partner.always(Call::LineSet, Fault::SetIgnored);
    for _ in 0..3 {
        let report = world.lines(all()).await.unwrap();
        assert_eq!(report.counts, [("live", 1)].into());
    }
    assert!(world.line(0).await.cause.is_some());
    assert_eq!(world.line_steps(0).await, [(None, LineStatus::Live, LineAction::Found)]);
}

#[tokio::test]
async fn a_new_key_that_the_provider_does_not_know_yet_is_asked_about_for_a_day() {
    let mut world = World::with_lines(&[], 1).await;
    world.partner.put_line(&number(0), Line::new("Line-Key-new"));
    for (event, hours, calls) in
        [(all(), 1, 1), (one(0), 1, 1), (all(), 21, 1), (all(), 2, 1), (all(), 30, 0), (one(0), 0, 0)]
    {
        let report = world.lines(event).await.unwrap();
        assert_eq!((report.counts, world.line_calls().len()), ([("wrong_key", 1)].into(), calls));
        world.wait(HOUR * hours);
    }
    world.event(0, "Line-Key-new").await;
    let report = world.lines(all()).await.unwrap();
    assert_eq!((report.counts, world.url(0)), ([("live", 1)].into(), ours(0)));
}

#[tokio::test]
async fn a_new_key_without_an_answer_is_tried_again_and_the_old_one_is_not() {
    let mut world = World::with_lines(&[], 1).await;
    world.partner.put_line(&number(0), Line::new("Line-Key-new"));
    world.lines(all()).await.unwrap();
    world.wait(HOUR);
    world.event(0, "Line-Key-new").await;
    world.partner.next(Call::LineGet, Fault::Status(503));
    assert_eq!(world.lines(all()).await.unwrap().counts, [("unreachable", 1)].into());
    world.wait(HOUR);
    world.event(0, &key(0)).await;
    world.line_calls();
    world.wait(HOUR * 24);
    let asked_at = world.line(0).await.checked_at;
    assert_eq!(world.lines(all()).await.unwrap().counts, [("wrong_key", 1)].into());
    assert_eq!((world.line_calls(), world.line(0).await.checked_at), (vec![], asked_at), "it was not checked");
    world.wait(HOUR);
    world.event(0, "Line-Key-new").await;
    assert_eq!(world.lines(all()).await.unwrap().counts, [("live", 1)].into());
}

#[tokio::test]
async fn a_refusal_with_an_http_error_status_is_no_answer() {
    let world = World::with_lines(&[], 1).await;
    for (status, reason) in [(500, 3), (503, 3), (502, 2), (429, 3)] {
        let refusal = json!({"status": "FAIL", "reason": reason}).to_string();
        world.partner.next(Call::LineGet, Fault::Answer(status, refusal));
        let report = world.lines(all()).await.unwrap();
        assert_eq!(report.counts, [("unreachable", 1)].into(), "{status} {reason}");
    }
    let refusal = json!({"status": "FAIL", "reason": 3}).to_string();
    world.partner.next(Call::LineGet, Fault::Answer(401, refusal));
    assert_eq!(world.lines(all()).await.unwrap().counts, [("wrong_key", 1)].into());
}

#[tokio::test]
async fn a_refused_key_that_has_worked_is_tried_again_once_a_day() {
    let mut world = World::with_lines(&[], 1).await;
    world.lines(all()).await.unwrap();
    world.partner.always(Call::LineGet, Fault::Reason(3));
    world.line_calls();
    for (event, hours, calls) in [(all(), 1, 1), (all(), 10, 0), (one(0), 14, 0), (all(), 1, 1), (all(), 25, 0)] {
        assert_eq!(world.lines(event).await.unwrap().counts, [("wrong_key", 1)].into());
        assert_eq!(world.line_calls().len(), calls);
        world.wait(HOUR * hours);
    }
    world.partner.behave();
    assert_eq!(world.lines(all()).await.unwrap().counts, [("live", 1)].into());
}

#[tokio::test]
async fn a_pass_ends_when_the_provider_refuses_several_keys_in_a_row_that_have_worked() {
    let mut world = World::with_lines(&[], 12).await;
    world.lines(all()).await.unwrap();
    world.wait(HOUR);
    world.line_calls();
    world.partner.always(Call::LineGet, Fault::Reason(3));
    let report = world.lines(all()).await.unwrap();
    assert_eq!(report.outcome, LinesOutcome::Incomplete);
    let cause = report.cause.unwrap();
    assert!(cause.contains("refused several keys in a row"), "{cause}");
    let calls = world.line_calls().len();
    assert!((5..=6).contains(&calls), "{calls}");
    assert_eq!((report.counts["live"], report.counts["wrong_key"]), (12 - calls, calls));
    assert_eq!(world.sum("LinesFailed"), 1.0);
    world.partner.behave();
    world.wait(HOUR * 24);
    assert_eq!(world.lines(all()).await.unwrap().counts, [("live", 12)].into());
}

#[tokio::test]
async fn keys_that_are_still_refused_after_a_day_do_not_end_a_pass() {
    let mut world = World::with_lines(&[], 9).await;
    world.lines(all()).await.unwrap();
    for revoked in [0..3, 3..6] {
        revoked.for_each(|n| world.partner.put_line(&number(n), Line::new("another")));
        world.wait(HOUR);
        assert_eq!(world.lines(all()).await.unwrap().cause, None);
    }
    world.wait(HOUR * 24);
    world.line_calls();
    let report = world.lines(all()).await.unwrap();
    assert_eq!((report.cause, world.line_calls().len()), (None, 9));
    assert_eq!((report.counts, report.left), ([("live", 3), ("wrong_key", 6)].into(), 0));
    assert_eq!(world.sum("LinesFailed"), 0.0);
}

#[tokio::test]
async fn refusals_that_are_about_the_lines_do_not_end_a_pass() {
    let without_url = json!({"status": "OK", "reason": 1}).to_string();
    let url_of_another_type = json!({"status": "OK", "reason": 1, "url": 7}).to_string();
    for (fault, status) in [
        (Fault::Reason(3), "wrong_key"),
        (Fault::Reason(2), "unknown_number"),
        (Fault::Reason(13), "unreachable"),
        (Fault::Answer(200, without_url), "unreachable"),
        (Fault::Answer(200, url_of_another_type), "unreachable"),
    ] {
        let world = World::with_lines(&[], 7).await;
        world.partner.always(Call::LineGet, fault.clone());
        let report = world.lines(all()).await.unwrap();
        assert_eq!((world.line_calls().len(), report.cause.as_deref()), (7, None), "{fault:?}");
        assert_eq!(report.counts, [(status, 7)].into(), "{fault:?}");
        assert_eq!(world.sum("LinesFailed"), 0.0, "{fault:?}");
    }
}

#[tokio::test]
async fn a_person_can_ask_again_with_a_refused_key() {
    let mut world = World::with_lines(&[], 1).await;
    world.wait(HOUR * 24);
    world.partner.next(Call::LineGet, Fault::Reason(3));
    assert_eq!(world.lines(one(0)).await.unwrap().counts, [("wrong_key", 1)].into());
    assert_eq!(world.lines(one(0)).await.unwrap().counts, [("wrong_key", 1)].into());
    assert_eq!(world.line_calls().len(), 1);
    assert_eq!(world.ask_again(0).await.counts, [("live", 1)].into());
}

#[tokio::test]
async fn an_unknown_number_is_asked_about_in_every_pass_of_the_first_day_and_then_once_a_day_or_by_a_person() {
    let mut world = World::with_lines(&[], 1).await;
    world.partner.remove_line(&number(0));
    for (event, hours, calls) in [
        (all(), 1, 1),
        (all(), 1, 1),
        (all(), 21, 1),
        (all(), 2, 1),
        (all(), 1, 0),
        (one(0), 22, 1),
        (all(), 2, 0),
        (all(), 0, 1),
    ] {
        assert_eq!(world.lines(event).await.unwrap().counts, [("unknown_number", 1)].into());
        assert_eq!(world.line_calls().len(), calls);
        world.wait(HOUR * hours);
    }
}

#[tokio::test]
async fn a_reference_that_has_changed_since_the_lines_were_listed_is_never_set() {
    let mut world = World::with_lines(&[], 1).await;
    let event = json!({
        "status": "OK", "event": "whatsapp", "whatsapp": number(0), "whatsapp_reference": "another-client",
        "whatsapp_extra_info": 1,
    });
    let report = world.pass_with(&event).await;
    assert_eq!((report.outcome, report.left), (LinesOutcome::Incomplete, 1));
    assert_eq!((world.url(0), world.line_calls()), (String::new(), vec![Call::LineGet]));
    assert_eq!(world.lines(all()).await.unwrap().counts, [("live", 1)].into());
    assert!(world.url(0).ends_with("?client=another-client"));
}

#[tokio::test]
async fn a_reference_that_comes_with_a_new_key_after_the_lines_were_listed_is_not_a_former_clients() {
    let mut world = World::with_lines(&[], 1).await;
    world.partner.put_line(&number(0), Line::new("Line-Key-new"));
    let event = json!({
        "status": "OK", "event": "whatsapp", "whatsapp": number(0), "whatsapp_reference": "client-0",
        "whatsapp_apiKey": "Line-Key-new",
    });
    assert_eq!(world.pass_with(&event).await.counts, [("live", 1)].into());
    assert_eq!(world.url(0), ours(0));
}

#[tokio::test]
async fn a_url_of_ours_that_somebody_else_has_set_is_replaced_when_ours_changes() {
    let mut world = World::with_lines(&[], 1).await;
    world.partner.put_line(&number(0), Line { url: ours(0), retry: 1, ..Line::new(&key(0)) });
    assert_eq!(world.lines(all()).await.unwrap().counts, [("live", 1)].into());
    assert_eq!(world.line_calls(), [Call::LineGet]);
    world.configure(&[("LINE_WEBHOOK_URL", "https://new.example/{whatsapp}")]);
    assert_eq!(world.lines(all()).await.unwrap().counts, [("live", 1)].into());
    assert_eq!(world.url(0), format!("https://new.example/{}", number(0)));
}

#[tokio::test]
async fn of_a_url_of_ours_only_the_host_the_number_and_the_reference_are_shown() {
    let url = "https://crm.example:8443/Line-Secret/{whatsapp}/x?key=Line-Secret&client={reference}";
    let mut world = World::with_lines(&[], 1).await;
    world.configure(&[("LINE_WEBHOOK_URL", url)]);
    let shown = format!("https://crm.example:8443/***/{}/***?key=***&client=client-0", number(0));
    let plan = world.lines(json!({"action": "lines", "mode": "plan"})).await.unwrap();
    assert_eq!(plan.changed[0].url.as_ref(), Some(&shown));
    let report = world.lines(all()).await.unwrap();
    assert_eq!(report.changed[1].url.as_ref(), Some(&shown));
    assert_eq!(world.line(0).await.url, Some(shown));
    world.configure(&[URL, OBSERVE]);
    world.lines(all()).await.unwrap();
    assert_eq!(world.line(0).await.url.as_deref(), Some("crm.example"), "of an earlier one the host alone");
}

#[tokio::test]
async fn lines_without_a_proof_of_the_last_day_count_as_not_live() {
    for is_checked in [true, false] {
        let mut world = World::with_lines(&[], 20).await;
        if is_checked {
            world.lines(all()).await.unwrap();
        }
        world.partner.always(Call::LineGet, Fault::Status(503));
        world.wait(HOUR * 12);
        world.lines(all()).await.unwrap();
        let unanswered = if is_checked { 0.0 } else { f64::from(u32::try_from(world.line_calls().len()).unwrap()) };
        assert_eq!(world.sum("LinesNotLive"), unanswered, "{is_checked}");
        world.wait(HOUR * 13);
        world.lines(all()).await.unwrap();
        assert_eq!(world.sum("LinesNotLive") - unanswered, 20.0, "{is_checked}");
    }
}

#[tokio::test]
async fn a_mistake_in_the_configuration_of_the_lines_stops_their_pass_alone() {
    let mut world = World::with_lines(&[], 1).await;
    world.configure(&[URL, ("LINE_WEBHOOK_MODE", "Enforce")]);
    world.run("sync").await.unwrap();
    world.inventory().await.unwrap();
    for event in [all(), one(0)] {
        let error = world.lines(event).await.unwrap_err();
        assert_eq!(error.cause(), "LinesMisconfigured");
        assert!(error.to_string().contains("LINE_WEBHOOK_MODE: is none of"), "{error}");
    }
    assert_eq!((world.line_calls(), world.sum("LinesFailed")), (vec![], 1.0));
}

#[tokio::test]
async fn a_plan_that_would_set_nothing_is_up_to_date_and_logs_no_change() {
    let world = World::with_lines(&[], 1).await;
    world.partner.register_line(&number(0), Some(FOREIGN));
    let plan = json!({"action": "lines", "mode": "plan"});
    let report = world.lines(plan.clone()).await.unwrap();
    assert_eq!((report.outcome, report.changed[0].to), (LinesOutcome::UpToDate, "foreign"));
    world.partner.register_line(&number(0), None);
    assert_eq!(world.lines(plan).await.unwrap().outcome, LinesOutcome::WouldUpdate);
    let is_change = |line: &&String| line.contains("the webhook of a line has changed");
    assert_eq!(world.log().iter().filter(is_change).count(), 0);
    world.lines(all()).await.unwrap();
    assert_eq!(world.log().iter().filter(is_change).count(), 2, "empty, live");
}

#[tokio::test]
async fn other_settings_that_the_provider_changes_with_the_url_are_named() {
    let world = World::with_lines(&[], 1).await;
    let answer = |url: &str, system: &str, alert: &str| {
        let answer = json!({
            "status": "OK", "url": url, "system": system, "systemPhoneAlert": alert, "retry": 1, "readStatus": 0, "reason": 1,
        });
        Fault::Answer(200, answer.to_string())
    };
    world.partner.next(Call::LineGet, answer("", "1", "0501234567"));
    world.partner.next(Call::LineGet, answer(&ours(0), "0", ""));
    let report = world.lines(all()).await.unwrap();
    assert_eq!(report.counts, [("live", 1)].into());
    let cause = "the provider has changed other settings together with the URL: system, systemPhoneAlert";
    assert_eq!(world.line_history(0).await.pop().unwrap().cause.as_deref(), Some(cause));
}

#[tokio::test]
async fn a_line_with_an_item_that_cannot_be_read_is_left_and_the_others_are_checked() {
    let world = World::with_lines(&[], 5).await;
    let client = world.dynamodb.client();
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let (events, sealed) = (world.dynamodb.events_table(), world.dynamodb.sealed_table());
    let record = client.put_item().table_name(events).item("pk", text(entity(0).as_str())).item("sk", text("line"));
    record.item("webhook", text("unreadable")).send().await.unwrap();
    let listed =
        client.put_item().table_name(events).item("pk", text("inventory")).item("sk", text(entity(3).as_str()));
    listed.item("gone_at", text("unreadable")).send().await.unwrap();
    for (table, n, attribute) in [(sealed, 1, "received_at"), (events, 2, "first_seen")] {
        let items = client.scan().table_name(table).send().await.unwrap();
        let is_meant = |item: &&std::collections::HashMap<String, AttributeValue>| {
            item["pk"] == text(entity(n).as_str()) && item.contains_key(attribute)
        };
        let mut item = items
            .items()
            .iter()
            .find(|item| is_meant(item) && (n == 1 || item["sk"] == text("state")))
            .unwrap()
            .clone();
        item.insert(attribute.to_owned(), text("unreadable"));
        client.put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
    }
    let report = world.lines(all()).await.unwrap();
    assert_eq!((report.outcome, report.left, report.lines), (LinesOutcome::Incomplete, 4, 5));
    assert_eq!((report.counts, world.url(4)), ([("live", 1)].into(), ours(4)));
    assert_eq!(world.sum("LinesNotLive"), 4.0);
    let log = world.log().join("\n");
    for n in 0..3 {
        assert!(log.contains(&format!("the item {}", entity(n))), "{n}: {log}");
    }
    assert!(log.contains(&format!("the item inventory / {}", entity(3))), "{log}");
}

#[tokio::test]
async fn an_event_that_asks_for_nothing_is_no_failed_pass() {
    let world = World::with_lines(&[], 0).await;
    world.lines(one(0)).await.unwrap_err();
    assert_eq!((world.sum("LinesFailed"), world.sum("SyncFailed BadRequest")), (0.0, 1.0));
}

#[tokio::test]
async fn a_line_without_a_number_in_digits_is_reported_with_the_cause_and_its_message_is_answered() {
    let mut world = World::with_lines(&[], 0).await;
    let event = json!({"status": "OK", "event": "whatsapp", "whatsapp": "97250-1", "whatsapp_apiKey": key(0)});
    world.deliver(&event).await;
    world.deliver(&json!({"status": "OK", "event": "whatsapp"})).await;
    for request in [queued(&json!({"action": "lines", "entity": "whatsapp#97250-1"})), all(), all()] {
        let report = world.lines(request).await.unwrap();
        assert_eq!(
            (report.lines, report.left, statuses(&report)),
            (1, 0, vec![("whatsapp#97250-1", "unknown_number")])
        );
        let cause = report.not_live[0].cause.as_deref();
        assert_eq!(cause, Some("the line's name is not a number in digits, so the provider cannot be asked"));
        world.wait(HOUR * 30);
    }
    assert_eq!((world.line_calls(), world.sum("LinesNotLive")), (vec![], 2.0));
}

#[tokio::test]
async fn the_reference_of_a_former_client_is_never_in_the_url() {
    let current = Some("client-0");
    for (events, expected) in [
        (&[(current, Some("a"))][..], current),
        (&[(current, Some("a")), (None, None)], current),
        (&[(current, Some("a")), (None, Some("a"))], current),
        (&[(current, None), (None, Some("a"))], current),
        (&[(current, Some("a")), (Some(""), None)], None),
        (&[(current, Some("a")), (None, Some("b"))], None),
        (&[(None, Some("a")), (current, None), (None, Some("b"))], None),
        (&[(current, Some("a")), (None, Some("b")), (None, Some("a"))], None),
        (&[(current, Some("a")), (None, Some("b")), (None, Some("b"))], None),
        (&[(Some("former"), Some("a")), (current, Some("b")), (None, Some("b"))], current),
        (&[(Some("former"), Some("a")), (None, Some("b")), (current, None)], current),
    ] {
        let mut world = World::with_lines(&[], 0).await;
        for (reference, key) in events {
            let mut event =
                json!({"status": "OK", "event": "whatsapp", "whatsapp": number(0), "whatsapp_extra_info": 2});
            if let Some(reference) = reference {
                event["whatsapp_reference"] = json!(reference);
            }
            if let Some(key) = key {
                event["whatsapp_apiKey"] = json!(format!("Line-Key-{key}"));
                world.partner.put_line(&number(0), Line::new(&format!("Line-Key-{key}")));
            }
            world.deliver(&event).await;
            world.wait(HOUR);
        }
        let report = world.lines(all()).await.unwrap();
        let url = expected.map(|_| ours(0)).unwrap_or_default();
        assert_eq!((world.url(0), report.not_live.len()), (url, usize::from(expected.is_none())), "{events:?}");
        assert!(report.not_live.iter().all(|line| line.cause.is_some()), "{events:?}");
    }
}

#[tokio::test]
async fn a_line_without_a_key_is_asked_about_when_a_key_arrives() {
    let mut world = World::with_lines(&[], 0).await;
    world.partner.put_line(&number(0), Line::new(&key(0)));
    world
        .deliver(&json!({"status": "OK", "event": "whatsapp", "whatsapp": number(0), "whatsapp_reference": "client-0"}))
        .await;
    for changed in [1, 0] {
        let report = world.lines(all()).await.unwrap();
        assert_eq!((report.counts, report.changed.len()), ([("no_key", 1)].into(), changed));
        assert_eq!(report.checked, 0, "the provider was not asked");
    }
    assert_eq!((world.line_calls(), world.line_steps(0).await.len()), (vec![], 1));
    world.wait(HOUR);
    world.event(0, &key(0)).await;
    assert_eq!(world.lines(all()).await.unwrap().counts, [("live", 1)].into());
}

#[tokio::test]
async fn a_check_without_an_answer_keeps_the_last_proof_and_is_no_change() {
    let mut world = World::with_lines(&[], 1).await;
    world.lines(all()).await.unwrap();
    let proved = world.line(0).await;
    world.wait(HOUR);
    world.partner.next(Call::LineGet, Fault::Status(500));
    world.lines(all()).await.unwrap();
    let failed = world.line(0).await;
    assert_eq!((failed.status, failed.concluded), (LineStatus::Unreachable, Some(LineStatus::Live)));
    assert_eq!(failed.since, failed.attempted_at);
    assert_eq!((failed.live_at, failed.checked_at, &failed.url), (proved.live_at, proved.checked_at, &proved.url));
    assert!(failed.attempted_at > proved.attempted_at);
    assert_eq!(world.sum("LinesNotLive"), 0.0, "the proof of the last hour counts");
    world.wait(HOUR);
    world.lines(all()).await.unwrap();
    let live = world.line(0).await;
    assert_eq!(
        (live.status, live.since),
        (LineStatus::Live, proved.since),
        "an outage of the provider changes nothing"
    );
    assert_eq!(world.line_steps(0).await.len(), 2, "empty, live");
}

#[tokio::test]
async fn a_pass_ends_when_the_provider_does_not_answer_several_times_in_a_row() {
    let world = World::with_lines(&[], 12).await;
    world.partner.always(Call::LineGet, Fault::Status(503));
    let report = world.lines(all()).await.unwrap();
    assert_eq!((report.outcome, report.left), (LinesOutcome::Incomplete, 12));
    assert!(report.cause.is_some());
    let calls = world.line_calls().len();
    assert!((5..=6).contains(&calls), "{calls}");
    assert_eq!(world.sum("LinesFailed"), 1.0);
    world.partner.behave();
    let report = world.lines(all()).await.unwrap();
    assert_eq!((report.counts, report.left), ([("live", 12)].into(), 0));
}

#[tokio::test]
async fn the_answer_to_a_set_does_not_count_but_the_url_that_is_read_back_does() {
    for (fault, status, cause) in [
        (Fault::SetIgnored, "empty", Some("the provider accepted the setting but shows another one")),
        (Fault::Reason(3), "empty", Some("the provider refuses the line's API key (reason 3)")),
        (Fault::Html, "empty", Some("the set line webhook call was not answered by the WhatsApp V2 API")),
        (Fault::Disconnect, "empty", Some("it is unknown whether the URL was set")),
        (Fault::Answer(200, "{}".to_owned()), "empty", Some("without the fields of this call")),
    ] {
        let world = World::with_lines(&[], 1).await;
        world.partner.next(Call::LineSet, fault.clone());
        let report = world.lines(all()).await.unwrap();
        assert_eq!(report.counts, [(status, 1)].into(), "{fault:?}");
        let told = report.not_live[0].cause.clone().unwrap_or_default();
        assert!(cause.is_none_or(|cause| told.contains(cause)), "{fault:?}: {told}");
        assert_eq!(world.line_steps(0).await.len(), 1, "{fault:?}");
        // The next pass tries again.
        assert_eq!(world.lines(all()).await.unwrap().counts, [("live", 1)].into(), "{fault:?}");
        let steps = world.line_steps(0).await;
        assert_eq!(steps[1..], [(Some(LineStatus::Empty), LineStatus::Live, LineAction::Set)], "{fault:?}");
    }
}

#[tokio::test]
async fn a_set_with_an_unreadable_result_is_recorded_by_the_next_pass() {
    let world = World::with_lines(&[], 1).await;
    world.partner.next(Call::LineGet, Fault::Answer(200, json!({"status": "OK", "url": ""}).to_string()));
    world.partner.next(Call::LineGet, Fault::Disconnect);
    let report = world.lines(all()).await.unwrap();
    assert_eq!(report.counts, [("unreachable", 1)].into());
    let LineRecord { lease, attempted_at, .. } = world.line(0).await;
    let (until, set_takes) = (lease.unwrap().until, LIMITS.partner.call * 2 + Duration::from_secs(4));
    assert!(until >= world.now.plus(set_takes) && until <= attempted_at.plus(set_takes), "{until}");
    world.lines(all()).await.unwrap();
    let sets = world.line_calls().into_iter().filter(|call| *call == Call::LineSet).count();
    assert_eq!(sets, 1);
    let steps = world.line_steps(0).await;
    assert_eq!(steps[1..], [(Some(LineStatus::Empty), LineStatus::Live, LineAction::Set)]);
}

#[tokio::test]
async fn a_line_without_the_reference_that_its_url_needs_is_reported_with_the_cause() {
    let world = World::with_lines(&[ENFORCE], 0).await;
    world.partner.put_line(&number(0), Line::new(&key(0)));
    world
        .deliver(&json!({"status": "OK", "event": "whatsapp", "whatsapp": number(0), "whatsapp_apiKey": key(0)}))
        .await;
    for (registered, status) in [(None, "empty"), (Some(FOREIGN), "foreign")] {
        world.partner.register_line(&number(0), registered);
        let report = world.lines(all()).await.unwrap();
        assert_eq!(statuses(&report), [(entity(0).as_str(), status)]);
        let cause = report.not_live[0].cause.as_deref();
        assert_eq!(cause, Some("LINE_WEBHOOK_URL needs the partner's reference, and the line has none"));
        assert_eq!(world.line_calls(), [Call::LineGet]);
    }
}

#[tokio::test]
async fn a_plan_shows_the_urls_that_a_pass_would_set_and_changes_nothing() {
    let world = World::with_lines(&[], 2).await;
    world.partner.register_line(&number(1), Some(FOREIGN));
    let before = world.dynamodb.client().scan().table_name("events").send().await.unwrap().count();
    let plan = world.lines(json!({"action": "lines", "mode": "plan"})).await.unwrap();
    assert_eq!(plan.outcome, LinesOutcome::WouldUpdate);
    let set: Vec<_> = plan.changed.iter().filter(|change| change.action == "set").collect();
    assert_eq!((set.len(), &set[0].entity, set[0].from, set[0].to), (1, &entity(0), Some("empty"), "live"));
    let shown = format!("https://bot.example/***/{}/***?client=client-0", number(0));
    assert_eq!(set[0].url.as_ref(), Some(&shown));
    assert_eq!(plan.counts, [("empty", 1), ("foreign", 1)].into());
    assert_eq!((world.url(0), world.line_calls().contains(&Call::LineSet)), (String::new(), false));
    let after = world.dynamodb.client().scan().table_name("events").send().await.unwrap().count();
    assert_eq!(before, after);
    assert_eq!(world.sum("LinesChecked"), 0.0);
}

#[tokio::test]
async fn without_a_url_nothing_is_called_or_written() {
    let world = World::start().await;
    world.onboard(0).await;
    for event in [all(), one(0)] {
        let report = world.lines(event).await.unwrap();
        assert_eq!((report.outcome, report.lines, report.checked), (LinesOutcome::UpToDate, 1, 0));
        assert_eq!(report.counts, [("off", 1)].into());
    }
    assert_eq!(world.line_calls(), []);
    assert_eq!(world.stored().get(&entity(0)).await.unwrap(), None);
}

#[tokio::test]
async fn a_line_that_is_gone_is_called_only_when_it_is_asked_for_or_has_a_newer_event() {
    let mut world = World::with_lines(&[], 2).await;
    let inventory = Inventory::new(world.dynamodb.client(), world.dynamodb.events_table());
    let gone_at = Some(world.now.plus(HOUR));
    let gone = [0, 1].map(|n| Tracked { gone_at, ..Tracked::new(entity(n)) });
    inventory.write(&gone).await.unwrap();
    assert_eq!(world.lines(all()).await.unwrap().lines, 0);
    assert_eq!(world.line_calls(), []);
    assert_eq!(world.lines(one(0)).await.unwrap().counts, [("live", 1)].into());
    world.wait(HOUR * 2);
    world.event(1, "Line-Key-000001").await;
    let report = world.lines(all()).await.unwrap();
    assert_eq!((report.lines, report.counts), (1, [("live", 1)].into()));
}

#[tokio::test]
async fn an_entity_that_is_not_a_known_line_is_refused() {
    let world = World::with_lines(&[], 1).await;
    for (entity, told) in [
        (json!("whatsapp#972509999999"), "is not known"),
        (json!("builder#523"), "is not a WhatsApp line"),
        (json!("store#972500000000"), "is not a WhatsApp line"),
        (json!(["whatsapp#1"]), "is not a string"),
    ] {
        let error = world.lines(json!({"action": "lines", "entity": entity})).await.unwrap_err();
        assert_eq!(error.cause(), "BadRequest");
        assert!(error.to_string().contains(told), "{error}");
    }
    assert_eq!(world.line_calls(), []);
}

#[tokio::test]
async fn two_runs_at_once_set_the_same_url_and_record_it_once() {
    for _ in 0..5 {
        let world = World::with_lines(&[], 1).await;
        let other = world.process(LIMITS);
        let (bus, schedule) = tokio::join!(world.lines(one(0)), world.invoke_at(&other, all()));
        assert_eq!(bus.unwrap().counts.values().sum::<usize>(), 1);
        schedule.unwrap();
        let urls: Vec<Option<String>> = world.partner.take_line_calls().into_iter().map(|call| call.url).collect();
        assert!(urls.iter().flatten().all(|url| *url == ours(0)), "{urls:?}");
        let set = world.line_history(0).await.into_iter().filter(|change| change.action == LineAction::Set).count();
        assert_eq!(set, 1);
        assert_eq!(world.line(0).await.status, LineStatus::Live);
    }
}

#[tokio::test]
async fn no_url_is_set_while_another_run_may_set_another_one() {
    let mut world = World::with_lines(&[], 1).await;
    let until = world.now.plus(HOUR);
    let lease = Some(SetLease { url: "another".to_owned(), until });
    let record = LineRecord { lease, ..LineRecord::new(entity(0), LineStatus::Empty, world.now) };
    world.stored().write(&record, None).await.unwrap();
    let report = world.lines(all()).await.unwrap();
    assert_eq!((report.outcome, report.left), (LinesOutcome::Incomplete, 1));
    assert_eq!(world.line_calls(), [Call::LineGet]);
    world.wait(HOUR * 2);
    assert_eq!(world.lines(all()).await.unwrap().counts, [("live", 1)].into());
}

#[tokio::test]
async fn a_record_never_goes_back_when_a_slower_run_ends_later() {
    let world = World::with_lines(&[], 1).await;
    world.lines(all()).await.unwrap();
    let read = world.line(0).await;
    // The other run has seen a foreign URL and is slow to write it down.
    world.partner.register_line(&number(0), Some(FOREIGN));
    world.lines(all()).await.unwrap();
    let outdated = LineRecord { status: LineStatus::Live, ..read };
    assert!(world.stored().write(&outdated, None).await.is_err());
    assert_eq!(world.line(0).await.status, LineStatus::Foreign);
    let lost = world.line_history(0).await.pop().unwrap();
    assert_eq!(lost.not_live.unwrap().start, outdated.live_at.unwrap(), "since the last proof");
}

#[tokio::test]
async fn lines_that_were_never_checked_come_first_then_the_oldest_check() {
    let mut world = World::with_lines(&[], 2).await;
    world.lines(one(1)).await.unwrap();
    world.wait(HOUR);
    world.lines(one(0)).await.unwrap();
    world.wait(HOUR);
    world.onboard(2).await;
    world.partner.take_line_calls();
    world.lines(all()).await.unwrap();
    let first = |calls: Vec<LineCall>| {
        let mut seen = Vec::new();
        for call in calls {
            if !seen.contains(&call.number) {
                seen.push(call.number);
            }
        }
        seen
    };
    let order = first(world.partner.take_line_calls());
    assert_eq!((order.len(), order.last()), (3, Some(&number(0))), "{order:?}");
}

#[tokio::test]
async fn a_pass_without_time_reports_the_number_of_lines_left() {
    let mut world = World::with_lines(&[], 20).await;
    world.restart(Limits { partner: partner::Limits { call: Duration::from_millis(500), ..LIMITS.partner }, ..LIMITS });
    for _ in 0..2 {
        let time = Duration::from_secs(12);
        let Answer::Lines(report) = world.invoke_within(&world.sync, all(), time).await.unwrap() else {
            panic!("lines")
        };
        assert_eq!(report.outcome, LinesOutcome::Incomplete);
        assert_eq!(report.left + report.counts.get("live").copied().unwrap_or_default(), 20);
    }
}

#[tokio::test]
async fn metrics_count_the_lines_that_are_checked_set_and_not_live() {
    let mut world = World::with_lines(&[], 3).await;
    world.partner.register_line(&number(2), Some(FOREIGN));
    world.lines(one(0)).await.unwrap();
    assert_eq!((world.sum("LinesChecked"), world.sum("LinesSet")), (1.0, 1.0));
    for of_passes in ["LinesFailed", "LinesNotLive", "LinesForeign"] {
        let counted = world.cloudwatch.lines().unwrap().iter().any(|line| line.contains(of_passes));
        assert!(!counted, "the check of one line says nothing about {of_passes}");
    }
    world.lines(all()).await.unwrap();
    assert_eq!((world.sum("LinesChecked"), world.sum("LinesSet"), world.sum("LinesForeign")), (4.0, 2.0, 1.0));
    assert_eq!(world.sum("LinesFailed"), 0.0);
    world.restart_without_dynamodb();
    world.lines(one(0)).await.unwrap_err();
    assert_eq!(world.sum("LinesFailed"), 0.0);
    world.lines(all()).await.unwrap_err();
    assert_eq!((world.sum("LinesFailed"), world.sum("SyncFailed StoreFailed")), (1.0, 2.0));
}

#[tokio::test]
async fn an_imported_line_is_set_by_the_next_pass() {
    let world = World::with_lines(&[], 0).await;
    world.partner.onboard(&number(0), Some("client-0"), &key(0));
    world.inventory().await.unwrap();
    assert_eq!(world.lines(all()).await.unwrap().counts, [("live", 1)].into());
    assert_eq!(world.url(0), ours(0));
    let id: Vec<EventId> = world.line_history(0).await.into_iter().map(|change| change.id).collect();
    assert!(id.is_sorted());
}
