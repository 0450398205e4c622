use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use emulators::faults::{Fault, Faults};
use fixtures::update;
use inspector::Source;
use shared::{EventId, Timestamp};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    net::TcpStream,
    time::timeout,
};

use crate::{
    visitor::{Visitor, attributes},
    world::World,
};

/// The receiving end of a stream of events.
struct Stream(Lines<BufReader<TcpStream>>);

impl Stream {
    async fn open(visitor: &Visitor, link: &str, headers: &[String]) -> Self {
        let line = format!("GET /{}/{link} HTTP/1.1", visitor.token);
        let stream = visitor.connect(&line, &[&[visitor.host()], headers].concat(), "").await;
        let mut lines = BufReader::new(stream).lines();
        assert_eq!(lines.next_line().await.unwrap().unwrap(), "HTTP/1.1 200 OK");
        Self(lines)
    }

    /// The next event that a browser dispatches, by its name and data: read as the HTML Standard has it, "Interpreting an event
    /// stream", by which an event without data is dropped. Its arrival is tested, not its speed.
    async fn first(&mut self) -> (String, String) {
        let event = async {
            let (mut name, mut data) = (String::new(), String::new());
            loop {
                let line = self.0.next_line().await.unwrap().expect("the stream goes on");
                if line.is_empty() {
                    if let Some(data) = data.strip_suffix('\n') {
                        return (if name.is_empty() { "message".to_owned() } else { name }, data.to_owned());
                    }
                    name.clear();
                }
                let (field, value) = line.split_once(':').unwrap_or((&line, ""));
                let value = value.strip_prefix(' ').unwrap_or(value);
                match field {
                    "event" => value.clone_into(&mut name),
                    "data" => data = data + value + "\n",
                    _ => {}
                }
            }
        };
        timeout(Duration::from_secs(60), event).await.expect("an event in time")
    }

    /// The data of the next event of this name.
    async fn next(&mut self, name: &str) -> String {
        loop {
            let (other, data) = self.first().await;
            if other == name {
                return data;
            }
        }
    }

    async fn next_id(&mut self) -> String {
        attributes(&self.next("row").await, "data-id").remove(0)
    }
}

async fn record(world: &World, extra_info: u8) -> String {
    let now = Timestamp::from(SystemTime::now());
    let id = EventId::new(now, [extra_info; 8]);
    world.record_at(now, id, &update(extra_info)).await;
    id.to_string()
}

#[tokio::test]
async fn new_deliveries_are_sent_once_with_their_chart() {
    let world = World::start().await;
    world.fill().await;
    let visitor = Visitor::of(&world).await;
    let page = visitor.page("").await;
    let link = attributes(&page, "data-stream").remove(0);
    let meanwhile = record(&world, 3).await;
    let mut stream = Stream::open(&visitor, &link, &[]).await;
    assert_eq!(stream.next_id().await, meanwhile, "what came between the page and its stream is told");
    assert!(stream.next("chart").await.contains("6 deliveries in the last 24 hours</title>"));
    let first = record(&world, 4).await;
    assert_eq!(stream.next_id().await, first);
    let second = record(&world, 5).await;
    assert_eq!(stream.next_id().await, second, "each is told once");
    assert!(stream.next("chart").await.contains("8 deliveries in the last 24 hours</title>"));

    let last = [format!("Last-Event-ID: {first}")];
    let mut again = Stream::open(&visitor, &link, &last).await;
    while again.next_id().await != second {
        // Deliveries received shortly before the last one are sent again: they may have become readable later.
    }
}

#[tokio::test]
async fn a_row_that_was_readable_only_after_the_page_is_told_though_it_is_older() {
    let world = World::start().await;
    world.fill().await;
    let visitor = Visitor::of(&world).await;
    let link = attributes(&visitor.page("").await, "data-stream").remove(0);
    let at = world.ago(20).minus(Duration::from_secs(1));
    let late = EventId::new(at, [3; 8]);
    world.record_at(at, late, &update(3)).await;
    let mut stream = Stream::open(&visitor, &link, &[]).await;
    assert_eq!(stream.next_id().await, late.to_string());
    assert!(stream.next("chart").await.contains("6 deliveries in the last 24 hours</title>"));
}

