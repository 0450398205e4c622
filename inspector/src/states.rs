//! The states of a kind.

use askama::Template;
use axum::{
    extract::{Query, State as Extract},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use shared::{Integer, Kind, Timestamp, text::plain};
use store::{Cursor, State, first, named};

use super::{
    layout::{Layout, Moment, PAGE, Part, kind_class, link, now},
    problem::{Problem, render},
    source::App,
};

/// The query of the link.
#[derive(Deserialize)]
#[serde(default)]
pub struct Which {
    kind: String,
    status: String,
    after: String,
}

impl Default for Which {
    fn default() -> Self {
        Self { kind: Kind::Whatsapp.to_string(), status: String::new(), after: String::new() }
    }
}

#[derive(Template)]
#[template(path = "states.html")]
struct Page {
    layout: Layout,
    kinds: Vec<Tab>,
    kind: String,
    status: String,
    /// The error of the field for the update code.
    fault: Option<String>,
    rows: Vec<Row>,
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

struct Row {
    link: String,
    entity: String,
    extra_info: Option<String>,
    reference: Option<String>,
    events: u64,
    duplicates: u64,
    last_seen: Moment,
}

/// The page. An invalid update code has its error beside the field.
pub async fn page(Extract(shown): App, Query(which): Query<Which>) -> Result<Response, Problem> {
    let now = now();
    let after: Option<Cursor> = match which.after.as_str() {
        "" => None,
        after => Some(after.parse().map_err(|_| Problem::wrong_place())?),
    };
    let kind = Kind::of(&named::kind(&which.kind));
    let here = |after: &str| link("states", &[("kind", kind.as_str()), ("status", &which.status), ("after", after)]);
    let page = Page {
        layout: Layout::of(&shown, Part::States),
        kinds: tabs(kind.as_str()),
        kind: plain(kind.as_str()),
        status: plain(which.status.trim()),
        fault: None,
        rows: Vec::new(),
        first: here(""),
        next: None,
        is_first: after.is_none(),
    };
    let status = match which.status.trim() {
        "" => None,
        text => match Integer::parse(text) {
            Some(status) => Some(status),
            None => {
                let fault = format!("{:?} is not a whole number of at most 38 digits.", plain(text));
                return Ok((StatusCode::BAD_REQUEST, render(&Page { fault: Some(fault), ..page })).into_response());
            }
        },
    };
    let states = shown.source.reader.states(&kind, status.as_ref(), after.as_ref(), PAGE + 1);
    let (states, more) = first(states, PAGE.into()).await?;
    let next = states.last().filter(|_| more).map(|last| here(&Cursor::after(last).to_string()));
    Ok(render(&Page { rows: states.iter().map(|state| Row::of(state, now)).collect(), next, ..page }))
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
    fn of(state: &State, now: Timestamp) -> Self {
        Self {
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
