use emulators::faults::Faults;
use fixtures::LINE;
use serde_json::json;
use shared::{Entity, EventId};
use store::{Inventory, LineAction, LineChange, LineRecord, LineStatus, Lines, Tracked};

use crate::{
    visitor::{Visitor, attributes, link, text},
    world::World,
};

const OURS: &str = "https://hooks.example.com/v1/in/***1f2a";

/// A line with an event received this many minutes ago.
async fn received(world: &World, minutes: u64, number: &str, reference: &str) -> Entity {
    let body =
        json!({ "event": "whatsapp", "whatsapp": number, "whatsapp_reference": reference, "whatsapp_extra_info": 1 });
    world.record(minutes, &body.to_string()).await;
    Entity::named(format!("whatsapp#{number}"))
}

fn lines(world: &World) -> Lines {
    Lines::new(world.dynamodb.client(), world.dynamodb.events_table())
}

fn inventory(world: &World) -> Inventory {
    Inventory::new(world.dynamodb.client(), world.dynamodb.events_table())
}

async fn check(world: &World, entity: &Entity, status: LineStatus, minutes: u64, url: Option<&str>) -> LineRecord {
    let at = world.ago(minutes);
    let is_live = status == LineStatus::Live;
    let record = LineRecord {
        checked_at: Some(at),
        concluded: Some(status),
        url: url.map(str::to_owned),
        live_at: is_live.then_some(at),
        not_live_since: (!is_live).then_some(at),
        key: Some("fingerprint".to_owned()),
        ..LineRecord::new(entity.clone(), status, at)
    };
    lines(world).write(&record, None).await.unwrap()
}

/// The items of the page's list, as text.
fn items(page: &str) -> Vec<String> {
    let list = page.split_once("<ol class=\"sheet proofs").map_or("", |(_, list)| list);
    list.split("<div class=\"who\">").skip(1).map(text).collect()
}

fn numbers(page: &str) -> Vec<String> {
    items(page).iter().map(|item| item.split_once(' ').unwrap().0.to_owned()).collect()
}

#[tokio::test]
async fn a_live_line_has_its_proof_step_by_step() {
    let world = World::start().await;
    world.fill().await;
    let line = Entity::named(LINE);
    check(&world, &line, LineStatus::Live, 30, Some(OURS)).await;
    let tracked =
        Tracked { listed_at: Some(world.ago(45)), key: Some("fingerprint".to_owned()), ..Tracked::new(line.clone()) };
    inventory(&world).write(&[tracked]).await.unwrap();
    let visitor = Visitor::of(&world).await;
    let minute = |minutes: u64| world.ago(minutes).to_string()[5..16].replace('T', " ");
    let expected = format!(
        "972501234567 client-7 live The line webhook is set to your URL: {OURS}. Since {} . \
         done: onboarded, in the provider's list since {} done: first event received at {} done: key sealed \
         done: webhook read back at {} done: last event at {}",
        minute(30),
        minute(45),
        minute(4_320),
        minute(30),
        minute(40),
    );
    let page = visitor.page("lines").await;
    let shown = items(&page);
    assert!(shown[0].starts_with(&expected), "{expected}\n{}", shown[0]);
    assert_eq!(shown.len(), 1, "a bot is no line");
    let links = attributes(&page, "href");
    assert!(links.contains(&"entity?name=whatsapp%23972501234567".to_owned()), "{links:?}");
    assert!(links.contains(&"client?reference=client-7".to_owned()), "{links:?}");
}

#[tokio::test]
async fn a_line_with_an_item_that_cannot_be_read_is_left_out_by_name_and_the_others_are_shown() {
    let world = World::start().await;
    let mut entities = Vec::new();
    for n in 0..4_u64 {
        entities.push(received(&world, 100 + n, &format!("97250000000{n}"), "client-7").await);
    }
    let visitor = Visitor::of(&world).await;
    let mut left_out = Vec::new();
    for (link, items) in [
        (
            "client?reference=client-7",
            vec![([entities[1].as_str(), "line"], "webhook"), (["inventory", entities[3].as_str()], "listed_at")],
        ),
        ("lines", vec![([entities[2].as_str(), "state"], "first_seen")]),
    ] {
        for (key, attribute) in items {
            world.dynamodb.garble(world.dynamodb.events_table(), key, attribute).await.unwrap();
            left_out.push(format!(
                "unreadable A line is left out: the item {} / {} has no usable attribute ",
                key[0], key[1]
            ));
        }
        let page = visitor.page(link).await;
        assert!(left_out.iter().all(|fault| text(&page).contains(fault)), "{link}: {}", text(&page));
        assert_eq!((numbers(&page)[0].as_str(), numbers(&page).len()), ("972500000000", 4 - left_out.len()), "{link}");
    }
}

