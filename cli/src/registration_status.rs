//! How `hooks webhook status` shows the registration: pure.

use std::{fmt::Write, ops::Range, time::Duration};

use inspector::{receiver, registration_facts};
use serde::Serialize;
use shared::{EventId, Timestamp, human_time::minutes, text::plain};
use store::{Change, ChangeKind, Registration, RegistrationStatus, Whereabouts};

use crate::output::{
    json,
    screen::{Screen, Tone},
    tables, text, times,
};

/// The status as JSON. Members keep their names in later versions.
#[derive(Serialize)]
struct Status<'a> {
    registered: Option<&'a str>,
    whereabouts: &'a str,
    since: Option<Timestamp>,
    checked_at: Option<Timestamp>,
    ours_at: Option<Timestamp>,
    elsewhere_since: Option<Timestamp>,
    failing_since: Option<Timestamp>,
    failure: Option<&'a str>,
    contested: bool,
    rival: Option<Rival<'a>>,
    times: Window,
    not_ours_seconds: u64,
    changes_in_all: usize,
    changes: Vec<ChangeOf<'a>>,
}

#[derive(Serialize)]
struct Rival<'a> {
    url: &'a str,
    repairs: u32,
    repaired_at: Timestamp,
}

#[derive(Serialize)]
struct Window {
    from: Timestamp,
    until: Timestamp,
}

#[derive(Serialize)]
struct ChangeOf<'a> {
    id: EventId,
    at: Timestamp,
    change: &'a str,
    action: &'a str,
    registered: Option<&'a str>,
    not_ours: Option<Window>,
    cause: Option<&'a str>,
}

impl Window {
    fn of(times: &Range<Timestamp>) -> Self {
        Self { from: times.start, until: times.end }
    }
}

impl<'a> ChangeOf<'a> {
    fn of(change: &'a Change) -> Self {
        Self {
            id: change.id,
            at: change.at,
            change: change.kind.name(),
            action: &change.action,
            registered: change.registered.as_deref(),
            not_ours: change.not_ours.as_ref().map(Window::of),
            cause: change.cause.as_deref(),
        }
    }
}

/// Returns the status as one line of JSON, with at most this many changes.
///
/// # Errors
/// Fails when it cannot be written as JSON.
pub fn json(status: &RegistrationStatus, limit: usize) -> serde_json::Result<String> {
    let Registration { registered, checked_at, ours_at, elsewhere_since, failing_since, failure, competing, .. } =
        status.registration();
    json::line(&Status {
        registered: registered.as_deref(),
        whereabouts: status.whereabouts().name(),
        since: status.since(),
        checked_at: *checked_at,
        ours_at: *ours_at,
        elsewhere_since: *elsewhere_since,
        failing_since: *failing_since,
        failure: failure.as_deref(),
        contested: status.is_contested(),
        rival: competing.as_ref().map(|competing| Rival {
            url: &competing.url,
            repairs: competing.repairs,
            repaired_at: competing.repaired_at,
        }),
        times: Window::of(status.times()),
        not_ours_seconds: status.not_ours().as_secs(),
        changes_in_all: status.in_time().count(),
        changes: status.in_time().take(limit).map(ChangeOf::of).collect(),
    })
}

/// The status for people, with at most this many changes.
pub fn table(status: &RegistrationStatus, limit: usize) -> String {
    let mut shown = match status.whereabouts() {
        Whereabouts::Unknown | Whereabouts::Ours => String::new(),
        Whereabouts::Nowhere | Whereabouts::Elsewhere => {
            not_ours(status.registration().registered.as_deref(), status.registration().elsewhere_since)
        }
    };
    shown += &text::facts(&registration_facts(status, times::shown));
    let (start, in_all) = (times::shown(status.times().start), status.in_time().count());
    // Writing to a text cannot fail.
    let now = status.times().end;
    let present = status.registration().elsewhere_since.and_then(|since| {
        status.in_time().find(|change| change.not_ours.is_some() && since <= change.at).map(|change| change.id)
    });
    let _ = if in_all == 0 {
        writeln!(shown, "\nNo changes since {start}.")
    } else {
        write!(shown, "\n{}", tables::changes(status.in_time().take(limit), present, now))
    };
    if limit < in_all {
        let _ = writeln!(shown, "{limit} of {in_all} changes since {start}; --limit shows more.");
    }
    if let Some(ours_at) = status.registration().ours_at {
        let unknown_since = matches!(status.present(), Whereabouts::Unknown).then_some(ours_at);
        let start = times::shown(watched_since(status));
        let (not_ours, until_now) = (status.not_ours(), status.registration().elsewhere_since.is_some());
        if not_ours > Duration::ZERO || until_now {
            let (total, end) = (minutes(not_ours), if until_now { ", up to now" } else { "" });
            let _ =
                writeln!(shown, "Since {start} the webhook may have pointed elsewhere for a total of {total}{end}.");
        } else if unknown_since.is_none_or(|since| status.times().contains(&since)) {
            let _ = writeln!(shown, "Since {start} no check has found the webhook pointing elsewhere.");
        }
        if let Some(since) = unknown_since.map(times::shown) {
            let _ = writeln!(shown, "Since {since} it is not known whether our URL is registered.");
        }
    }
    shown
}

