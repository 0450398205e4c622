//! The proof of a line, step by step: pure.

use std::time::Duration;

use shared::{Timestamp, text::plain};
use store::{LineRecord, LineStatus};

use super::{
    layout::{Moment, link},
    line_facts::{Line, LineKey, Onboarding},
};

/// A day.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A line as a row of a list: its standing in a sentence, and the proof.
pub struct Proof {
    pub link: String,
    pub number: String,
    /// The client's name, as the provider has it.
    pub name: Option<String>,
    pub reference: Option<String>,
    /// `None` on the client's own page.
    pub client_link: Option<String>,
    /// The standing in a word or two, and its style class.
    pub mark: String,
    pub class: &'static str,
    pub sentence: String,
    /// More about the cause, if something is wrong.
    pub cause: Option<String>,
    /// Time since which it has this standing.
    pub since: Option<Moment>,
    /// The steps with their times.
    pub steps: Vec<(Step, Option<Moment>)>,
}

/// A step on the way to a live line.
pub struct Step {
    pub class: &'static str,
    /// The class in a word, for screen readers.
    pub done: &'static str,
    /// The start of a sentence that the time ends.
    pub text: String,
    at: Option<Timestamp>,
}

impl Line {
    /// Returns the proof that the line is live, or what it lacks, in sentences. `moment` writes the times.
    pub fn proof(&self, moment: &dyn Fn(Timestamp) -> String) -> Vec<String> {
        let since = self.since().map(|since| format!(" Since {}.", moment(since))).unwrap_or_default();
        let cause = self.cause().map(|cause| format!("Cause: {cause}."));
        let sentence = |Step { text, at, .. }: Step| {
            let mut letters = text.chars();
            let first = letters.next().map(|first| first.to_ascii_uppercase());
            let time = at.map(|at| format!(" {}", moment(at))).unwrap_or_default();
            format!("{}{}{time}.", first.map(String::from).unwrap_or_default(), letters.as_str())
        };
        let verdict = format!("{}{since}", self.verdict());
        [Some(verdict), cause].into_iter().flatten().chain(self.steps().into_iter().map(sentence)).collect()
    }

    /// Returns whether it should be live, and has not been for a day or more.
    pub fn is_not_live_for_a_day(&self, now: Timestamp) -> bool {
        self.is_problem() && self.not_live_since().is_some_and(|since| now.since(since) >= DAY)
    }

    /// Returns its standing in a sentence.
    fn verdict(&self) -> String {
        let verdict = match (self.gone_at(), self.status()) {
            (Some(_), _) => "The provider no longer lists this line.",
            (None, None) => "The line webhook has not been checked yet.",
            (None, Some(status)) => match status {
                LineStatus::Live => match self.webhook.as_ref().and_then(|webhook| webhook.url.as_deref()) {
                    Some(url) => return format!("The line webhook is set to your URL: {url}."),
                    None => "The line webhook is set to your URL.",
                },
                LineStatus::Empty => "The line webhook is not set, so the line's messages are delivered nowhere.",
                LineStatus::Foreign => "The line webhook is set to another URL.",
                LineStatus::WrongKey => "The provider refuses the line's key, so the line webhook cannot be read.",
                LineStatus::UnknownNumber if self.checked().is_some_and(|webhook| webhook.checked_at.is_none()) => {
                    "The provider cannot be asked about this line."
                }
                LineStatus::UnknownNumber => "The provider does not know this number.",
                LineStatus::NoKey => "The line webhook cannot be set: no key has arrived.",
                LineStatus::Unreachable => "The provider did not answer the last check.",
                LineStatus::Off => "The lines' own webhooks are not checked: the parameter LineWebhookUrl is empty.",
            },
        };
        verdict.to_owned()
    }

    /// Returns the time since which it has its standing.
    fn since(&self) -> Option<Timestamp> {
        self.gone_at().or_else(|| self.checked().and_then(|_| self.not_live_since()))
    }

    /// Returns the time since which its webhook has its status. A line that was never checked has had it from the start.
    fn not_live_since(&self) -> Option<Timestamp> {
        let begun = || self.onboarding().at().or_else(|| self.listed.as_ref()?.listed_at);
        self.webhook.as_ref().map(|webhook| webhook.not_live_since.unwrap_or(webhook.since)).or_else(begun)
    }

    /// Returns the last check of its webhook, if that still counts.
    fn checked(&self) -> Option<&LineRecord> {
        let is_off = || matches!(self.status(), None | Some(LineStatus::Off));
        self.webhook.as_ref().filter(|_| self.gone_at().is_none() && !is_off())
    }

    fn cause(&self) -> Option<&str> {
        self.checked()?.cause.as_deref()
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = vec![self.listed_step(), self.event_step(), self.key_step()];
        match self.checked() {
            Some(webhook) => steps.extend(webhook_steps(webhook)),
            None if self.gone_at().is_some() => steps.push(Step::open("webhook no longer checked", None)),
            None if self.is_kept => steps.push(Step::open("webhook not checked yet", None)),
            None => steps.push(Step::open("webhook not set by this stack", None)),
        }
        steps.extend(self.state.as_ref().map(|state| Step::done("last event at", state.last_seen)));
        steps
    }