#[tokio::test]
async fn each_problem_of_a_line_is_shown_before_the_live_lines() {
    let world = World::start().await;
    let mut entities = Vec::new();
    for n in 0..9_u64 {
        entities.push(received(&world, 100 + n, &format!("97250000000{n}"), &format!("client-{n}")).await);
    }
    let statuses = [
        (0, LineStatus::Live, Some(OURS)),
        (1, LineStatus::Empty, None),
        (2, LineStatus::Foreign, Some("other.example")),
        (3, LineStatus::WrongKey, None),
        (4, LineStatus::NoKey, None),
        (5, LineStatus::UnknownNumber, None),
        (6, LineStatus::Unreachable, None),
    ];
    for (n, status, url) in statuses {
        check(&world, &entities[n], status, 60, url).await;
    }
    let gone =
        Tracked { listed_at: Some(world.ago(90)), gone_at: Some(world.ago(20)), ..Tracked::new(entities[8].clone()) };
    inventory(&world).write(&[gone]).await.unwrap();
    let visitor = Visitor::of(&world).await;
    let page = visitor.page("lines").await;
    let shown = items(&page);
    for (n, words) in [
        (0, "live The line webhook is set to your URL: https://hooks.example.com/v1/in/***1f2a."),
        (1, "empty The line webhook is not set, so the line's messages are delivered nowhere."),
        (2, "foreign The line webhook is set to another URL."),
        (3, "wrong key The provider refuses the line's key, so the line webhook cannot be read."),
        (4, "no key The line webhook cannot be set: no key has arrived."),
        (5, "unknown number The provider does not know this number."),
        (6, "unreachable The provider did not answer the last check."),
        (7, "not checked The line webhook has not been checked yet."),
        (8, "gone The provider no longer lists this line."),
    ] {
        let item = shown.iter().find(|item| item.starts_with(&format!("97250000000{n}"))).unwrap();
        assert!(item.contains(&format!("client-{n} {words}")), "{words}\n{item}");
    }
    let foreign = shown.iter().find(|item| item.starts_with("972500000002")).unwrap();
    assert!(foreign.contains("wrong: webhook read back as other.example at"), "{foreign}");
    assert!(!foreign.contains("never read back"), "{foreign}");
    assert_eq!(numbers(&page)[7..], ["972500000000", "972500000008"], "the live one and the gone one are last");
    let tabs = text(page.split_once("aria-label=\"Lines to show\">").unwrap().1.split_once("</nav>").unwrap().0);
    assert_eq!(tabs, "All 9 Not live 7 Not live for a day 0 Live 1 Gone 1");
    assert_eq!(numbers(&visitor.page("lines?show=live").await), ["972500000000"]);
    assert_eq!(numbers(&visitor.page("lines?show=not-live").await).len(), 7);
    assert_eq!(numbers(&visitor.page("lines?show=gone").await), ["972500000008"]);
    for (typed, number) in [
        ("CLIENT-3", "972500000003"),
        ("000004", "972500000004"),
        ("0500000005", "972500000005"),
        ("050-000-0006", "972500000006"),
        ("%2B972+50-000-0007", "972500000007"),
    ] {
        assert_eq!(numbers(&visitor.page(&format!("lines?text={typed}")).await), [number], "{typed}");
    }
    assert!(!page.contains("class=\"dot"), "only the status has a colour");
    let none = visitor.page("lines?text=nobody&show=live").await;
    assert!(text(&none).contains("No line matches the filter."), "{}", text(&none));
}

