//! The states of a kind, sorted by their last event.

use askama::Template;
use axum::{
    extract::{Query, State as Extract},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use futures_util::TryStreamExt;
use serde::Deserialize;
use shared::{Integer, Kind, Timestamp, text::plain};
use store::{State, named};

use super::{
    filter::READ_AT_ONCE,
    frame::{Layout, Part},
    layout::{Moment, Place, kind_class, link, now, number_of},
    problem::{Problem, render},
    search::Searched,
    source::App,
};

/// The orders to choose from: name in the link, and label.
const ORDERS: [(&str, &str); 2] = [("newest", "Newest event first"), (OLDEST, "Longest without an event first")];

const OLDEST: &str = "oldest";

/// The query of the link.
#[derive(Clone, Deserialize)]
#[serde(default)]
pub struct Asked {
    kind: String,
    #[serde(alias = "update")]
    status: String,
    /// A part of the number, the name or the reference.
    text: String,
    /// One of [`ORDERS`].
    sort: String,
    /// The number of the page, from 1.
    page: String,
}

impl Default for Asked {
    fn default() -> Self {
        let [kind, status, text, sort, page] = [Kind::Whatsapp.as_str(), "", "", "", ""].map(str::to_owned);
        Self { kind, status, text, sort, page }
    }
}

#[derive(Template)]
#[template(path = "states.html")]
struct Page {
    layout: Layout,
    asked: Asked,
    kinds: Vec<Tab>,
    orders: Vec<Order>,
    /// The error of the field for the update code.
    fault: Option<String>,
    rows: Vec<Row>,
    /// The extent of the page, such as "1 to 50 of 312 states".
    extent: Option<String>,
    first: String,
    next: Option<String>,
    is_first: bool,
}

struct Tab {
    name: String,
    class: &'static str,
    link: String,
    is_current: bool,
}

struct Order {
    value: &'static str,
    name: &'static str,
    is_chosen: bool,
}

struct Row {
    link: String,
    entity: String,
    /// True when the provider no longer lists it.
    is_gone: bool,
    extra_info: Option<String>,
    reference: Option<String>,
    events: u64,
    duplicates: u64,
    last_seen: Moment,
}

/// The page. All states of the kind are read and sorted, and 50 are shown. An invalid update code has its error beside the field.
pub async fn page(Extract(shown): App, Query(asked): Query<Asked>) -> Result<Response, Problem> {
    let (now, source) = (now(), &shown.source);
    let (place, searched) = (Place::read(&asked.page)?, Searched::new(&asked.text));
    let kind = Kind::of(&named::kind(&asked.kind));
    let asked = Asked { kind: kind.to_string(), status: asked.status.trim().to_owned(), ..asked };
    let is_oldest_first = asked.sort == OLDEST;
    let page = Page {
        layout: Layout::of(&shown, Part::States).await,
        kinds: tabs(kind.as_str()),
        orders: ORDERS
            .map(|(value, name)| Order { value, name, is_chosen: (value == OLDEST) == is_oldest_first })
            .into(),
        fault: None,
        rows: Vec::new(),
        extent: None,
        first: asked.link(""),
        next: None,
        is_first: place.is_first(),
        asked,
    };
    let asked = &page.asked;
    let status = match asked.status.as_str() {
        "" => None,
        text => match Integer::parse(text) {
            Some(status) => Some(status),
            None => {
                let fault = format!("{:?} is not a whole number of at most 38 digits.", plain(text));
                return Ok((StatusCode::BAD_REQUEST, render(&Page { fault: Some(fault), ..page })).into_response());
            }
        },
    };
    let states = source.reader.states(&kind, status.as_ref(), READ_AT_ONCE);
    let mut states: Vec<State> = states.try_collect().await?;
    states.retain(|state| searched.is_in(&state.entity, [state.reference(), None]));
    states.sort_by(|a, b| b.last_seen.cmp(&a.last_seen).then_with(|| a.entity.cmp(&b.entity)));
    if is_oldest_first {
        states.reverse();
    }
    let rows = place.of(&states);
    let entities: Vec<_> = rows.iter().map(|state| state.entity.clone()).collect();
    let listed = source.lines.inventory.entities(&entities).await?;
    let is_gone = |state: &State| listed.get(&state.entity)?.as_ref().ok()?.gone_since(Some(state.last_seen));
    Ok(render(&Page {
        rows: rows.iter().map(|state| Row::of(state, is_gone(state).is_some(), now)).collect(),
        extent: Some(place.extent(states.len(), number_of(states.len(), "state", "states"))),
        next: place.next(states.len()).map(|next| asked.link(&next)),
        ..page
    }))
}

impl Asked {
    fn link(&self, page: &str) -> String {
        let Self { kind, status, text, sort, .. } = self;
        link("states", &[("kind", kind), ("status", status), ("text", text), ("sort", sort), ("page", page)])
    }
}

fn tabs(current: &str) -> Vec<Tab> {
    let others = Some(current).filter(|current| !Kind::NAMES.contains(current));
    let tab = |kind: &str| Tab {
        name: plain(kind),
        class: kind_class(kind),
        link: link("states", &[("kind", kind)]),
        is_current: kind == current,
    };
    Kind::NAMES.into_iter().chain(others).map(tab).collect()
}

impl Row {
    fn of(state: &State, is_gone: bool, now: Timestamp) -> Self {
        Self {
            is_gone,
            link: link("entity", &[("name", state.entity.as_str())]),
            entity: plain(state.entity.as_str()),
            extra_info: state.extra_info().map(ToString::to_string),
            reference: state.reference().map(plain),
            events: state.version,
            duplicates: state.duplicates,
            last_seen: Moment::new(state.last_seen, now),
        }
    }
}