#[tokio::test]
async fn a_search_that_does_not_reach_back_to_what_the_page_shows_says_so() {
    let world = World::start().await;
    world.fill().await;
    let visitor = Visitor::of(&world).await;
    let link = attributes(&visitor.page("?text=client-7").await, "data-stream").remove(0);
    let now = Timestamp::from(SystemTime::now());
    let package = EventId::new(now, [1; 8]);
    world.record_at(now, package, r#"{"event":"package"}"#).await;
    world.repeat(&package, 5_000).await;
    Stream::open(&visitor, &link, &[]).await.next("missed").await;
    let seen = [format!("Last-Event-ID: {}", record(&world, 3).await)];
    let came = record(&world, 4).await;
    let mut stream = Stream::open(&visitor, &link, &seen).await;
    stream.next("run").await;
    let (name, row) = stream.first().await;
    assert_eq!((name.as_str(), attributes(&row, "data-id")), ("row", vec![came]), "nothing was missed");
}

#[tokio::test]
async fn a_page_that_is_looked_at_again_reads_only_what_is_new() {
    let world = World::start().await;
    world.record(30, r#"{"event":"package"}"#).await;
    world.repeat(&world.id(30), 4_990).await;
    world.record(20, r#"{"event":"package"}"#).await;
    let table = Faults::before(&world.url()).await.unwrap();
    let source = Source { stack: Some("hooks".to_owned()), actions: None, ..world.source_by(&table.url()) };
    let visitor = Visitor::to(source).await;
    let link = attributes(&visitor.page("").await, "data-stream").remove(0);
    let whole = table.take_seen().len();
    for number in 1..=3 {
        table.take_seen();
        let mut stream = Stream::open(&visitor, &link, &[]).await;
        let asked = table.take_seen().len();
        assert!(asked < whole, "{asked} requests, and {whole} for the whole period");
        let came = record(&world, number).await;
        while stream.next_id().await != came {
            // Those that came after the page was opened are sent again.
        }
        assert!(stream.next("chart").await.contains(&format!("{} deliveries in the last", 4_992 + u64::from(number))));
    }
}

#[tokio::test]
async fn deliveries_that_have_left_the_period_are_no_longer_counted_also_while_others_come() {
    let world = World::start().await;
    let visitor = Visitor::of(&world).await;
    let link = attributes(&visitor.page("?since=1s&kind=whatsapp").await, "data-stream").remove(0);
    let mut stream = Stream::open(&visitor, &link, &[]).await;
    let came = record(&world, 3).await;
    assert_eq!(stream.next_id().await, came);
    let others = async {
        for n in 0_u64.. {
            let now = Timestamp::from(SystemTime::now());
            world.record_at(now, EventId::new(now, n.to_be_bytes()), r#"{"event":"builder","builderID":1}"#).await;
        }
    };
    let left = async { while !stream.next("chart").await.trim().is_empty() {} };
    tokio::select! { () = left => {}, () = others => {} }
}

#[tokio::test]
async fn a_page_learns_that_it_is_from_an_earlier_run() {
    let world = World::start().await;
    let run = async |visitor: &Visitor| Stream::open(visitor, "live", &[]).await.next("run").await;
    let visitor = Visitor::of(&world).await;
    let first = run(&visitor).await;
    assert_eq!(run(&visitor).await, first, "the same run");
    assert_ne!(run(&Visitor::of(&world).await).await, first, "another run");
}

#[tokio::test]
async fn a_page_gets_only_its_own_deliveries() {
    let world = World::start().await;
    world.fill().await;
    let visitor = Visitor::of(&world).await;
    let page = visitor.page("?kind=whatsapp&text=client-7").await;
    let link = attributes(&page, "data-stream").remove(0);
    let mut stream = Stream::open(&visitor, &link, &[]).await;
    let now = Timestamp::from(SystemTime::now());
    world.record_at(now, EventId::new(now, [9; 8]), r#"{"event":"builder","builderID":1}"#).await;
    let asked = record(&world, 6).await;
    assert_eq!(stream.next_id().await, asked);
    for query in ["?until=1h", &format!("?after={}", world.id(30))] {
        assert_eq!(attributes(&visitor.page(query).await, "data-stream"), [""; 0], "{query}");
    }
}

#[tokio::test]
async fn the_table_is_asked_little_and_one_poll_serves_all_pages() {
    let world = World::start().await;
    world.fill().await;
    let table = Faults::before(&world.url()).await.unwrap();
    let visitor = Visitor::to(world.source_by(&table.url())).await;
    assert_eq!(table.take_seen(), [""; 0], "nothing is asked before somebody looks");
    let page = visitor.page("").await;
    let asked = table.take_seen();
    // A day is in one month or in two, and a month in 8 partitions of the index.
    let (queries, others): (Vec<&str>, Vec<&str>) =
        asked.iter().map(String::as_str).partition(|operation| *operation == "Query");
    assert!(queries.len() <= 17, "one of them is for refused events: {asked:?}");
    // Whether the rows were handed on, and the registration.
    assert_eq!(BTreeSet::from_iter(&others), BTreeSet::from([&"BatchGetItem", &"GetItem"]));
    assert_eq!(others.len(), 2, "{asked:?}");

    let link = attributes(&page, "data-stream").remove(0);
    let (mut one, mut other) = (Stream::open(&visitor, &link, &[]).await, Stream::open(&visitor, &link, &[]).await);
    let id = record(&world, 3).await;
    assert_eq!((one.next_id().await, other.next_id().await), (id.clone(), id));
    table.always(Fault::InternalError);
    assert!(one.next("trouble").await.contains("InternalServerError"));
    table.recover().unwrap();
    one.next("recovered").await;
    other.next("recovered").await;
}