#[tokio::test]
async fn a_line_that_no_list_ever_had_is_gone_everywhere() {
    let world = World::start().await;
    let line = received(&world, 100, "972500000001", "client-1").await;
    let gone = Tracked { gone_at: Some(world.ago(20)), ..Tracked::new(line) };
    let unheard = Tracked { gone_at: Some(world.ago(20)), ..Tracked::new(Entity::named("whatsapp#972500000002")) };
    inventory(&world).write(&[gone, unheard]).await.unwrap();
    let visitor = Visitor::of(&world).await;
    for at in ["lines", "client?reference=client-1", "entity?name=whatsapp%23972500000001"] {
        let shown = text(&visitor.page(at).await);
        assert!(shown.contains("gone The provider no longer lists this line."), "{at}: {shown}");
        assert!(shown.contains("wrong: gone from the provider's list since"), "{at}: {shown}");
        assert!(!shown.contains("list yet"), "{at}: {shown}");
    }
    assert_eq!(numbers(&visitor.page("lines").await), ["972500000001"]);
    assert_eq!(numbers(&visitor.page("lines?show=not-live").await), [""; 0]);
}

#[tokio::test]
async fn a_bot_that_is_gone_says_so_wherever_it_is_listed() {
    let world = World::start().await;
    for bot in [7, 8] {
        let body = json!({ "event": "builder", "builderID": bot, "builder_reference": "client-7" });
        world.record(60 - bot, &body.to_string()).await;
    }
    let gone = |minutes: u64, bot: u64| Tracked {
        gone_at: Some(world.ago(minutes)),
        ..Tracked::new(Entity::named(format!("builder#{bot}")))
    };
    // The second one had an event after that.
    inventory(&world).write(&[gone(20, 7), gone(58, 8)]).await.unwrap();
    let visitor = Visitor::of(&world).await;
    for at in ["states?kind=builder", "client?reference=client-7"] {
        let shown = text(&visitor.page(at).await);
        assert!(shown.contains("builder#7 gone ") && !shown.contains("builder#8 gone"), "{at}: {shown}");
    }
    let shown = world.with_minutes(&text(&visitor.page("entity?name=builder%237").await));
    assert!(shown.contains("builder#7 gone State"), "{shown}");
    assert!(shown.contains("Gone -20 20 min ago The provider no longer lists it."), "{shown}");
    let listed = text(&visitor.page("entity?name=builder%238").await);
    assert!(!listed.to_lowercase().contains("gone"), "{listed}");
}

#[tokio::test]
async fn lines_that_have_not_been_live_for_a_day_have_a_list() {
    const DAY: u64 = 24 * 60;
    let world = World::start().await;
    for (n, minutes) in [(1, DAY + 10), (2, DAY - 10)] {
        let line = received(&world, 3 * DAY + n, &format!("97250000000{n}"), "a").await;
        check(&world, &line, LineStatus::Empty, minutes, None).await;
    }
    let live = received(&world, 3 * DAY + 3, "972500000003", "a").await;
    check(&world, &live, LineStatus::Live, 2 * DAY, Some(OURS)).await;
    for (n, minutes) in [(4, 3 * DAY), (5, 10)] {
        received(&world, minutes, &format!("97250000000{n}"), "a").await;
    }
    let visitor = Visitor::of(&world).await;
    let page = visitor.page("lines?show=day").await;
    assert_eq!(numbers(&page), ["972500000001", "972500000004"]);
}

#[tokio::test]
async fn a_missed_and_an_imported_event_are_told_apart() {
    let world = World::start().await;
    let rebuilt = |number: &str, not_listed_at| Tracked {
        listed_at: Some(world.ago(50)),
        not_listed_at,
        rebuilt_at: Some(world.ago(40)),
        ..Tracked::new(Entity::named(format!("whatsapp#{number}")))
    };
    for number in ["972500000001", "972500000002"] {
        let minutes = 50 + number.ends_with('2') as u64;
        received(&world, minutes, number, "a").await;
    }
    let listed = [
        rebuilt("972500000001", Some(world.ago(90))),
        Tracked { listed_at: Some(world.ago(51)), ..rebuilt("972500000002", None) },
        Tracked { rebuilt_at: None, ..rebuilt("972500000003", None) },
    ];
    inventory(&world).write(&listed).await.unwrap();
    let visitor = Visitor::of(&world).await;
    let shown = items(&visitor.page("lines").await);
    for (n, words) in [
        (0, "done: event missed, and rebuilt from the list"),
        (1, "done: older than this stack, imported from the list at"),
        (2, "not yet: no event yet"),
    ] {
        assert!(shown[n].contains(words), "{words}\n{}", shown[n]);
    }
}

