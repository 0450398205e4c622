//! Everything about one delivery.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use shared::{
    EventId, Kind, Timestamp, json,
    text::{plain, short},
};
use store::{FindIdError, Listing, Order, StoredDelivery, TypedId, first};

use super::{
    body::{Piece, pieces},
    frame::{Layout, Part},
    layout::{Moment, link, now, roughly},
    problem::{Problem, render},
    row::{Row, rows},
    source::{App, Shown},
};

/// Maximum number of the entity's deliveries that are checked for repetitions.
const LOOKED_THROUGH: u16 = 200;

/// Why a delivery is held.
const HELD: &str = "It came with an accepted token from an address that is not on the stack's list (AllowedSourceIps).";

/// The query of the link.
#[derive(Deserialize)]
pub struct Which {
    id: String,
}

#[derive(Template)]
#[template(path = "delivery.html")]
struct Page {
    layout: Layout,
    row: Row,
    source_ip: String,
    request_id: String,
    fingerprint: String,
    duplicate_of: Option<Other>,
    repeats: Vec<Other>,
    /// True when more may exist.
    more_repeats: bool,
    /// The deduplication window.
    window: String,
    cause: Option<String>,
    /// Why the event has no kind.
    no_kind: Option<&'static str>,
    body_bytes: Option<u64>,
    content_type: Option<String>,
    content_encoding: Option<String>,
    body: Vec<Piece>,
    /// The body on one line, to copy.
    raw: Option<String>,
    has_sealed: bool,
    curl: Option<String>,
    show: String,
    /// The commands that show the bytes of a quarantined delivery, and release it.
    quarantine: Option<(String, String)>,
    /// True when the page itself can do so.
    has_actions: bool,
}

/// A delivery with the same body.
struct Other {
    id: String,
    short: String,
    link: String,
    time: Moment,
    /// Its distance in time, such as "5 min earlier".
    apart: String,
}

impl Other {
    fn of(id: &EventId, this: &StoredDelivery, now: Timestamp) -> Self {
        let time = id.received_at();
        let apart = match time > this.received_at {
            true => format!("{} later", roughly(time.since(this.received_at))),
            false => format!("{} earlier", roughly(this.received_at.since(time))),
        };
        let (id, short) = (id.to_string(), short(id));
        Self { link: link("delivery", &[("id", &id)]), time: Moment::new(time, now), apart, id, short }
    }
}

/// The page. The end of an id leads to the delivery that has it.
pub async fn page(State(shown): App, Query(Which { id }): Query<Which>) -> Result<Response, Problem> {
    let because = |why: &str| format!("{:?}: {why}.", plain(&id));
    let id = match id.parse().map_err(|why| Problem::Unclear(because(why)))? {
        TypedId::Whole(id) => id,
        end => match end.find(&shown.source.reader, now()).await {
            Ok(id) => return Ok(Redirect::to(&link("delivery", &[("id", &id.to_string())])).into_response()),
            Err(FindIdError::NotOne(why)) => return Err(Problem::NotFound(because(&why))),
            Err(FindIdError::Store(error)) => return Err(error.into()),
        },
    };
    let Some(delivery) = shown.source.reader.delivery(&id).await? else {
        return Err(Problem::NotFound(format!("There is no delivery {id}. If it came just now, reload.")));
    };
    let (repeats, more_repeats) = repeats(&shown, &delivery).await?;
    let now = now();
    let other = |id: &EventId| Other::of(id, &delivery, now);
    let arguments = &shown.source.arguments;
    let row = rows(&shown.source, std::slice::from_ref(&delivery), now).await?.remove(0);
    let body = delivery.body.as_deref().map(pieces).unwrap_or_default();
    let raw = delivery.body.as_deref().map(json::compact);
    Ok(render(&Page {
        layout: Layout::of(&shown, Part::Deliveries).await,
        source_ip: plain(&delivery.source_ip),
        request_id: plain(&delivery.request_id),
        duplicate_of: delivery.duplicate_of.as_ref().map(other),
        repeats: repeats.iter().map(other).collect(),
        more_repeats,
        window: roughly(shown.source.dedup_window),
        cause: if row.is_held { Some(HELD.to_owned()) } else { delivery.cause.as_deref().map(plain) },
        no_kind: Kind::of(&delivery.kind).why_unnamed(),
        quarantine: row.is_quarantined.then(|| {
            let command = |action| format!("cargo hooks quarantine {action}{arguments}");
            (command(format!("show {id} --raw")), command(format!("retry {id}")))
        }),
        has_actions: shown.source.actions.is_some(),
        content_type: delivery.content_type.as_deref().map(plain),
        content_encoding: delivery.content_encoding.as_deref().map(plain),
        body_bytes: delivery.body_bytes,
        has_sealed: body.iter().any(Piece::is_sealed),
        body,
        curl: raw.as_deref().map(curl),
        raw,
        show: format!("cargo hooks show {id}{arguments}"),
        fingerprint: delivery.fingerprint,
        row,
    }))
}

/// Returns the deliveries that repeat one, oldest first, and whether more may exist.
async fn repeats(shown: &Shown, delivery: &StoredDelivery) -> Result<(Vec<EventId>, bool), Problem> {
    if delivery.duplicate_of.is_some() || delivery.body.is_none() {
        return Ok((Vec::new(), false));
    }
    let (at, window) = (delivery.received_at, shown.source.dedup_window);
    // A repetition that was delayed in the queue may have an earlier time than its original.
    let times = at.minus(window)..at.plus(window).plus(std::time::Duration::from_micros(1));
    let listing = Listing { times, order: Order::OldestFirst, after: None, page_size: LOOKED_THROUGH + 1 };
    let history = shown.source.reader.history(&delivery.entity, &listing);
    let (history, more) = first(history, LOOKED_THROUGH.into()).await?;
    let of_this = history.iter().filter(|other| other.duplicate_of == Some(delivery.id));
    Ok((of_this.map(|other| other.id).collect(), more))
}

/// Returns the body as a request for a shell, without the address: it contains the token.
fn curl(body: &str) -> String {
    let quoted: String = body.chars().filter(|character| !json::needs_escape(*character)).collect();
    format!("curl --json '{}' \"$WEBHOOK_URL\"", quoted.replace('\'', r"'\''"))
}
