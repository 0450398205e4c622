//! The registered URL, and the registration's ledger.

use std::time::Duration;

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use serde::Deserialize;
use shared::{
    Timestamp,
    human_time::{minutes, to_the_second},
    text::plain,
};
use store::{Change, Registration, RegistrationStatus, Whereabouts};

use super::{
    frame::{Layout, Part},
    layout::{Moment, link, now, roughly},
    ledger_bar::{Stretch, stretches},
    problem::{Problem, render},
    registration_facts::registration_facts,
    source::App,
};

/// The periods to choose from: name in the link, label, hours.
const TIMES: [(&str, &str, u64); 3] = [("24h", "24 hours", 24), ("7d", "7 days", 7 * 24), ("30d", "30 days", 30 * 24)];

/// Entries before the period that are read to know where the webhook pointed at its start.
const BEFORE: u16 = 20;

/// Maximum number of entries.
const LISTED: usize = 200;

/// The query of the link.
#[derive(Deserialize)]
pub struct Which {
    #[serde(default)]
    time: String,
}

#[derive(Template)]
#[template(path = "registration.html")]
struct Page {
    layout: Layout,
    is_local: bool,
    headline: Headline,
    facts: Vec<(&'static str, String)>,
    times: Vec<Tab>,
    time_name: &'static str,
    stretches: Vec<Stretch>,
    not_ours: String,
    /// True when there was such a period.
    has_gap: bool,
    entries: Vec<Entry>,
    in_all: usize,
    status: String,
}

struct Tab {
    name: &'static str,
    link: String,
    is_current: bool,
}

struct Entry {
    time: Moment,
    what: String,
    class: &'static str,
    cause: Option<String>,
    action: String,
    registered: String,
    not_ours: Option<(Moment, Moment, String)>,
}

/// The page.
pub async fn page(State(shown): App, Query(which): Query<Which>) -> Result<Response, Problem> {
    let now = now();
    let (name, time_name, hours) = TIMES.into_iter().find(|(name, ..)| *name == which.time).unwrap_or(TIMES[0]);
    let start = now.minus(Duration::from_secs(hours * 3_600));
    let status = RegistrationStatus::read(&shown.source.ledger, start..now, BEFORE).await?;
    let entries: Vec<Entry> = status.in_time().take(LISTED).map(|change| Entry::of(change, now)).collect();
    let tab = |(tab, tab_name, _)| Tab {
        name: tab_name,
        link: link("registration", &[("time", tab)]),
        is_current: tab == name,
    };
    Ok(render(&Page {
        layout: Layout::of(&shown, Part::Registration).await,
        is_local: shown.source.actions.is_some(),
        headline: Headline::of(&status),
        facts: registration_facts(&status, to_the_second)
            .into_iter()
            .map(|(name, fact)| (name, plain(&fact)))
            .collect(),
        times: TIMES.into_iter().map(tab).collect(),
        time_name,
        stretches: stretches(&status.segments(), now),
        not_ours: minutes(status.not_ours()),
        has_gap: !status.not_ours().is_zero(),
        in_all: status.in_time().count(),
        entries,
        status: format!("cargo hooks webhook status --since {name}{}", shown.source.arguments),
    }))
}

/// What the page says first.
struct Headline {
    text: &'static str,
    class: &'static str,
}

impl Headline {
    fn of(status: &RegistrationStatus) -> Self {
        let whereabouts = status.present();
        let text = match whereabouts {
            Whereabouts::Ours => "Your webhook receives the events",
            Whereabouts::Elsewhere => "Another URL receives the events",
            Whereabouts::Nowhere => "Nobody receives the events: no URL is registered",
            Whereabouts::Unknown => match status.registration() {
                Registration { failing_since: Some(_), .. } => "Not known: the checks fail",
                Registration { checked_at: Some(_), .. } => "Not known: nothing has checked for more than a day",
                _ => "Not checked yet",
            },
        };
        Self { text, class: whereabouts.name() }
    }
}

impl Entry {
    fn of(change: &Change, now: Timestamp) -> Self {
        use store::ChangeKind::{
            Contested, Drift, Failed, NotVerified, Registered, Repaired, Restored, Returned, Rotated, Set,
        };
        let not_ours = change.not_ours.as_ref().map(|window| {
            let lasted = roughly(window.end.since(window.start));
            (Moment::new(window.start, now), Moment::new(window.end, now), lasted)
        });
        Self {
            time: Moment::new(change.at, now),
            what: change.kind.name().replace('_', " "),
            class: match change.kind {
                Registered | Repaired | Returned | Rotated => "good",
                Drift | Contested | Failed | NotVerified => "bad",
                Set | Restored => "plain",
            },
            cause: change.cause.as_deref().map(plain),
            action: plain(&change.action),
            registered: change.registered.as_deref().map_or_else(|| "nothing".to_owned(), plain),
            not_ours,
        }
    }
}