#[tokio::test]
async fn lines_without_a_configured_webhook_are_not_problems() {
    let world = World::start().await;
    world.fill().await;
    let mut source = world.source();
    source.lines.keeps_lines = false;
    let visitor = Visitor::to(source).await;
    let page = visitor.page("lines").await;
    assert!(
        text(&page).contains("Their webhooks are not set by this run: LineWebhookUrl is empty."),
        "{}",
        text(&page)
    );
    let shown = items(&page);
    assert!(
        shown[0].contains("off The lines' own webhooks are not checked: the parameter LineWebhookUrl is empty."),
        "{shown:?}"
    );
    let tabs = text(page.split_once("aria-label=\"Lines to show\">").unwrap().1.split_once("</nav>").unwrap().0);
    assert_eq!(tabs, "All 1 Gone 0");
}

#[tokio::test]
async fn many_lines_are_shown_fifty_at_a_time_and_the_page_says_how_many() {
    let world = World::start().await;
    for n in 0..120_u64 {
        received(&world, 100 + n, &format!("972500000{n:03}"), "a").await;
    }
    let line = Entity::named("whatsapp#972500000119");
    check(&world, &line, LineStatus::Foreign, 60, Some("other.example")).await;
    let visitor = Visitor::of(&world).await;
    let (mut walked, mut next) = (Vec::new(), Some("lines".to_owned()));
    let mut extents = Vec::new();
    while let Some(at) = next {
        let page = visitor.page(&at).await;
        walked.extend(numbers(&page));
        let pager = text(page.split_once("aria-label=\"Pages\">").unwrap().1);
        extents.push(pager.split_once(" lines").unwrap().0.to_owned());
        next = link(&page, "Next page");
    }
    assert_eq!(extents, ["1 to 50 of 120", "51 to 100 of 120", "101 to 120 of 120"]);
    assert_eq!(walked[0], "972500000119", "the problem comes first");
    walked.sort();
    walked.dedup();
    assert_eq!(walked.len(), 120);
    assert_eq!(visitor.get("lines?page=0").await.status, 400);
    assert_eq!(visitor.get("lines?page=x").await.status, 400);
    assert_eq!(numbers(&visitor.page("lines?page=99").await), [""; 0]);
}

