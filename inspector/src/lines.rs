//! The lines, problems first, each with a sentence and its proof.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use serde::Deserialize;
use shared::text::plain;

use super::{
    frame::{Layout, Part},
    layout::{Place, link, now, number_of},
    line_facts::{Line, LineList},
    line_proof::Proof,
    problem::{Problem, render},
    search::Searched,
    source::App,
};

/// The lists to choose from: name in the link, and label.
const SHOWN: [(&str, &str); 5] =
    [("", "All"), ("not-live", "Not live"), ("day", "Not live for a day"), ("live", "Live"), (GONE, "Gone")];

const GONE: &str = "gone";

/// The query of the link.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// One of [`SHOWN`].
    show: String,
    /// A part of the reference, the number or the client's name.
    text: String,
    /// The number of the page, from 1.
    page: String,
}

#[derive(Template)]
#[template(path = "lines.html")]
struct Page {
    layout: Layout,
    asked: Asked,
    keeps_lines: bool,
    tabs: Vec<Tab>,
    rows: Vec<Proof>,
    /// The faults of the lines that are left out.
    unreadable: Vec<String>,
    /// The extent of the page, such as "1 to 50 of 312 lines".
    extent: String,
    is_first: bool,
    next: Option<String>,
    /// The commands that list the same lines, and the clients in onboarding.
    command: String,
    stuck: String,
}

struct Tab {
    name: &'static str,
    number: usize,
    link: String,
    is_current: bool,
}

/// The page. All lines are read and sorted, and 50 are shown.
pub async fn page(State(shown): App, Query(asked): Query<Asked>) -> Result<Response, Problem> {
    let (now, source) = (now(), &shown.source);
    let keeps_lines = source.lines.keeps_lines;
    let (place, searched) = (Place::read(&asked.page)?, Searched::new(&asked.text));
    let LineList { mut lines, unreadable } = source.lines.all().await?;
    lines.retain(|line| searched.is_in(&line.entity, [line.reference(), line.name()]));
    let is_in = |line: &Line, show: &str| match show {
        "not-live" => line.is_problem(),
        "day" => line.is_not_live_for_a_day(now),
        "live" => line.is_live() && line.gone_at().is_none(),
        GONE => line.gone_at().is_some(),
        _ => true,
    };
    // Lines whose webhooks are not set are neither live nor not.
    let shown_tabs = SHOWN.into_iter().filter(|(show, _)| keeps_lines || ["", GONE].contains(show));
    let tabs = shown_tabs.map(|(show, name)| Tab {
        name,
        number: lines.iter().filter(|line| is_in(line, show)).count(),
        link: Asked { show: show.to_owned(), page: String::new(), ..asked.clone() }.link(),
        is_current: show == asked.show,
    });
    let tabs = tabs.collect();
    lines.retain(|line| is_in(line, &asked.show));
    Ok(render(&Page {
        layout: Layout::of(&shown, Part::Lines).await,
        keeps_lines,
        tabs,
        extent: place.extent(lines.len(), number_of(lines.len(), "line", "lines")),
        rows: place.of(&lines).iter().map(|line| Proof::of(line, now)).collect(),
        unreadable: unreadable.values().map(|fault| plain(&fault.to_string())).collect(),
        is_first: place.is_first(),
        next: place.next(lines.len()).map(|page| Asked { page, ..asked.clone() }.link()),
        command: format!("cargo hooks lines{}", source.arguments),
        stuck: format!("cargo hooks lines --stuck{}", source.arguments),
        asked,
    }))
}

impl Asked {
    fn link(&self) -> String {
        link("lines", &[("show", &self.show), ("text", &self.text), ("page", &self.page)])
    }

    /// The first page of the same list.
    fn first(&self) -> String {
        Self { page: String::new(), ..self.clone() }.link()
    }

    fn is_narrowed(&self) -> bool {
        !self.show.is_empty() || !self.text.trim().is_empty()
    }
}
