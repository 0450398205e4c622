//! The banner that every page has while our URL is not registered, or nobody knows whether it is.

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

/// Where the events go, if not to our webhook.
#[derive(Template)]
#[template(path = "banner.html")]
pub struct Banner {
    /// The receiver of the events; `None` when it is not known.
    receiver: Option<String>,
    since: Option<Moment>,
    checked: Option<Moment>,
    /// Cause of the failure of the last check.
    failure: Option<String>,
}

impl Banner {
    /// Reads the registration; `None` while our URL is registered, and before the first check.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer, or the item cannot be read.
    pub async fn read(shown: &Shown) -> Result<Option<Self>, StoreError> {
        let registration = shown.source.ledger.read().await?;
        let now = now();
        let moment = |time| Moment::new(time, now);
        let is_new = registration.checked_at.is_none() && registration.failing_since.is_none();
        let receiver = match registration.whereabouts_at(now) {
            Whereabouts::Ours => return Ok(None),
            Whereabouts::Unknown if is_new => return Ok(None),
            Whereabouts::Unknown => None,
            Whereabouts::Nowhere | Whereabouts::Elsewhere => Some(plain(&receiver(registration.registered.as_deref()))),
        };
        Ok(Some(Self {
            receiver,
            since: registration.elsewhere_since.map(moment),
            checked: registration.checked_at.map(moment),
            failure: registration.failure.as_deref().map(plain),
        }))
    }
}

/// The banner alone, for open pages. Empty when there is none.
pub async fn fragment(State(shown): App) -> Result<Response, Problem> {
    Ok(match Banner::read(&shown).await? {
        Some(banner) => render(&banner),
        None => Response::default(),
    })
}