/// Returns the start of the range, or the time of the first registration if that is later.
fn watched_since(status: &RegistrationStatus) -> Timestamp {
    match status.in_time().filter(|change| change.kind != ChangeKind::Failed).last() {
        Some(first) if first.kind == ChangeKind::Registered => first.at,
        _ => status.times().start,
    }
}

/// Returns a warning that our URL is not registered, with the time since then and the receiver of the events.
pub fn not_ours(registered: Option<&str>, since: Option<Timestamp>) -> String {
    let since = since.map(|since| format!(" SINCE {}", times::shown(since))).unwrap_or_default();
    let warning = format!("NOT OURS{since}: {}.", receiver(registered));
    Screen::of_stdout().toned(Some(Tone::Bad), &plain(&warning)) + "\n"
}

#[cfg(test)]
mod tests {
    use shared::EventId;
    use store::CompetingUrl;

    use super::*;

    const OURS: &str = "https://ours.example/***1111";
    const OTHER: &str = "https://other.example/***2222";

    fn at(minute: u64) -> Timestamp {
        Timestamp::from_micros(1_795_339_800_000_000).plus(Duration::from_secs(minute * 60))
    }

    fn change(minute: u64, kind: ChangeKind, registered: &str, not_ours: Option<(u64, u64)>) -> Change {
        Change {
            id: EventId::new(at(minute), [0; 8]),
            at: at(minute),
            kind,
            action: "sync".to_owned(),
            registered: Some(registered.to_owned()),
            not_ours: not_ours.map(|(from, until)| at(from)..at(until)),
            cause: None,
        }
    }

    /// The last one first.
    fn changes() -> Vec<Change> {
        vec![
            change(180, ChangeKind::Repaired, OURS, Some((60, 180))),
            change(120, ChangeKind::Drift, OTHER, Some((60, 120))),
            change(0, ChangeKind::Registered, OURS, None),
        ]
    }

    fn ours() -> Registration {
        let registered = Some(OURS.to_owned());
        Registration { checked_at: Some(at(240)), ours_at: Some(at(240)), registered, ..Registration::default() }
    }

    #[test]
    fn while_ours_is_registered_it_says_since_when_and_when_it_was_not() {
        let status = RegistrationStatus::new(ours(), changes(), at(0)..at(270));
        let expected = "\
registered  https://ours.example/***1111, ours since 2026-11-22T12:30:00Z (1 h ago)
checked     2026-11-22T13:30:00Z (30 min ago)

┌──────────────────────┬──────────┬──────┬───────────────────────────────┬──────────────────────┬─────────┐
│ time                 ┆ what     ┆ by   ┆ registered then               ┆ not ours from        ┆ for     │
╞══════════════════════╪══════════╪══════╪═══════════════════════════════╪══════════════════════╪═════════╡
│ 2026-11-22T12:30:00Z ┆ repaired ┆ sync ┆ https://ours.example/***1111  ┆ 2026-11-22T10:30:00Z ┆ 120 min │
│ 2026-11-22T11:30:00Z ┆ drift    ┆ sync ┆ https://other.example/***2222 ┆                      ┆         │
└──────────────────────┴──────────┴──────┴───────────────────────────────┴──────────────────────┴─────────┘
2 of 3 changes since 2026-11-22T09:30:00Z; --limit shows more.
Since 2026-11-22T09:30:00Z the webhook may have pointed elsewhere for a total of 120 min.
";
        assert_eq!(table(&status, 2), expected);
    }

