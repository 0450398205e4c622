//! The proof of a line, step by step: pure.

use std::time::Duration;

use shared::{Timestamp, text::plain};
use store::{LineRecord, LineStatus};

use super::{
    layout::{Moment, link},
    line_facts::{Line, LineKey, Onboarding},
};

/// Time without progress after which a line is stuck.
const STUCK: Duration = Duration::from_secs(24 * 60 * 60);

/// A line as a row of a list: its standing in a sentence, and the proof.
pub struct Proof {
    pub link: String,
    pub number: String,
    /// The client's name, as the provider has it.
    pub name: Option<String>,
    pub reference: Option<String>,
    pub client_link: String,
    /// The standing in a word or two, and its style class.
    pub mark: String,
    pub class: &'static str,
    pub sentence: String,
    /// More about the cause, if something is wrong.
    pub cause: Option<String>,
    /// Time since which it has this standing.
    pub since: Option<Moment>,
    pub steps: Vec<Step>,
}

/// A step on the way to a live line.
pub struct Step {
    pub class: &'static str,
    /// The class in a word, for screen readers.
    pub done: &'static str,
    pub text: String,
    pub time: Option<Moment>,
}

/// The standing of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is no longer at the provider.
    Gone(Timestamp),
    /// The stack does not set the lines' webhooks.
    Off,
    /// Its webhook was never checked.
    NotChecked,
    /// The result of the last check.
    Checked(LineStatus),
}

impl Standing {
    fn of(line: &Line, keeps_lines: bool) -> Self {
        match (line.gone_at(), &line.webhook) {
            (Some(at), _) => Self::Gone(at),
            (None, Some(LineRecord { status, .. })) if keeps_lines && *status != LineStatus::Off => {
                Self::Checked(*status)
            }
            (None, _) if keeps_lines => Self::NotChecked,
            (None, _) => Self::Off,
        }
    }

    /// Returns the standing in a word or two, and its style class.
    fn mark(self) -> (String, &'static str) {
        match self {
            Self::Gone(_) => ("gone".to_owned(), "plain"),
            Self::Off => ("off".to_owned(), "plain"),
            Self::NotChecked => ("not checked".to_owned(), "care"),
            Self::Checked(status) => (words(status), class(status)),
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Gone(_) => "The provider no longer lists this line.",
            Self::Off => "This stack does not set the webhooks of lines.",
            Self::NotChecked => "Its webhook has not been checked yet.",
            Self::Checked(status) => match status {
                LineStatus::Live => "Its messages go to your webhook.",
                LineStatus::Empty => "It has no webhook, so its messages are delivered nowhere.",
                LineStatus::Foreign => "Its messages go to another webhook.",
                LineStatus::WrongKey => "The provider refuses its key, so its webhook cannot be read.",
                LineStatus::UnknownNumber => "The provider does not know this number.",
                LineStatus::NoKey => "Its webhook cannot be set: no key has arrived.",
                LineStatus::Unreachable => "The provider did not answer the last check.",
                LineStatus::Off => "This stack does not set the webhooks of lines.",
            },
        }
    }
}

/// Returns a status in a word or two.
pub fn words(status: LineStatus) -> String {
    status.name().replace('_', " ")
}

/// Returns the style class of a status.
pub fn class(status: LineStatus) -> &'static str {
    match status {
        LineStatus::Live => "good",
        LineStatus::Empty | LineStatus::Foreign | LineStatus::WrongKey | LineStatus::UnknownNumber => "bad",
        LineStatus::NoKey | LineStatus::Unreachable => "care",
        LineStatus::Off => "plain",
    }
}

/// Returns whether a line should be live and is not.
pub fn is_problem(line: &Line, keeps_lines: bool) -> bool {
    matches!(Standing::of(line, keeps_lines), Standing::NotChecked | Standing::Checked(_)) && !line.is_live()
}

/// Returns whether a line should be live, and has not been for a day or more.
pub fn is_stuck(line: &Line, keeps_lines: bool, now: Timestamp) -> bool {
    is_problem(line, keeps_lines) && since(line).is_some_and(|since| now.since(since) >= STUCK)
}

/// Returns the time since which the webhook of a line has its standing. A line that was never checked has had it from the start.
fn since(line: &Line) -> Option<Timestamp> {
    let begun = || line.onboarding().at().or_else(|| line.listed.as_ref()?.listed_at);
    line.webhook.as_ref().map(|webhook| webhook.not_live_since.unwrap_or(webhook.since)).or_else(begun)
}