#[tokio::test]
async fn a_line_has_its_proof_and_the_changes_of_its_webhook_on_its_page() {
    let world = World::start().await;
    world.fill().await;
    let line = Entity::named(LINE);
    let record = check(&world, &line, LineStatus::Foreign, 30, Some("other.example")).await;
    let change = |minutes: u64, from, to, action, url: &str| LineChange {
        id: EventId::new(world.ago(minutes), [7; 8]),
        from,
        to,
        action,
        url: Some(url.to_owned()),
        cause: (to == LineStatus::Foreign).then(|| "<b>somebody".to_owned()),
        not_live: (to == LineStatus::Live).then(|| world.ago(50)..world.ago(40)),
    };
    let first = change(40, None, LineStatus::Live, LineAction::Set, OURS);
    let record = lines(&world).write(&record, Some(&first)).await.unwrap();
    let second = change(30, Some(LineStatus::Live), LineStatus::Foreign, LineAction::Found, "other.example");
    lines(&world).write(&record, Some(&second)).await.unwrap();
    let visitor = Visitor::of(&world).await;
    let page = visitor.page("entity?name=whatsapp%23972501234567").await;
    let shown = world.with_minutes(&text(&page));
    for part in [
        "Line webhook foreign The line webhook is set to another URL.",
        "done: key sealed",
        "-30 live → foreign <b>somebody found other.example",
        &format!("-40 live set by this stack {OURS} 10 min"),
        "cargo hooks line 972501234567",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    let bot = text(&visitor.page("entity?name=builder%23523").await);
    assert!(!bot.contains("Line webhook"), "a bot has no webhook of its own: {bot}");
}

#[tokio::test]
async fn a_line_that_is_only_in_the_list_has_a_page_too() {
    let world = World::start().await;
    let tracked = Tracked { listed_at: Some(world.ago(50)), ..Tracked::new(Entity::named(LINE)) };
    inventory(&world).write(&[tracked]).await.unwrap();
    let visitor = Visitor::of(&world).await;
    let shown = text(&visitor.page("entity?name=whatsapp%23972501234567").await);
    assert!(shown.contains("not yet: no key yet"), "{shown}");
    assert!(shown.contains("not yet: no event yet") && shown.contains("No state is stored"), "{shown}");
    assert_eq!(visitor.get("entity?name=whatsapp%23972509999999").await.status, 404);
}

#[tokio::test]
async fn everything_about_a_client_is_one_link_away() {
    let world = World::start().await;
    world.fill().await;
    world
        .record(10, r#"{"event":"builder","builderID":7,"builder_reference":"client-7","builder_extra_info":2}"#)
        .await;
    world.record(9, r#"{"event":"online","accountID":8,"server":"eu","online_reference":"client-7"}"#).await;
    world.record(8, r#"{"event":"online","accountID":9,"server":"eu","online_reference":"client-8"}"#).await;
    let visitor = Visitor::of(&world).await;
    for at in ["", "lines", &format!("delivery?id={}", world.id(40)), "entity?name=builder%237"] {
        let links = attributes(&visitor.page(at).await, "href");
        assert!(links.contains(&"client?reference=client-7".to_owned()), "{at}: {links:?}");
    }
    let page = visitor.page("client?reference=client-7").await;
    let shown = text(&page);
    assert_eq!(numbers(&page), ["972501234567"]);
    assert!(shown.contains("builder builder#7 2 1 ") && shown.contains("online online#eu#8 1 "), "{shown}");
    assert!(!shown.contains("online#eu#9") && !shown.contains("builder#523"), "{shown}");
    let links = attributes(&page, "href");
    assert!(links.contains(&"./?reference=client-7&since=30d".to_owned()), "{links:?}");
    assert!(shown.contains("cargo hooks events --reference client-7 --since 30d Copy"), "{shown}");
    assert!(!links.iter().any(|link| link.starts_with("client?")), "no link to the page itself: {links:?}");
    received(&world, 7, "972500000008", "client 8 ").await;
    let client = visitor.page("client?reference=client+8+").await;
    let deliveries = visitor.page(&link(&client, "Deliveries of the last 30 days").unwrap()).await;
    assert_eq!(attributes(&deliveries, "data-id"), [world.id(7).to_string()], "a reference keeps its spaces");
    assert_eq!(visitor.get("client?reference=nobody").await.status, 404);
    assert_eq!(visitor.get("client?reference=").await.status, 400);
    assert_eq!(visitor.get("client").await.status, 400);
}

#[tokio::test]
async fn a_client_with_very_many_lines_costs_a_few_requests() {
    let world = World::start().await;
    for n in 0..210_u64 {
        received(&world, 100 + n, &format!("972500000{n:03}"), "a").await;
    }
    let table = Faults::before(&world.url()).await.unwrap();
    let visitor = Visitor::to(world.source_by(&table.url())).await;
    let page = visitor.page("client?reference=a").await;
    assert_eq!(numbers(&page).len(), 200);
    assert!(text(&page).contains("More entities have this reference. The first 200 are listed."));
    let asked = table.take_seen();
    assert!(asked.len() <= 10, "{asked:?}");
}

#[tokio::test]
async fn a_line_whose_whole_history_has_no_key_has_none_yet() {
    let world = World::start().await;
    received(&world, 50, "972500000001", "a").await;
    for minutes in 100..170 {
        received(&world, minutes, "972500000002", "a").await;
    }
    world.record(40, &fixtures::update(1)).await;
    let visitor = Visitor::of(&world).await;
    for (number, expected) in [
        ("972500000001", "not yet: no key yet"),
        ("972500000002", "not yet: key not shown: the sealed table was not read"),
        ("972501234567", "done: key sealed, last received at"),
    ] {
        let shown = text(&visitor.page(&format!("entity?name=whatsapp%23{number}")).await);
        assert!(shown.contains(expected), "{number}: {shown}");
    }
}