    #[test]
    fn before_the_first_check_nothing_is_known() {
        let status = RegistrationStatus::new(Registration::default(), Vec::new(), at(0)..at(60));
        let expected = "\
registered  unknown: no check has been recorded yet

No changes since 2026-11-22T09:30:00Z.
";
        assert_eq!(table(&status, 20), expected);
        assert!(json(&status, 20).unwrap().contains(r#""whereabouts":"unknown""#));
    }

    #[test]
    fn no_time_before_the_first_registration_is_said_to_have_been_watched() {
        let failed = change(30, ChangeKind::Failed, OTHER, None);
        let registered = change(60, ChangeKind::Registered, OURS, None);
        let status = RegistrationStatus::new(ours(), vec![registered, failed], at(0)..at(270));
        let shown = table(&status, 20);
        assert!(
            shown.ends_with("\nSince 2026-11-22T10:30:00Z no check has found the webhook pointing elsewhere.\n"),
            "{shown}"
        );
    }

    #[test]
    fn no_time_after_the_last_check_that_succeeded_is_said_to_have_been_watched() {
        let (unwatched, unknown) =
            ("no check has found", "Since 2026-11-22T13:30:00Z it is not known whether our URL is registered.\n");
        let failing =
            Registration { failing_since: Some(at(250)), failure: Some("WrongCredentials".to_owned()), ..ours() };
        let shown = table(&RegistrationStatus::new(failing.clone(), Vec::new(), at(0)..at(270)), 20);
        assert!(shown.contains(unwatched) && shown.ends_with(unknown), "{shown}");
        let shown = table(&RegistrationStatus::new(failing, Vec::new(), at(241)..at(270)), 20);
        assert!(!shown.contains(unwatched) && shown.ends_with(unknown), "{shown}");
        let day = 25 * 60;
        let shown = table(&RegistrationStatus::new(ours(), Vec::new(), at(0)..at(240 + day)), 20);
        assert!(shown.contains(unwatched) && !shown.contains("not known"), "{shown}");
        let shown = table(&RegistrationStatus::new(ours(), Vec::new(), at(0)..at(241 + day)), 20);
        assert!(shown.ends_with(unknown), "{shown}");
    }

    #[test]
    fn a_drift_that_goes_on_is_shown_with_its_start_until_now() {
        let registration =
            Registration { registered: None, ours_at: Some(at(60)), elsewhere_since: Some(at(120)), ..ours() };
        let changes = vec![change(120, ChangeKind::Drift, OTHER, Some((60, 120)))];
        let shown = table(&RegistrationStatus::new(registration, changes, at(0)..at(270)), 20);
        let expected = "\
NOT OURS SINCE 2026-11-22T11:30:00Z: no URL is registered, and the provider sends events nowhere.
registered  nothing, not ours since 2026-11-22T11:30:00Z (2 h ago)
";
        assert!(shown.starts_with(expected), "{shown}");
        assert!(shown.contains("\nours until  at least 2026-11-22T10:30:00Z (3 h ago)\n"), "{shown}");
        assert!(shown.contains(" 2026-11-22T10:30:00Z ┆ 210 min until now │\n"), "{shown}");
        let end =
            "\nSince 2026-11-22T09:30:00Z the webhook may have pointed elsewhere for a total of 210 min, up to now.\n";
        assert!(shown.ends_with(end), "{shown}");
    }

    #[test]
    fn a_url_registered_before_ours_is_no_drift() {
        let registered = Some(OTHER.to_owned());
        let registration = Registration { checked_at: Some(at(0)), registered, ..Registration::default() };
        let shown = table(&RegistrationStatus::new(registration, Vec::new(), at(0)..at(60)), 20);
        let expected = format!(
            "NOT OURS: the provider sends all events to other.example.\nregistered  {OTHER}; ours was never seen registered\n"
        );
        assert!(shown.starts_with(&expected), "{shown}");
    }

    #[test]
    fn failures_and_a_competing_url_are_shown() {
        let registration = Registration {
            registered: Some(OTHER.to_owned()),
            elsewhere_since: Some(at(200)),
            competing: Some(CompetingUrl { url: OTHER.to_owned(), repairs: 3, repaired_at: at(180) }),
            contested_since: Some(at(200)),
            failing_since: Some(at(250)),
            failure: Some("PartnerUnreachable".to_owned()),
            ..ours()
        };
        let shown = table(&RegistrationStatus::new(registration, Vec::new(), at(210)..at(270)), 20);
        for line in [
            "\nfailing     PartnerUnreachable, since 2026-11-22T13:40:00Z (20 min ago)\n",
            "\ncompeting   https://other.example/***2222, replaced by ours 3 times, last 2026-11-22T12:30:00Z (1 h ago)\n",
            "\ncontested   the competing URL kept coming back, so sync stopped replacing it at 2026-11-22T12:50:00Z (1 h ago); ",
        ] {
            assert!(shown.contains(line), "{line}\n{shown}");
        }
    }
}
