//! The events that the partner's endpoint has not accepted: those that wait, and the dead letters.

use askama::Template;
use axum::{extract::State, response::Response};
use shared::{Timestamp, text::plain};
use store::ForwardFailure;

use super::{
    frame::{Layout, Part},
    layout::{Moment, link, now},
    problem::{Problem, render},
    row::Forwarding,
    source::App,
};

/// Maximum number of failures that are listed. One query reads them.
const LISTED: u16 = 200;

#[derive(Template)]
#[template(path = "forwarding.html")]
struct Page {
    layout: Layout,
    /// Number of refused events that are tried again.
    refused: usize,
    dead_letters: usize,
    rows: Vec<Row>,
    /// True when older failures are not listed.
    is_cut: bool,
    status: String,
    redrive: String,
    /// The command for the signing secret, if the endpoint seems to verify with another one.
    secret: Option<String>,
}

struct Row {
    link: String,
    received: Moment,
    entity: String,
    entity_link: String,
    attempts: u32,
    last_attempt: Moment,
    next_attempt: Option<Moment>,
    answer: String,
    forwarding: Forwarding,
}

/// The page.
pub async fn page(State(shown): App) -> Result<Response, Problem> {
    let Some(records) = &shown.source.forward_records else {
        return Err(Problem::NotFound("There is no forwarder: no event is posted to an endpoint.".to_owned()));
    };
    let now = now();
    let mut failures = records.failures(LISTED + 1).await?;
    let is_cut = failures.len() > usize::from(LISTED);
    failures.truncate(LISTED.into());
    let refused = failures.iter().filter(|failure| failure.next_attempt_at.is_some()).count();
    Ok(render(&Page {
        layout: Layout::of(&shown, Part::Forwarding).await,
        refused,
        dead_letters: failures.len() - refused,
        secret: failures
            .iter()
            .any(ForwardFailure::suggests_wrong_secret)
            .then(|| format!("cargo hooks forward secret{}", shown.source.arguments)),
        rows: failures.into_iter().map(|failure| Row::of(failure, now)).collect(),
        is_cut,
        status: format!("cargo hooks forward status{}", shown.source.arguments),
        redrive: format!("cargo hooks dlq redrive --all --queue forward{}", shown.source.arguments),
    }))
}

impl Row {
    fn of(failure: ForwardFailure, now: Timestamp) -> Self {
        Self {
            link: link("delivery", &[("id", &failure.id.to_string())]),
            received: Moment::new(failure.id.received_at(), now),
            entity: plain(failure.entity.as_str()),
            entity_link: link("entity", &[("name", failure.entity.as_str())]),
            attempts: failure.attempts,
            last_attempt: Moment::new(failure.last_attempt_at, now),
            next_attempt: failure.next_attempt_at.map(|at| Moment::new(at, now)),
            answer: plain(&failure.answer),
            forwarding: Forwarding::failed(&failure, now),
        }
    }
}
