use std::time::{Duration, SystemTime};

use shared::{EventId, Timestamp};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    net::TcpStream,
    time::timeout,
};

use super::{
    table::Watched,
    visitor::{Visitor, attributes},
};
use crate::world::{World, update};

/// What comes over a stream of events.
struct Stream(Lines<BufReader<TcpStream>>);

impl Stream {
    async fn open(visitor: &Visitor, link: &str, headers: &[String]) -> Self {
        let line = format!("GET /{}/{link} HTTP/1.1", visitor.token);
        let stream = visitor.connect(&line, &[&[visitor.host()], headers].concat(), "").await;
        let mut lines = BufReader::new(stream).lines();
        assert_eq!(lines.next_line().await.unwrap().unwrap(), "HTTP/1.1 200 OK");
        Self(lines)
    }

    /// The data of the next event of this name; that it comes is what is tested, not how soon.
    async fn next(&mut self, name: &str) -> String {
        let event = async {
            let (mut current, mut data) = (String::new(), String::new());
            loop {
                let line = self.0.next_line().await.unwrap().expect("the stream goes on");
                if let Some(name) = line.strip_prefix("event: ") {
                    current = name.to_owned();
                } else if let Some(part) = line.strip_prefix("data: ") {
                    data += part;
                } else if line.is_empty() {
                    if current == name {
                        return data;
                    }
                    (current, data) = (String::new(), String::new());
                }
            }
        };
        timeout(Duration::from_secs(60), event).await.expect("an event in time")
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
async fn what_comes_is_told_once_with_a_chart_of_it() {
    let world = World::start("inspector-live").await;
    world.fill().await;
    let visitor = Visitor::of(&world).await;
    let page = visitor.page("").await;
    let link = attributes(&page, "data-stream").remove(0);
    let meanwhile = record(&world, 3).await;
    let mut stream = Stream::open(&visitor, &link, &[]).await;
    assert_eq!(stream.next_id().await, meanwhile, "what came between the page and its stream is told");
    assert!(stream.next("chart").await.contains("6 deliveries</title>"));
    let first = record(&world, 4).await;
    assert_eq!(stream.next_id().await, first);
    let second = record(&world, 5).await;
    assert_eq!(stream.next_id().await, second, "each is told once");
    assert!(stream.next("chart").await.contains("8 deliveries</title>"));

    let last = [format!("Last-Event-ID: {first}")];
    let mut again = Stream::open(&visitor, &link, &last).await;
    assert_eq!(again.next_id().await, second, "who comes back is told what was missed");
}

#[tokio::test]
async fn a_page_is_told_what_belongs_on_it() {
    let world = World::start("inspector-live-filter").await;
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
async fn the_table_is_asked_little_and_only_while_somebody_looks() {
    let world = World::start("inspector-asked").await;
    world.fill().await;
    let (url, table) = Watched::start(world.dynamodb_url()).await;
    world.reach_dynamodb_by(&url);
    let visitor = Visitor::of(&world).await;
    assert_eq!(table.asked(), [""; 0], "nothing is asked before somebody looks");
    let page = visitor.page("").await;
    let asked = table.asked();
    // A day is in one month or in two, and a month in 8 partitions of the index.
    assert!(asked.len() <= 16 && asked.iter().all(|operation| operation == "Query"), "{asked:?}");

    let link = attributes(&page, "data-stream").remove(0);
    let (mut one, mut other) = (Stream::open(&visitor, &link, &[]).await, Stream::open(&visitor, &link, &[]).await);
    let id = record(&world, 3).await;
    assert_eq!((one.next_id().await, other.next_id().await), (id.clone(), id));
    table.set_out(true);
    assert!(one.next("trouble").await.contains("out on command"));
    table.set_out(false);
    one.next("recovered").await;
    other.next("recovered").await;
    drop((one, other));
    let quiet = async {
        loop {
            table.asked();
            // Longer than the time between two looks, of which one may still be under way.
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            if table.asked().is_empty() {
                break;
            }
        }
    };
    timeout(Duration::from_secs(60), quiet).await.expect("nobody looks, and nothing is asked");
}
