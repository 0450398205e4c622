//! The lines, problems first, each with a sentence and its proof.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use serde::Deserialize;

use super::{
    layout::{Layout, PAGE, Part, link, now, number_of},
    line_facts::Line,
    line_proof::Proof,
    problem::{Problem, render},
    source::App,
};

/// The lists to choose from: name in the link, and label.
const SHOWN: [(&str, &str); 4] =
    [("", "All"), ("not-live", "Not live"), ("day", "Not live for a day"), ("live", "Live")];

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
    let text = asked.text.trim().to_lowercase();
    let mut lines = source.lines.all().await?;
    lines.retain(|line| text.is_empty() || has(line, &text));
    let number: usize = match asked.page.trim() {
        "" => 1,
        page => page.parse().ok().filter(|page| *page > 0).ok_or_else(Problem::wrong_place)?,
    };
    let is_in = |line: &Line, show: &str| match show {
        "not-live" => line.is_problem(),
        "day" => line.is_not_live_for_a_day(now),
        "live" => line.is_live() && line.gone_at().is_none(),
        _ => true,
    };
    let tabs = SHOWN.map(|(show, name)| Tab {
        name,
        number: lines.iter().filter(|line| is_in(line, show)).count(),
        link: Asked { show: show.to_owned(), page: String::new(), ..asked.clone() }.link(),
        is_current: show == asked.show,
    });
    lines.retain(|line| is_in(line, &asked.show));
    let (size, start) = (usize::from(PAGE), (number - 1).saturating_mul(PAGE.into()));
    let rows: Vec<Proof> = lines.iter().skip(start).take(size).map(|line| Proof::of(line, now)).collect();
    let all = number_of(lines.len(), "line", "lines");
    let next = (start.saturating_add(size) < lines.len()).then(|| (number + 1).to_string());
    Ok(render(&Page {
        layout: Layout::of(&shown, Part::Lines),
        keeps_lines,
        tabs: tabs.into(),
        extent: if rows.len() == lines.len() {
            all
        } else {
            format!("{} to {} of {all}", start + 1, start + rows.len())
        },
        rows,
        is_first: number == 1,
        next: next.map(|page| Asked { page, ..asked.clone() }.link()),
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

/// Returns whether the number, the reference or the name of a line contains a text in lower case.
fn has(line: &Line, text: &str) -> bool {
    [Some(line.entity.as_str()), line.reference(), line.name()]
        .into_iter()
        .flatten()
        .any(|place| place.to_lowercase().contains(text))
}
