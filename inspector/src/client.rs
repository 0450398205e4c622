//! The page of a client: all entities with one of the partner's references.

use askama::Template;
use axum::{
    extract::{Query, State as Extract},
    response::Response,
};
use futures_util::future::try_join;
use serde::Deserialize;
use shared::{
    Timestamp,
    text::{plain, quoted},
};
use store::{State, first, named};

use super::{
    frame::{Layout, Part},
    layout::{Moment, kind_class, link, now},
    line_facts::is_line,
    line_proof::Proof,
    problem::{Problem, render},
    source::App,
};

/// Maximum number of entities that are listed.
const LISTED: u16 = 200;

/// The query of the link.
#[derive(Deserialize)]
pub struct Which {
    reference: String,
}

#[derive(Template)]
#[template(path = "client.html")]
struct Page {
    layout: Layout,
    reference: String,
    proofs: Vec<Proof>,
    others: Vec<Other>,
    /// The faults of its lines that are left out.
    unreadable: Vec<String>,
    /// True when more entities have the reference.
    is_cut: bool,
    deliveries: String,
    show: String,
}

/// An entity that is not a line.
struct Other {
    link: String,
    entity: String,
    kind: String,
    kind_class: &'static str,
    extra_info: Option<String>,
    /// True when the provider no longer lists it.
    is_gone: bool,
    events: u64,
    last_seen: Moment,
}

/// The page.
pub async fn page(Extract(shown): App, Query(Which { reference }): Query<Which>) -> Result<Response, Problem> {
    let (now, source) = (now(), &shown.source);
    if reference.is_empty() {
        return Err(Problem::Unclear("The reference is empty.".to_owned()));
    }
    let (states, is_cut) = first(source.reader.states_by_reference(&reference, LISTED + 1), LISTED.into()).await?;
    if states.is_empty() {
        let suggestion = named::entities(&source.reader, &reference).await?.suggestion();
        let end = suggestion.map_or_else(|| ".".to_owned(), |suggestion| format!("; {suggestion}"));
        let reference = plain(&reference);
        return Err(Problem::NotFound(format!("No line, bot or inbox has the reference {reference}{end}")));
    }
    let (lines, others): (Vec<State>, Vec<State>) = states.into_iter().partition(|state| is_line(&state.entity));
    let entities: Vec<_> = others.iter().map(|state| state.entity.clone()).collect();
    let lines = lines.into_iter().map(Ok).collect();
    let (lines, listed) = try_join(source.lines.of_states(lines), source.lines.inventory.entities(&entities)).await?;
    let is_gone = |state: &State| listed.get(&state.entity)?.as_ref().ok()?.gone_since(Some(state.last_seen));
    Ok(render(&Page {
        layout: Layout::of(&shown, Part::Lines).await,
        unreadable: lines.unreadable.values().map(|fault| plain(&fault.to_string())).collect(),
        proofs: lines.lines.iter().map(|line| Proof { client_link: None, ..Proof::of(line, now) }).collect(),
        others: others.iter().map(|state| Other::of(state, is_gone(state).is_some(), now)).collect(),
        is_cut,
        deliveries: link("./", &[("reference", &reference), ("since", "30d")]),
        show: format!("cargo hooks events --reference {} --since 30d{}", quoted(&reference), source.arguments),
        reference: plain(&reference),
    }))
}

impl Other {
    fn of(state: &State, is_gone: bool, now: Timestamp) -> Self {
        Self {
            is_gone,
            link: link("entity", &[("name", state.entity.as_str())]),
            entity: plain(state.entity.as_str()),
            kind: plain(&state.kind),
            kind_class: kind_class(&state.kind),
            extra_info: state.extra_info().map(ToString::to_string),
            events: state.version,
            last_seen: Moment::new(state.last_seen, now),
        }
    }
}
