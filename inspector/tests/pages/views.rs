use std::{process::Command, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use fixtures::{LINE, update};
use serde_json::json;
use shared::{EventId, TokenHash};
use store::{Change, ChangeKind, Registration};

use crate::{
    visitor::{Visitor, attributes, link, text},
    world::World,
};

const HOSTILE: &str = "<script>alert(1)</script><img src=x onerror=alert(1)>'\"&amp;\u{1b}[2J\u{202e}";

async fn world_and_visitor() -> (World, Visitor) {
    let world = World::start().await;
    world.fill().await;
    let visitor = Visitor::of(&world).await;
    (world, visitor)
}

#[tokio::test]
async fn the_start_page_has_the_deliveries_of_a_day_the_last_one_first() {
    let (world, visitor) = world_and_visitor().await;
    let page = visitor.page("").await;
    let expected: Vec<String> = [20, 30, 40, 45, 50].map(|minutes| world.id(minutes).to_string()).into();
    assert_eq!(attributes(&page, "data-id"), expected);
    let rows = world.with_minutes(&text(page.split_once("<tbody").unwrap().1));
    for row in [
        "builder builder#523 3",
        "whatsapp whatsapp#972501234567 client-7 2",
        "whatsapp whatsapp#972501234567 client-7 1 duplicate",
        "quarantined",
    ] {
        assert!(rows.contains(row), "{row}\n{rows}");
    }
    assert!(page.contains("5 deliveries in the last 24 hours</title>"), "the chart says what it covers");
    assert_eq!(link(&page, "Older"), None);
    let week = attributes(&visitor.page("?since=7d").await, "data-id");
    assert_eq!(week.last(), Some(&world.id(4_320).to_string()));
}

#[tokio::test]
async fn the_list_is_filtered_by_entity_time_and_text() {
    let (world, visitor) = world_and_visitor().await;
    let (since, until) = (world.ago(45).to_string(), world.ago(30).to_string());
    for (query, expected) in [
        ("kind=whatsapp".to_owned(), &[40, 45, 50][..]),
        ("kind=quarantine".to_owned(), &[20]),
        ("entity=whatsapp%23972501234567".to_owned(), &[40, 45, 50]),
        ("entity=whatsapp%23972501234567&since=7d".to_owned(), &[40, 45, 50, 4_320]),
        ("entity=972501234567".to_owned(), &[40, 45, 50]),
        ("entity=050-123-4567+".to_owned(), &[40, 45, 50]),
        ("entity=523".to_owned(), &[30]),
        ("entity=client-7".to_owned(), &[40, 45, 50]),
        ("reference=client-7".to_owned(), &[40, 45, 50]),
        ("reference=+client-7+".to_owned(), &[40, 45, 50]),
        ("kind=+WhatsApp".to_owned(), &[40, 45, 50]),
        ("reference=client-7&kind=builder".to_owned(), &[]),
        ("entity=builder%23523&reference=client-7".to_owned(), &[]),
        ("text=CLIENT-7&until=43m".to_owned(), &[45, 50]),
        ("text=not+JSON".to_owned(), &[20]),
        (format!("text={}", world.id(30)), &[30]),
        (format!("since={since}&until={until}"), &[40, 45]),
        ("kind=+&entity=&reference=&text=+&since=&until=".to_owned(), &[20, 30, 40, 45, 50]),
    ] {
        let page = visitor.page(&format!("?{query}")).await;
        let expected: Vec<String> = expected.iter().map(|minutes| world.id(*minutes).to_string()).collect();
        assert_eq!(attributes(&page, "data-id"), expected, "{query}");
    }
    assert_eq!(visitor.get("?after=nonsense").await.status, 400);
}

#[tokio::test]
async fn an_invalid_field_has_its_error_beside_it_and_the_form_keeps_the_rest() {
    let (_world, visitor) = world_and_visitor().await;
    for (query, field, why) in [
        ("since=soonish", "since", "\"soonish\": expected"),
        (
            "entity=972501234568",
            "entity",
            "There is no entity 972501234568: no event has named it; did you mean whatsapp#972501234567?",
        ),
        ("until=%3Cb%3E", "until", "\"<b>\": expected"),
        ("since=1h&until=7d", "until", "From must be before Until"),
        ("since=2099-01-01T00:00:00Z", "since", "From must be before Until"),
    ] {
        let answer = visitor.get(&format!("?{query}&text=Rimon&kind=builder&reference=client-7")).await;
        assert_eq!(answer.status, 400, "{query}");
        let (before, fault) = answer.body.split_once(&format!("id=\"{field}-fault\" role=\"alert\">")).expect(query);
        assert!(text(fault).starts_with(why), "{query}: {}", text(fault));
        let of_field = before.rsplit_once(&format!("id=\"{field}\"")).unwrap().1;
        let attributes_of_field = format!("aria-describedby=\"{field}-fault\"");
        assert!(of_field.contains("aria-invalid=\"true\"") && of_field.contains(&attributes_of_field), "{of_field}");
        let values = attributes(&answer.body, "value");
        for kept in ["Rimon", "client-7"] {
            assert!(values.iter().any(|value| value == kept), "{query}: {kept} is kept");
        }
        assert!(answer.body.contains("<option value=\"builder\" selected>"), "{query}");
        assert!(!answer.body.contains("Since soonish"), "a text that is no time is not called one");
        assert!(!text(&answer.body).contains("No matching deliveries"), "nothing was looked for");
    }
    for name in ["status", "update"] {
        let answer = visitor.get(&format!("states?kind=builder&{name}=soon&text=7&sort=oldest")).await;
        assert_eq!(answer.status, 400, "{name}");
        let fault = answer.body.split_once("id=\"status-fault\" role=\"alert\">").unwrap().1;
        assert!(text(fault).starts_with("\"soon\" is not a whole number"), "{}", text(fault));
        assert_eq!(attributes(&answer.body, "value"), ["7", "builder", "soon", "newest", "oldest"]);
        assert!(answer.body.contains("<option value=\"oldest\" selected>"), "{}", answer.body);
    }
}

#[tokio::test]
async fn the_chart_counts_the_whole_period_on_every_page_with_totals_by_kind() {
    let world = World::start().await;
    for minutes in 1..=70_u64 {
        let body = if minutes % 7 == 0 {
            json!({ "event": "package", "n": minutes })
        } else {
            json!({ "event": "builder", "builderID": minutes })
        };
        world.record(minutes, &body.to_string()).await;
    }
    world.record(75, "not JSON").await;
    let visitor = Visitor::of(&world).await;
    let first = visitor.page("").await;
    let second = visitor.page(&link(&first, "Older").unwrap()).await;
    for page in [&first, &second] {
        assert!(page.contains("71 deliveries in the last 24 hours</title>"), "{page}");
        let totals = page.split_once("class=\"totals\"").unwrap().1.split_once("</ul>").unwrap().0;
        assert!(text(totals).ends_with("builder 60 package 10 quarantine 1"), "{}", text(totals));
        let links = attributes(totals, "href");
        assert_eq!(links, ["./?kind=builder", "./?kind=package", "./?kind=quarantine"]);
    }
    assert_eq!(attributes(&second, "data-id").len(), 21);
    let hour = visitor.page("?since=1h&kind=package").await;
    assert!(hour.contains("8 deliveries in the last hour</title>"), "{hour}");
    let until = visitor.page("?since=2h&until=60m").await;
    assert!(until.contains("12 deliveries from 2h to 60m</title>"), "{until}");
}

#[tokio::test]
async fn events_of_the_doctor_are_left_out_unless_somebody_asks_for_them() {
    let (world, visitor) = world_and_visitor().await;
    world.record(10, r#"{"event":"doctor","n":1}"#).await;
    let page = visitor.page("").await;
    assert!(!attributes(&page, "data-id").contains(&world.id(10).to_string()));
    assert!(page.contains("5 deliveries in the last 24 hours</title>"), "they are not counted either");
    assert!(page.contains("<span>peak: 1 in 5 min</span>"), "{page}");
    for query in ["?kind=doctor", "?entity=doctor%23-"] {
        let asked = visitor.page(query).await;
        assert_eq!(attributes(&asked, "data-id"), [world.id(10).to_string()], "{query}");
    }
    assert!(page.contains("<option value=\"doctor\">"), "the form can ask for them");
}

#[tokio::test]
async fn an_event_that_names_no_kind_says_so() {
    let (world, visitor) = world_and_visitor().await;
    world.record(10, r#"{"status":"OK","whatsapp":"972501234567"}"#).await;
    let page = visitor.page(&format!("delivery?id={}", world.id(10))).await;
    let shown = text(&page);
    assert!(
        shown.contains("unnamed It names no kind: the member \"event\" is missing, or is not a usable name."),
        "{shown}"
    );
    assert!(visitor.page("").await.contains("<span class=\"dot unnamed\""), "the list warns of it");
    let named = text(&visitor.page(&format!("delivery?id={}", world.id(30))).await);
    assert!(!named.contains("names no kind"), "{named}");
}

#[tokio::test]
async fn rows_of_the_same_second_show_their_milliseconds() {
    let world = World::start().await;
    let second: shared::Timestamp =
        format!("{}Z", &world.ago(20).to_string()[..19]).replace('Z', ".000000Z").parse().unwrap();
    for millis in [7, 250, 2_000] {
        let at = second.plus(Duration::from_millis(millis));
        world
            .record_at(
                at,
                EventId::new(at, millis.to_be_bytes()),
                &json!({ "event": "package", "n": millis }).to_string(),
            )
            .await;
    }
    let visitor = Visitor::of(&world).await;
    let page = visitor.page("").await;
    let shown: Vec<(bool, &str)> = page
        .split("<span class=\"millis\"")
        .skip(1)
        .map(|rest| (!rest.starts_with(" hidden"), rest.split_once('>').unwrap().1.split_once('<').unwrap().0))
        .collect();
    assert_eq!(shown, [(false, ".000"), (true, ".250"), (true, ".007")]);
}

#[tokio::test]
async fn a_text_is_found_however_a_body_spells_it() {
    let world = World::start().await;
    world.record(30, r#"{"event":"voice","name":"\u05e9\u05dc\u05d5\u05dd \u00c4rger","half":"\ud800"}"#).await;
    world.record(25, "{\"event\":\"other\",\"name\":\"gpj\u{202e}exe\"}").await;
    world.record(20, r#"{"event":"voice","name":"x","deep":[{"https:\/\/bots.example.com\/523":1}]}"#).await;
    let visitor = Visitor::of(&world).await;
    for (query, expected) in [
        ("%D7%A9%D7%9C%D7%95%D7%9D", &[30][..]),
        ("%C3%A4rger", &[30]),
        ("%5Cu05e9", &[30]),
        ("https%3A%2F%2FBots.example.com%2F5", &[20]),
        ("https%3A%5C%2F%5C%2Fbots", &[20]),
        ("voice", &[20, 30]),
        ("%D7%A9%D7%A9", &[]),
        // As a page cuts and escapes it.
        ("%C3%84rg%E2%80%A6", &[30]),
        ("https:%2F%2Fbots%E2%80%A6%2F523", &[20]),
        ("%2F523%E2%80%A6bots", &[]),
        ("gpj%5Cu%7B202e%7D", &[25]),
    ] {
        let page = visitor.page(&format!("?text={query}")).await;
        let expected: Vec<String> = expected.iter().map(|minutes| world.id(*minutes).to_string()).collect();
        assert_eq!(attributes(&page, "data-id"), expected, "{query}");
    }
}

#[tokio::test]
async fn a_longer_time_is_offered_where_there_is_one() {
    let world = World::start().await;
    let visitor = Visitor::of(&world).await;
    for (query, is_offered) in [("", true), ("?since=29d", true), ("?since=30d", false), ("?since=90d", false)] {
        let page = visitor.page(query).await;
        assert_eq!(link(&page, "Show the last 30 days").is_some(), is_offered, "{query}");
    }
}

#[tokio::test]
async fn pages_follow_each_other_and_a_search_says_how_far_it_came() {
    let world = World::start().await;
    let start = world.ago(60);
    let mut ids = Vec::new();
    for n in 0..1_120_u64 {
        let at = start.plus(Duration::from_millis(n));
        let id = EventId::new(at, n.to_be_bytes());
        let kind = if n.is_multiple_of(8) { "builder" } else { "package" };
        world
            .record_at(at, id, &json!({ "event": kind, "builderID": 1, "n": n, "text": format!("n{n}.") }).to_string())
            .await;
        ids.push(id.to_string());
    }
    ids.reverse();
    let visitor = Visitor::of(&world).await;
    let walk = async |mut next: Option<String>, name: &str| {
        let (mut walked, mut sizes) = (Vec::new(), Vec::new());
        while let Some(link_to_page) = next {
            let page = visitor.page(&link_to_page).await;
            let ids = attributes(&page, "data-id");
            sizes.push(ids.len());
            walked.extend(ids);
            next = link(&page, name).filter(|_| sizes.len() < 8);
        }
        (walked, sizes)
    };
    let (walked, sizes) = walk(Some(String::new()), "Older").await;
    assert_eq!(sizes, [50; 8]);
    assert_eq!(walked, ids[..400]);
    let (walked, sizes) = walk(Some("?kind=builder".to_owned()), "Search further back").await;
    let builders: Vec<String> = ids.iter().skip(7).step_by(8).cloned().collect();
    assert_eq!((walked, sizes), (builders.clone(), vec![50, 50, 40]));
    let (walked, _) = walk(Some("?entity=builder%231".to_owned()), "Older").await;
    assert_eq!(walked, builders);

    let page = visitor.page("?text=n7.").await;
    assert_eq!(attributes(&page, "data-id"), ids[1_112..1_113]);
    assert!(text(&page).contains("Searched 1120 deliveries, the whole period."), "{}", text(&page));

    world.repeat(&ids[0].parse().unwrap(), 5_000).await;
    let page = visitor.page("?text=n7.").await;
    assert_eq!(attributes(&page, "data-id"), [""; 0]);
    assert!(text(&page).contains("Searched 5000 deliveries, back to 20"), "{}", text(&page));
    assert!(text(&page).contains("None of the deliveries searched so far matches the filter."), "{}", text(&page));
    let beyond = text(&visitor.page(&format!("?text=n7.&after={}", ids[1_112])).await);
    assert!(beyond.contains("No older delivery in this period matches the filter."), "{beyond}");
    let page = visitor.page(&link(&page, "Search further back").unwrap()).await;
    assert_eq!(attributes(&page, "data-id"), ids[1_112..1_113]);
    assert!(text(&page).contains("Searched 1120 deliveries, the whole period."), "{}", text(&page));
    let page = visitor.page("").await;
    assert!(page.contains("The newest 5000 deliveries in the last 24 hours</title>"), "{page}");
    let oldest = &start.plus(Duration::from_millis(1_119)).to_string()[..19];
    assert!(text(&page).contains(&format!("Deliveries before {oldest}Z are not counted.")), "{}", text(&page));
}

#[tokio::test]
async fn a_delivery_is_shown_with_what_it_repeats_and_what_repeats_it() {
    let (world, visitor) = world_and_visitor().await;
    let original = visitor.page(&format!("delivery?id={}", world.id(50))).await;
    let duplicate = visitor.page(&format!("delivery?id={}", world.id(45))).await;
    let shown = world.with_minutes(&text(&original));
    for part in [
        "Id #50 Received -50 50 min ago Entity whatsapp#972501234567 Reference client-7 Update 1",
        "Source IP 34.165.99.212",
        "Request id request-1",
        "[sealed] stands for a secret",
        "Repeated by …#45 -45 5 min later",
        "cargo hooks show #50",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    assert!(text(&original).contains("curl --json '{\"event\":\"whatsapp\","), "{original}");
    assert!(text(&original).contains("}' \"$WEBHOOK_URL\""), "{original}");
    let shown = world.with_minutes(&text(&duplicate));
    assert!(shown.contains("Duplicate of #50 5 min earlier") && !shown.contains("Repeated by"), "{shown}");
    let quarantined = text(&visitor.page(&format!("delivery?id={}", world.id(20))).await);
    assert!(
        quarantined.contains("Quarantined the body is not JSON Body 20 bytes, in the sealed table"),
        "{quarantined}"
    );

    let nobody = EventId::new(world.ago(10), [7; 8]);
    assert_eq!(visitor.get(&format!("delivery?id={nobody}")).await.status, 404);
    assert_eq!(visitor.get("delivery?id=42").await.status, 400);
    assert_eq!(visitor.get("delivery").await.status, 400);
    let whole = format!("delivery?id={}", world.id(50));
    for digits in [6, 8] {
        let end = &whole[whole.len() - digits..];
        let found = visitor.get(&format!("delivery?id=%E2%80%A6{end}")).await;
        assert_eq!((found.status, found.header("location")), (303, Some(&*whole)), "{end}");
    }
    let nothing = visitor.get("delivery?id=000000").await;
    let shown = text(&nothing.body);
    assert!(nothing.status == 404 && shown.contains("\"000000\": none of the last 10000 events has an id"), "{shown}");
}

#[tokio::test]
async fn a_held_delivery_says_why_and_how_it_becomes_an_event() {
    let world = World::start().await;
    world.hold(20, &update(1)).await;
    let visitor = Visitor::of(&world).await;
    let row = text(visitor.page("").await.split_once("<tbody").unwrap().1);
    assert!(row.contains(" held ") && !row.contains("quarantined "), "{row}");
    let shown = world.with_minutes(&text(&visitor.page(&format!("delivery?id={}", world.id(20))).await));
    for part in [
        "Held It came with an accepted token from an address that is not on the stack's list (AllowedSourceIps).",
        "Content type application/json; charset=utf-8 Content encoding identity Source IP 34.165.99.212",
        "cargo hooks quarantine retry #20 Copy Records it as an event once its address is on the list.",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    assert!(!shown.contains("unlisted_source"), "{shown}");
}

#[tokio::test]
async fn a_quarantined_delivery_is_read_and_retried_only_with_consent() {
    let (world, visitor) = world_and_visitor().await;
    let id = world.id(20);
    let page = visitor.page(&format!("delivery?id={id}")).await;
    for command in [format!("cargo hooks quarantine show {id} --raw"), format!("cargo hooks quarantine retry {id}")] {
        assert!(text(&page).contains(&command), "{command}");
    }
    let post = async |action: &str, body: &str| {
        let headers = [
            visitor.host(),
            format!("Origin: http://127.0.0.1:{}", visitor.port),
            "Content-Type: application/x-www-form-urlencoded".to_owned(),
            format!("Content-Length: {}", body.len()),
        ];
        visitor.send(&format!("POST /{}/{action} HTTP/1.1", visitor.token), &headers, body).await
    };
    let back = format!("delivery?id={id}");
    for (action, refused) in [("raw", "Not shown: tick the box first."), ("retry", "Not retried: tick the box first.")]
    {
        for body in [format!("id={id}"), format!("id={id}&consent="), format!("id={id}&consent=no")] {
            let answer = post(action, &body).await;
            assert_eq!((answer.status, answer.header("location")), (303, Some(back.as_str())), "{action} {body}");
            assert!(text(&visitor.page(&back).await).contains(refused), "{action} {body}");
        }
        assert_eq!(post(action, "id=42&consent=yes").await.status, 400);
        assert_eq!(visitor.get(action).await.status, 405, "a link does nothing");
    }
    assert_eq!(*world.done.lock().unwrap(), [""; 0]);
    let raw = post("raw", &format!("id={id}&consent=yes")).await;
    assert_eq!((raw.status, raw.header("cache-control")), (200, Some("no-store")));
    assert!(
        raw.body.contains("not &#60;b&#62;JSON\n\\u{1b}[2J</pre>") && text(&raw.body).contains("17 bytes"),
        "{raw:?}"
    );
    assert_eq!(post("retry", &format!("id={id}&consent=yes")).await.status, 303);
    assert!(text(&visitor.page(&back).await).contains("Retried: still undecodable: the body is not JSON."));
    assert_eq!(*world.done.lock().unwrap(), [format!("raw {id}"), format!("retry {id}")]);

    let mut source = world.source();
    source.actions = None;
    let of_stack = Visitor::to(source).await.page(&back).await;
    assert!(!of_stack.contains("Show bytes") && text(&of_stack).contains("cargo hooks quarantine show"), "{of_stack}");
}

#[tokio::test]
async fn a_body_that_is_too_deep_to_lay_out_is_shown_as_it_came() {
    let world = World::start().await;
    let body = format!(r#"{{"event":"voice","deep":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    world.record(20, &body).await;
    let visitor = Visitor::of(&world).await;
    let page = visitor.page(&format!("delivery?id={}", world.id(20))).await;
    assert!(page.len() < 5 * body.len(), "{}", page.len());
    assert!(text(&page).contains(&body), "{page}");
}

#[test]
fn the_script_of_the_pages_has_no_syntax_error() {
    // A browser ignores a script with one. Without Node, nothing is checked here.
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/inspector.js");
    let Ok(checked) = Command::new("node").args(["--check", script]).output() else { return };
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[tokio::test]
async fn untrusted_content_is_text_on_every_page() {
    let (world, visitor) = world_and_visitor().await;
    let body = json!({
        "event": "whatsapp", "whatsapp": "<b>1'\"", "whatsapp_reference": HOSTILE, "whatsapp_extra_info": 1, "note": HOSTILE,
        (HOSTILE): 1,
    });
    world.record(10, &body.to_string()).await;
    world.record(5, &body.to_string().replace("alert(1)", "alert(2)")).await;
    world.record(3, &json!({ "event": "<i>x", "<i>x_reference": HOSTILE }).to_string()).await;
    let entity = "entity?name=whatsapp%23%3Cb%3E1%27%22";
    for link in [
        "",
        &format!("delivery?id={}", world.id(5)),
        &format!("delivery?id={}", world.id(3)),
        entity,
        "lines",
        "lines?text=%3Cscript%3E&show=%3Cscript%3E&page=%3Cscript%3E",
        &format!(
            "client?{}",
            url::form_urlencoded::Serializer::new(String::new()).append_pair("reference", HOSTILE).finish()
        ),
        "client?reference=%3Cscript%3E",
        "states?kind=whatsapp",
        "states?kind=%3Ci%3Ex",
        "?text=%3Cscript%3E%22%27&kind=%3Ci%3Ex&since=1h",
        "?since=%3Cscript%3E",
        "delivery?id=%3Cscript%3E",
        "entity?name=%3Cscript%3E",
        "states?kind=%3Cscript%3E&status=%3Cscript%3E",
    ] {
        let page = visitor.get(link).await.body;
        let own = page.matches("<script src=\"inspector.js\"></script>").count();
        assert_eq!((own, page.matches("<script").count()), (1, 1), "{link}\n{page}");
        for markup in ["<img src=x", "<b>1", "<i>x", "\u{1b}", "\u{202e}", "onerror=\""] {
            assert!(!page.contains(markup), "{markup:?} in {link}\n{page}");
        }
    }
    let page = visitor.page(entity).await;
    assert!(text(&page).contains("\\u{1b}[2J\\u{202e}"), "what cannot be seen is shown: {}", text(&page));
}

#[tokio::test]
async fn an_entity_has_its_state_and_what_each_event_changed() {
    let (world, visitor) = world_and_visitor().await;
    let page = visitor.page("entity?name=whatsapp%23972501234567").await;
    let shown = world.with_minutes(&text(&page));
    for part in [
        "Update 2 Events 3 Duplicates 1 First seen -4320 3 d ago Last seen -40 40 min ago Reference client-7",
        "whatsapp_extra_info 2 40 min ago",
        "-40 40 min ago whatsapp_extra_info 1 → 2",
        "-45 45 min ago duplicate no change",
        "-50 50 min ago whatsapp_extra_info 0 → 1",
        "-4320 3 d ago First event with update 0",
        "cargo hooks state whatsapp#972501234567 Copy",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    let body = r#"{"event":"builder","builderID":523,"builder_extra_info":3,"quality":"green"}"#;
    world.record(10, body).await;
    let bot = text(&visitor.page("entity?name=builder%23523").await);
    assert!(bot.contains("quality green not in the previous event"), "{bot}");
    assert!(bot.contains("In the previous event, but not in this one: new."), "{bot}");
    for (typed, entity) in
        [("0501234567", LINE), ("%2B972+50-123-4567", LINE), ("client-7", LINE), ("523", "builder#523")]
    {
        let answer = visitor.get(&format!("entity?name={typed}")).await;
        let entity = format!("entity?name={}", entity.replace('#', "%23"));
        assert_eq!((answer.status, answer.header("location")), (303, Some(entity.as_str())), "{typed}");
    }
    let similar = visitor.get("entity?name=972501234568").await;
    let shown = text(&similar.body);
    assert!(shown.contains("no event has named it; did you mean whatsapp#972501234567?"), "{shown}");
    world.record(8, r#"{"event":"builder","builderID":524,"builder_reference":"client-7"}"#).await;
    let client = visitor.get("entity?name=client-7").await;
    assert_eq!((client.status, client.header("location")), (303, Some("client?reference=client-7")));
    let field = text(&visitor.get("?entity=client-7").await.body);
    assert!(field.contains("give one of these names, or use the field Reference for all of them."), "{field}");
    let set_by = format!("delivery?id={}", world.id(40));
    assert!(attributes(&page, "href").contains(&set_by), "a field leads to the event that brought it");
    assert_eq!(visitor.get("entity?name=whatsapp%231").await.status, 404);
}

#[tokio::test]
async fn a_partition_of_something_else_has_no_page_of_an_entity() {
    let (world, visitor) = world_and_visitor().await;
    let drift = Change {
        id: EventId::new(world.ago(10), [7; 8]),
        at: world.ago(10),
        kind: ChangeKind::Drift,
        action: "sync".to_owned(),
        registered: None,
        not_ours: None,
        cause: None,
    };
    world
        .ledger()
        .write(&Registration { checked_at: Some(world.ago(10)), ..Registration::default() }, &[drift])
        .await
        .unwrap();
    let token = TokenHash::of("Token-0123456789");
    world.tokens().accept(&token, world.ago(10)).await.unwrap();
    let day = world.ago(20).day();
    for name in ["registration", "webhook-tokens", &format!("quarantine%23{day}"), "quarantine%23", "%20registration"] {
        for link in [format!("entity?name={name}"), format!("entity?name={name}&after={}", world.id(20))] {
            let answer = visitor.get(&link).await;
            assert_eq!(answer.status, 404, "{link} {answer:?}");
        }
        let deliveries = visitor.get(&format!("?entity={name}")).await.body;
        let expected = if name.ends_with(&*day) { 1 } else { 0 };
        assert_eq!(attributes(&deliveries, "data-id").len(), expected, "{name}");
    }
    let row = visitor.page("?kind=quarantine").await;
    let day = attributes(&row, "href").into_iter().find(|link| link.contains("entity=quarantine")).unwrap();
    assert_eq!(attributes(&visitor.page(&day).await, "data-id"), [world.id(20).to_string()]);
}

#[tokio::test]
async fn a_history_is_compared_across_its_pages() {
    let world = World::start().await;
    for minutes in 1..=120_u64 {
        world.record(minutes, &update(u8::try_from(minutes).unwrap())).await;
    }
    let visitor = Visitor::of(&world).await;
    let mut next = Some("entity?name=whatsapp%23972501234567".to_owned());
    let (mut sizes, mut steps) = (Vec::new(), Vec::new());
    while let Some(link_to_page) = next {
        let page = visitor.page(&link_to_page).await;
        let history = text(page.split_once("class=\"timeline").unwrap().1);
        sizes.push(page.matches("class=\"when\"").count());
        steps.push(history.matches("→").count() + history.matches("First event").count());
        assert!(!history.contains("not compared"), "{history}");
        next = link(&page, "Older");
    }
    assert_eq!((sizes.as_slice(), steps.as_slice()), ([50, 50, 20].as_slice(), [50, 50, 20].as_slice()));
    // Only the newest page has the newest event with a key.
    let newest = visitor.page("entity?name=whatsapp%23972501234567").await;
    let older = visitor.page(&link(&newest, "Older").unwrap()).await;
    let says_when = |page: &str| text(page).contains("key sealed, last received at");
    assert!(says_when(&newest) && !says_when(&older), "{}", text(&older));
}

#[tokio::test]
async fn the_oldest_delivery_is_not_the_first_event_once_earlier_ones_have_expired() {
    let (world, visitor) = world_and_visitor().await;
    let delete = world.dynamodb.client().delete_item().table_name(world.dynamodb.events_table());
    let delete = delete.key("pk", AttributeValue::S(LINE.to_owned()));
    delete.key("sk", AttributeValue::S(format!("event#{}", world.id(3 * 24 * 60)))).send().await.unwrap();
    let shown = text(&visitor.page("entity?name=whatsapp%23972501234567").await);
    assert!(shown.contains("First seen") && !shown.contains("First event"), "{shown}");
}

#[tokio::test]
async fn states_are_listed_by_kind_and_last_update() {
    let world = World::start().await;
    for n in 1..=60_u64 {
        let reference = format!("b-{}", n % 30);
        let body =
            json!({ "event": "builder", "builderID": n, "builder_extra_info": n % 3, "builder_reference": reference });
        world.record(n, &body.to_string()).await;
    }
    let visitor = Visitor::of(&world).await;
    let first = visitor.page("states?kind=builder").await;
    let second = visitor.page(&link(&first, "Next page").unwrap()).await;
    let entities = |page: &str| {
        attributes(page, "href").into_iter().filter(|link| link.starts_with("entity?")).collect::<Vec<_>>()
    };
    assert_eq!((entities(&first).len(), entities(&second).len(), link(&second, "Next page")), (50, 10, None));
    let names = |bots: &[u64]| bots.iter().map(|n| format!("entity?name=builder%23{n}")).collect::<Vec<_>>();
    let newest_first: Vec<u64> = (1..=60).collect();
    assert_eq!([entities(&first), entities(&second)].concat(), names(&newest_first));
    assert!(text(&first).contains("1 to 50 of 60 states.") && text(&second).contains("51 to 60 of 60 states."));
    assert_eq!(entities(&visitor.page("states?kind=builder&status=1").await).len(), 20);
    let oldest = visitor.page("states?kind=builder&sort=oldest&status=0").await;
    assert_eq!(entities(&oldest)[..3], names(&[60, 57, 54]));
    let rest = visitor.page(&link(&visitor.page("states?kind=builder&sort=oldest").await, "Next page").unwrap()).await;
    assert_eq!(entities(&rest), names(&[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]), "the next page keeps the order");
    for (typed, bots) in [("+B-7+", &[7, 37][..]), ("59", &[59]), ("nobody", &[])] {
        let page = visitor.page(&format!("states?kind=builder&text={typed}")).await;
        assert_eq!(entities(&page), names(bots), "{typed}");
    }
    world.record(70, &update(1)).await;
    assert_eq!(entities(&visitor.page("states?text=050-123-4567").await), ["entity?name=whatsapp%23972501234567"]);
    assert_eq!(visitor.get("states?page=0").await.status, 400);
    assert!(text(&visitor.page("states?kind=voice").await).contains("No states"));
}

#[tokio::test]
async fn the_registration_has_its_ledger_as_a_bar_and_as_tables() {
    let (world, visitor) = world_and_visitor().await;
    assert!(text(&visitor.page("registration").await).contains("Not checked yet"));
    let ours = "https://hooks.example.com/v1/webhook/***2b72";
    let change = |minutes: u64, kind, not_ours: Option<(u64, u64)>| Change {
        id: EventId::new(world.ago(minutes), [7; 8]),
        at: world.ago(minutes),
        kind,
        action: "sync".to_owned(),
        registered: Some(if kind == ChangeKind::Drift { "https://other.example/***66aa" } else { ours }.to_owned()),
        not_ours: not_ours.map(|(from, until)| world.ago(from)..world.ago(until)),
        cause: (kind == ChangeKind::Failed).then(|| "<b>PartnerUnreachable".to_owned()),
    };
    let changes = [
        change(4_320, ChangeKind::Registered, None),
        change(45, ChangeKind::Drift, Some((50, 45))),
        change(40, ChangeKind::Repaired, Some((50, 40))),
        change(30, ChangeKind::Failed, None),
    ];
    let (checked_at, ours_at) = (Some(world.ago(20)), Some(world.ago(20)));
    let state = Registration { checked_at, ours_at, registered: Some(ours.to_owned()), ..Registration::default() };
    world.ledger().write(&state, &changes).await.unwrap();

    let page = visitor.page("registration").await;
    let shown = world.with_minutes(&text(&page));
    for part in [
        "Your webhook receives the events",
        "registered https://hooks.example.com/v1/webhook/***2b72, ours since -40 (40 min ago)",
        "Events may have gone elsewhere for 10 min in the last 24 hours.",
        "40 min another URL, or none -50 -40 10 min",
        "-30 failed <b>PartnerUnreachable sync",
        "-40 repaired sync https://hooks.example.com/v1/webhook/***2b72 10 min",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    assert!(!shown.contains("-4320"), "earlier changes are not listed");
    assert!(shown.contains("Duration your webhook -40 ") && !shown.contains("not checked"), "{shown}");
    assert_eq!(page.matches("<rect class=\"ours\"").count(), 2, "it was ours before the day began");
    assert_eq!(page.matches("<rect class=\"not-ours\"").count(), 1);
    let week = world.with_minutes(&text(&visitor.page("registration?time=7d").await));
    assert!(week.contains("your webhook -4320 -50 2 d 23 h") && week.contains("-4320 registered"), "{week}");
}

#[tokio::test]
async fn every_page_names_another_receiver_of_the_events() {
    let (world, visitor) = world_and_visitor().await;
    let ours = "https://hooks.example.com/v1/webhook/***2b72";
    let (now, since) = (Some(world.ago(20)), Some(world.ago(30)));
    let ours = Registration { checked_at: now, ours_at: now, registered: Some(ours.into()), ..Registration::default() };
    world.ledger().write(&ours, &[]).await.unwrap();
    let line = "entity?name=whatsapp%23972501234567";
    let pages = ["", "lines", "states", "forwarding", line, "client?reference=client-7", "banner"];
    for page in pages {
        assert!(!visitor.page(page).await.contains("class=\"notice bad\" role=\"alert\""), "{page}");
    }
    let elsewhere = Registration {
        registered: Some("https://thief.example/in/***66aa".to_owned()),
        ours_at: Some(world.ago(40)),
        elsewhere_since: since,
        version: 1,
        ..ours
    };
    world.ledger().write(&elsewhere, &[]).await.unwrap();
    for page in pages {
        let shown = visitor.page(page).await;
        let banner = "Your webhook has not been registered since -30 : the provider sends all events to thief.example.";
        assert!(world.with_minutes(&text(&shown)).contains(banner), "{page}: {shown}");
        assert_eq!(link(&shown, "Registration").as_deref(), Some("registration"), "{page}");
    }
    let shown = world.with_minutes(&text(&visitor.page("registration").await));
    assert!(shown.contains("Events may have gone elsewhere for 4"), "{shown}");
    assert!(shown.contains("to the first that saw it again, or to now."), "{shown}");
    assert!(shown.contains("Duration another URL, or none -40 "), "{shown}");
    world.ledger().write(&Registration { registered: None, version: 2, ..elsewhere }, &[]).await.unwrap();
    let shown = text(&visitor.page("banner").await);
    assert!(shown.contains("no URL is registered, and the provider sends events nowhere. Last checked "), "{shown}");
}

#[tokio::test]
async fn while_nobody_knows_whether_ours_is_registered_no_page_says_that_it_is() {
    let (world, visitor) = world_and_visitor().await;
    let ours = Some("https://hooks.example.com/v1/webhook/***2b72".to_owned());
    let checked = |minutes| (Some(world.ago(minutes)), Some(world.ago(minutes)));
    let (checked_at, ours_at) = checked(20);
    let failing = Registration {
        checked_at,
        ours_at,
        registered: ours.clone(),
        failing_since: Some(world.ago(10)),
        failure: Some("WrongCredentials".to_owned()),
        ..Registration::default()
    };
    let (checked_at, ours_at) = checked(26 * 60);
    let unchecked = Registration { checked_at, ours_at, registered: ours, version: 1, ..Registration::default() };
    let never = Registration { checked_at: None, ours_at: None, registered: None, version: 2, ..failing.clone() };
    for (state, headline, cause) in [
        (failing, "Not known: the checks fail", "the checks fail with WrongCredentials. Last checked -20 ."),
        (
            unchecked,
            "Not known: nothing has checked for more than a day",
            "nothing has checked for more than a day. Last checked 20",
        ),
        (never, "Not known: the checks fail", "the checks fail with WrongCredentials. Registration"),
    ] {
        world.ledger().write(&state, &[]).await.unwrap();
        let page = visitor.page("registration").await;
        assert!(text(&page).contains(headline) && page.contains("card standing unknown"), "{page}");
        for page in ["", "lines", "banner"] {
            let shown = world.with_minutes(&text(&visitor.page(page).await));
            assert!(shown.contains(&format!("whether your webhook is registered: {cause}")), "{page}: {shown}");
        }
    }
}

#[tokio::test]
async fn a_reference_that_nothing_has_leads_to_similar_ones() {
    let (_world, visitor) = world_and_visitor().await;
    let expected = "No line, bot or inbox has this reference; did you mean client-7?";
    let shown = text(&visitor.page("?reference=CLIENT-7").await);
    assert!(shown.contains(expected), "{shown}");
    let client = text(&visitor.get("client?reference=client").await.body);
    assert!(client.contains("has the reference client; did you mean client-7?"), "{client}");
    for known in ["?reference=client-7&since=1m", "?reference=client-7"] {
        let shown = text(&visitor.page(known).await);
        assert!(!shown.contains("has this reference"), "{shown}");
    }
}
