//! The page of a line, bot or inbox: its state and history, and for a line also the proof that it is live.

use askama::Template;
use axum::{
    extract::{self, State as Extract},
    response::{IntoResponse, Redirect, Response},
};
use futures_util::{StreamExt, TryStreamExt, future::try_join};
use serde::Deserialize;
use shared::{
    Entity, EventId, Timestamp,
    text::{plain, quoted},
};
use store::{
    DeliveryQuery, LineAction, LineChange, LineStatus, Listing, Order, Quarantine, State, StoreError, StoredDelivery,
    Tracked, first, named,
};

use super::{
    frame::{Layout, Part},
    layout::{Moment, PAGE, kind_class, link, now, roughly, sentence},
    line_facts::{LineKey, is_line},
    line_proof::{Proof, class},
    problem::{Problem, render},
    row::{Row, rows},
    source::{App, Shown},
    timeline::{Change, Step, steps},
};

/// Older deliveries that are read to compare the last ones of a page with.
const COMPARED_WITH: u16 = 10;

/// Maximum number of changes of a line's webhook that are listed.
const CHANGES: u16 = 20;

/// The query of the link.
#[derive(Deserialize)]
pub struct Which {
    name: String,
    #[serde(default)]
    after: String,
}

#[derive(Template)]
#[template(path = "entity.html")]
struct Page {
    layout: Layout,
    name: String,
    /// Of a line.
    line: Option<LineView>,
    state: Option<StateView>,
    entries: Vec<Entry>,
    newest: String,
    older: Option<String>,
    is_first: bool,
    show: String,
}

/// The proof of a line, and the changes of its webhook.
struct LineView {
    proof: Proof,
    /// Newest first.
    changes: Vec<WebhookChange>,
    /// True when there are older changes.
    is_cut: bool,
    show: String,
}

/// A change of a line's webhook.
struct WebhookChange {
    time: Moment,
    from: Option<String>,
    to: String,
    class: &'static str,
    is_set: bool,
    url: Option<String>,
    cause: Option<String>,
    /// The period in which it pointed nowhere or elsewhere: its ends, and its duration.
    not_live: Option<(Moment, Moment, String)>,
}

struct StateView {
    kind_class: &'static str,
    version: u64,
    duplicates: u64,
    first_seen: Moment,
    last_seen: Moment,
    /// Time since which the provider no longer lists it.
    gone_at: Option<Moment>,
    extra_info: Option<String>,
    reference: Option<String>,
    reference_link: String,
    fields: Vec<Field>,
}

/// A field with its last value.
struct Field {
    name: String,
    is_update: bool,
    is_undocumented: bool,
    value: String,
    /// The delivery that set it.
    set_by: Option<(String, Moment)>,
}

/// A delivery in the history.
struct Entry {
    row: Row,
    step: Step,
}

/// The page.
pub async fn page(Extract(shown): App, extract::Query(which): extract::Query<Which>) -> Result<Response, Problem> {
    let now = now();
    let entity = Entity::named(which.name);
    if Quarantine::is_entity(entity.as_str()) {
        return Err(not_found(&entity));
    }
    let inventory = &shown.source.lines.inventory;
    let (state, listed) = try_join(shown.source.reader.state(&entity), inventory.entity(&entity)).await?;
    let (history, next) = history(&shown, &entity, &which.after, now).await?;
    let line = match is_line(&entity) {
        true => LineView::read(&shown, &entity, &history, which.after.is_empty(), now).await?,
        false => None,
    };
    if state.is_none() && history.is_empty() && line.is_none() {
        return meant(&shown, entity.as_str()).await;
    }
    // Deliveries expire, and the state does not.
    let has_first = |state: &State| history.last().is_some_and(|oldest| oldest.received_at <= state.first_seen);
    let is_whole = next.is_none() && state.as_ref().is_none_or(has_first);
    let steps = steps(&history, usize::from(PAGE), is_whole);
    let rows = rows(&shown.source, &history[..steps.len()], now).await?;
    let entries = rows.into_iter().zip(steps).map(|(row, step)| Entry { row, step });
    Ok(render(&Page {
        layout: Layout::of(&shown, if line.is_some() { Part::Lines } else { Part::States }).await,
        name: plain(entity.as_str()),
        line,
        state: state.map(|state| StateView::of(&state, listed.as_ref(), now)),
        entries: entries.collect(),
        newest: link("entity", &[("name", entity.as_str())]),
        older: next.map(|next| link("entity", &[("name", entity.as_str()), ("after", &next.to_string())])),
        is_first: which.after.is_empty(),
        show: format!("cargo hooks state {}{}", quoted(entity.as_str()), shown.source.arguments),
    }))
}

fn not_found(entity: &Entity) -> Problem {
    Problem::NotFound(format!("There is no entity {}: no event has named it.", plain(entity.as_str())))
}

