//! The banner that every page has while our URL is not registered.

use askama::Template;
use axum::{extract::State, response::Response};
use shared::text::plain;
use store::{StoreError, Whereabouts};

use super::{
    layout::{Moment, now},
    problem::{Problem, render},
    registration_facts::receiver,
    source::{App, Shown},
};

/// The receiver of the events in place of our webhook.
#[derive(Template)]
#[template(path = "banner.html")]
pub struct Banner {
    receiver: String,
    since: Option<Moment>,
    checked: Option<Moment>,
}

impl Banner {
    /// Reads the registration; `None` while our URL is registered, and before the first check.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer, or the item cannot be read.
    pub async fn read(shown: &Shown) -> Result<Option<Self>, StoreError> {
        let registration = shown.source.ledger.read().await?;
        Ok(match registration.whereabouts() {
            Whereabouts::Unknown | Whereabouts::Ours => None,
            Whereabouts::Nowhere | Whereabouts::Elsewhere => Some(Self {
                receiver: plain(&receiver(registration.registered.as_deref())),
                since: registration.elsewhere_since.map(|since| Moment::new(since, now())),
                checked: registration.checked_at.map(|at| Moment::new(at, now())),
            }),
        })
    }
}

/// The banner alone, for open pages. Empty when there is none.
pub async fn fragment(State(shown): App) -> Result<Response, Problem> {
    Ok(match Banner::read(&shown).await? {
        Some(banner) => render(&banner),
        None => Response::default(),
    })
}