    fn listed_step(&self) -> Step {
        if let Some(at) = self.gone_at() {
            return Step::wrong("gone from the provider's list since", at);
        }
        match self.listed.as_ref().and_then(|listed| Some((listed, listed.listed_at?))) {
            None => Step::open("not in the provider's list yet", None),
            Some((listed, _)) if listed.is_suspended => Step::wrong("suspended at the provider", None),
            Some((_, at)) => Step::done("onboarded, in the provider's list since", at),
        }
    }

    fn event_step(&self) -> Step {
        match self.onboarding() {
            Onboarding::Received(at) => Step::done("first event received at", at),
            Onboarding::Imported(at) => Step::done("older than this stack, imported from the list at", at),
            Onboarding::Rebuilt(at) => Step::done("event missed, and rebuilt from the list at", at),
            Onboarding::Waiting => Step::open("no event yet", None),
        }
    }

    /// Returns whether its key was found sealed, or was used for a check.
    pub fn has_used_key(&self) -> bool {
        self.listed.as_ref().is_some_and(|listed| listed.key.is_some())
            || self.webhook.as_ref().is_some_and(|webhook| webhook.key.is_some())
    }

    fn key_step(&self) -> Step {
        match (self.checked().map(|webhook| (webhook.status, webhook.since)), self.key) {
            (Some((LineStatus::WrongKey, since)), _) => Step::wrong("key refused by the provider since", since),
            (_, LineKey::Sealed { received_at }) => Step::done("key sealed, last received at", received_at),
            (Some((LineStatus::NoKey, _)), _) | (_, LineKey::Missing) => Step::open("no key yet", None),
            (_, LineKey::Unknown) if self.has_used_key() => Step::done("key sealed", None),
            (_, LineKey::Unknown) => Step::open("key not shown: the sealed table was not read", None),
        }
    }
}

fn webhook_steps(webhook: &LineRecord) -> Vec<Step> {
    let url = webhook.url.as_deref().unwrap_or("an unknown URL");
    let checked_at = webhook.checked_at.unwrap_or(webhook.attempted_at);
    let found = match webhook.status {
        LineStatus::Live => Some(Step::done("webhook read back at", webhook.live_at.unwrap_or(checked_at))),
        LineStatus::Empty => Some(Step::wrong("webhook read back empty at", checked_at)),
        LineStatus::Foreign => Some(Step::wrong(format!("webhook read back as {url} at"), checked_at)),
        // A line without a number in digits is never asked about; the cause tells.
        LineStatus::UnknownNumber => {
            webhook.checked_at.map(|at| Step::wrong("number not known to the provider at", at))
        }
        LineStatus::Unreachable => Some(Step::wrong("no answer to the check at", webhook.attempted_at)),
        LineStatus::WrongKey | LineStatus::NoKey | LineStatus::Off => None,
    };
    let set = webhook.set_at.map(|at| Step::done("set by this stack at", at));
    let last_live = match webhook.live_at {
        _ if webhook.status == LineStatus::Live => None,
        Some(at) => Some(Step::open("webhook last read back as yours at", at)),
        None if found.is_none() => Some(Step::open("webhook never read back as yours", None)),
        None => None,
    };
    [found, set, last_live].into_iter().flatten().collect()
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

impl Proof {
    /// Returns the proof of a line.
    pub fn of(line: &Line, now: Timestamp) -> Self {
        let moment = |at| Moment::new(at, now);
        let (mark, class) = match (line.gone_at(), line.status()) {
            (Some(_), _) => ("gone".to_owned(), "plain"),
            (None, status) => (line.status_in_words(), status.map_or("care", class)),
        };
        Self {
            link: link("entity", &[("name", line.entity.as_str())]),
            number: plain(line.number()),
            name: line.name().map(plain),
            reference: line.reference().map(plain),
            client_link: line.reference().map(|reference| link("client", &[("reference", reference)])),
            mark,
            class,
            sentence: plain(&line.verdict()),
            cause: line.cause().map(plain),
            since: line.since().map(moment),
            steps: line
                .steps()
                .into_iter()
                .map(|step| (Step { text: plain(&step.text), ..step }, step.at.map(moment)))
                .collect(),
        }
    }
}

impl Step {
    fn done(text: impl Into<String>, at: impl Into<Option<Timestamp>>) -> Self {
        Self { class: "done", done: "done", text: text.into(), at: at.into() }
    }

    fn open(text: impl Into<String>, at: impl Into<Option<Timestamp>>) -> Self {
        Self { class: "todo", done: "not yet", text: text.into(), at: at.into() }
    }

    fn wrong(text: impl Into<String>, at: impl Into<Option<Timestamp>>) -> Self {
        Self { class: "wrong", done: "wrong", text: text.into(), at: at.into() }
    }
}