impl Proof {
    /// Returns the proof of a line. `keeps_lines` tells whether the stack sets the webhooks of lines.
    pub fn of(line: &Line, keeps_lines: bool, now: Timestamp) -> Self {
        let standing = Standing::of(line, keeps_lines);
        let (mark, class) = standing.mark();
        let moment = |at| Moment::new(at, now);
        let webhook = line.webhook.as_ref().filter(|_| matches!(standing, Standing::Checked(_)));
        Self {
            link: link("entity", &[("name", line.entity.as_str())]),
            number: plain(line.number()),
            name: line.name().map(plain),
            reference: line.reference().map(plain),
            client_link: link("client", &[("reference", line.reference().unwrap_or_default())]),
            mark,
            class,
            sentence: standing.sentence().to_owned(),
            cause: webhook.and_then(|webhook| webhook.cause.as_deref()).map(plain),
            since: match standing {
                Standing::Gone(at) => Some(moment(at)),
                Standing::Off | Standing::NotChecked => None,
                Standing::Checked(_) => since(line).map(moment),
            },
            steps: vec![
                listed(line, now),
                onboarded(line, now),
                key(line),
                read_back(standing, webhook, now),
                last_event(line, now),
            ],
        }
    }
}

impl Step {
    fn done(text: impl Into<String>, time: Option<Moment>) -> Self {
        Self { class: "done", done: "done", text: text.into(), time }
    }

    fn open(text: impl Into<String>, time: Option<Moment>) -> Self {
        Self { class: "todo", done: "not yet", text: text.into(), time }
    }

    fn bad(text: impl Into<String>, time: Option<Moment>) -> Self {
        Self { class: "wrong", done: "wrong", text: text.into(), time }
    }
}

fn listed(line: &Line, now: Timestamp) -> Step {
    let Some((listed, at)) = line.listed.as_ref().and_then(|listed| Some((listed, listed.listed_at?))) else {
        return Step::open("not in the provider's list yet", None);
    };
    match line.gone_at() {
        Some(at) => Step::bad("gone from the provider's list", Some(Moment::new(at, now))),
        None if listed.is_suspended => Step::bad("suspended at the provider", None),
        None => Step::done("onboarded, in the provider's list since", Some(Moment::new(at, now))),
    }
}

fn onboarded(line: &Line, now: Timestamp) -> Step {
    let onboarding = line.onboarding();
    let at = onboarding.at().map(|at| Moment::new(at, now));
    match onboarding {
        Onboarding::Received(_) => Step::done("event received", at),
        Onboarding::Imported(_) => Step::done("imported from the list", at),
        Onboarding::Rebuilt(_) => Step::done("event missed, and rebuilt from the list", at),
        Onboarding::Waiting => Step::open("no event yet", None),
    }
}

fn key(line: &Line) -> Step {
    let webhook = line.webhook.as_ref();
    match webhook.map(|webhook| webhook.status) {
        Some(LineStatus::WrongKey) => Step::bad("key refused by the provider", None),
        Some(LineStatus::NoKey) => Step::open("no key", None),
        _ if line.listed.as_ref().is_some_and(|listed| listed.key.is_some())
            || webhook.is_some_and(|webhook| webhook.key.is_some())
            || matches!(line.key, LineKey::Sealed { .. }) =>
        {
            Step::done("key sealed", None)
        }
        _ => Step::open("key not used yet", None),
    }
}

fn read_back(standing: Standing, webhook: Option<&LineRecord>, now: Timestamp) -> Step {
    let Some(webhook) = webhook else {
        return match standing {
            Standing::NotChecked => Step::open("webhook not checked yet", None),
            Standing::Gone(_) => Step::open("webhook no longer checked", None),
            Standing::Off | Standing::Checked(_) => Step::open("webhook not set by this stack", None),
        };
    };
    let moment = |at| Moment::new(at, now);
    let url = webhook.url.as_deref().map_or_else(|| "an unknown URL".to_owned(), plain);
    let checked = Some(moment(webhook.checked_at.unwrap_or(webhook.attempted_at)));
    let last_live = match webhook.live_at {
        Some(at) => Step::open("webhook last read back as yours", Some(moment(at))),
        None => Step::open("webhook never read back as yours", None),
    };
    match webhook.status {
        LineStatus::Live => {
            Step::done(format!("own webhook read back at {url}"), webhook.live_at.map(moment).or(checked))
        }
        LineStatus::Empty => Step::bad("webhook read back empty", checked),
        LineStatus::Foreign => Step::bad(format!("webhook read back at {url}"), checked),
        LineStatus::WrongKey
        | LineStatus::NoKey
        | LineStatus::UnknownNumber
        | LineStatus::Unreachable
        | LineStatus::Off => last_live,
    }
}

fn last_event(line: &Line, now: Timestamp) -> Step {
    match &line.state {
        Some(state) => Step::done("last event", Some(Moment::new(state.last_seen, now))),
        None => Step::open("no event yet", None),
    }
}