/// Leads from a number or a reference to the page of its entity, or of its client.
async fn meant(shown: &Shown, typed: &str) -> Result<Response, Problem> {
    let named = named::entities(&shown.source.reader, typed).await?;
    let page = if named.share_reference() {
        link("client", &[("reference", typed)])
    } else {
        let entity = named.only(typed, "entity", "").map_err(|why| Problem::NotFound(sentence(&why)))?;
        link("entity", &[("name", entity.as_str())])
    };
    Ok(Redirect::to(&page).into_response())
}

/// Returns a page of the history with some deliveries to compare with, and the start of the next page.
async fn history(
    shown: &Shown,
    entity: &Entity,
    after: &str,
    now: Timestamp,
) -> Result<(Vec<StoredDelivery>, Option<EventId>), Problem> {
    let times = Timestamp::from_micros(0)..now.plus(DeliveryQuery::CLOCK_AHEAD);
    let after = match after {
        "" => None,
        after => Some(after.parse().map_err(|_| Problem::wrong_place())?),
    };
    let page_size = PAGE + COMPARED_WITH;
    let listing = Listing { times, order: Order::NewestFirst, after, page_size };
    let history = shown.source.reader.history(entity, &listing).take(page_size.into());
    let history: Vec<StoredDelivery> = history.try_collect().await?;
    let is_more = history.len() > usize::from(PAGE);
    let next = history.get(usize::from(PAGE) - 1).filter(|_| is_more).map(|last| last.id);
    Ok((history, next))
}

impl LineView {
    /// Reads the proof of a line; `None` when nothing is known about it. It does not look for the sealed key: a whole history shows whether
    /// an event had one.
    async fn read(
        shown: &Shown,
        entity: &Entity,
        history: &[StoredDelivery],
        is_newest: bool,
        now: Timestamp,
    ) -> Result<Option<Self>, StoreError> {
        let source = &shown.source;
        let times = Timestamp::from_micros(0)..now.plus(DeliveryQuery::CLOCK_AHEAD);
        let listing = Listing { times, order: Order::NewestFirst, after: None, page_size: CHANGES + 1 };
        let changes = first(source.lines.lines.history(entity, &listing), CHANGES.into());
        let (line, (changes, is_cut)) = try_join(source.lines.one(entity), changes).await?;
        let Some(mut line) = line else { return Ok(None) };
        if let Some(event) = history.iter().find(|delivery| delivery.has_api_key).filter(|_| is_newest) {
            line.key = LineKey::Sealed { received_at: event.received_at };
        } else if !line.has_used_key() {
            let recorded = line.state.as_ref().map_or(0, |state| state.version + state.duplicates);
            if u64::try_from(history.len()) == Ok(recorded) {
                line.key = LineKey::Missing;
            }
        }
        Ok(Some(Self {
            proof: Proof::of(&line, now),
            changes: changes.iter().map(|change| WebhookChange::of(change, now)).collect(),
            is_cut,
            show: format!("cargo hooks line {}{}", quoted(line.number()), source.arguments),
        }))
    }
}

impl WebhookChange {
    fn of(change: &LineChange, now: Timestamp) -> Self {
        Self {
            time: Moment::new(change.id.received_at(), now),
            from: change.from.map(LineStatus::in_words),
            to: change.to.in_words(),
            class: class(change.to),
            is_set: change.action == LineAction::Set,
            url: change.url.as_deref().map(plain),
            cause: change.cause.as_deref().map(plain),
            not_live: change.not_live.as_ref().map(|period| {
                let lasted = roughly(period.end.since(period.start));
                (Moment::new(period.start, now), Moment::new(period.end, now), lasted)
            }),
        }
    }
}

impl StateView {
    fn of(state: &State, listed: Option<&Tracked>, now: Timestamp) -> Self {
        let gone_at = listed.and_then(|listed| listed.gone_since(Some(state.last_seen)));
        let field = |(name, value): (&String, &shared::Value)| Field {
            is_update: name.ends_with("_extra_info"),
            is_undocumented: name.starts_with("other."),
            value: plain(&value.to_string()),
            set_by: state
                .set_by(name)
                .map(|id| (link("delivery", &[("id", &id.to_string())]), Moment::new(id.received_at(), now))),
            name: plain(name),
        };
        Self {
            kind_class: kind_class(&state.kind),
            version: state.version,
            duplicates: state.duplicates,
            first_seen: Moment::new(state.first_seen, now),
            last_seen: Moment::new(state.last_seen, now),
            gone_at: gone_at.map(|at| Moment::new(at, now)),
            extra_info: state.extra_info().map(ToString::to_string),
            reference: state.reference().map(plain),
            reference_link: link("client", &[("reference", state.reference().unwrap_or_default())]),
            fields: state.fields.iter().map(field).collect(),
        }
    }
}
