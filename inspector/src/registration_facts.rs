use shared::{Timestamp, human_time::ago};
use store::{Registration, RegistrationStatus, Whereabouts};

/// Returns the known facts about the present registration, by name, in plain words, with times as `shown` formats them.
pub fn registration_facts(
    status: &RegistrationStatus,
    shown: impl Fn(Timestamp) -> String,
) -> Vec<(&'static str, String)> {
    let Registration {
        registered,
        checked_at,
        ours_at,
        elsewhere_since,
        competing,
        contested_since,
        failing_since,
        failure,
        ..
    } = status.registration();
    let moment = |time: Timestamp| format!("{} ({})", shown(time), ago(time, status.times().end));
    let url = registered.as_deref().unwrap_or("nothing");
    let since = status.since().map(|since| format!(" since {}", moment(since))).unwrap_or_default();
    let mut facts = vec![(
        "registered",
        match status.whereabouts() {
            Whereabouts::Unknown => "unknown: no check has been recorded yet".to_owned(),
            Whereabouts::Ours => format!("{url}, ours{since}"),
            Whereabouts::Nowhere | Whereabouts::Elsewhere if ours_at.is_none() => {
                format!("{url}; ours was never seen registered")
            }
            Whereabouts::Nowhere | Whereabouts::Elsewhere => format!("{url}, not ours{since}"),
        },
    )];
    facts.extend(checked_at.map(|at| ("checked", moment(at))));
    if elsewhere_since.is_some() {
        facts.extend(ours_at.map(|at| ("ours until", format!("at least {}", moment(at)))));
    }
    if let Some(since) = failing_since {
        let cause = failure.as_deref().unwrap_or("unknown cause");
        facts.push(("failing", format!("{cause}, since {}", moment(*since))));
    }
    if let Some(competing) = competing {
        let (times, at) = (if competing.repairs == 1 { "time" } else { "times" }, moment(competing.repaired_at));
        let (url, repairs) = (&competing.url, competing.repairs);
        facts.push(("competing", format!("{url}, replaced by ours {repairs} {times}, last {at}")));
    }
    if let Some(since) = contested_since {
        let end = "stop the other registration, then run `cargo hooks webhook set`";
        facts.push((
            "contested",
            format!("the competing URL kept coming back, so sync stopped replacing it at {}; {end}", moment(*since)),
        ));
    }
    facts
}

/// Describes the receiver of the events while another URL, or none, is registered.
pub fn receiver(registered: Option<&str>) -> String {
    match registered.map(|registered| (host(registered), registered)) {
        Some((Some(host), _)) => format!("the provider sends all events to {host}"),
        Some((None, text)) => format!("{text} is registered"),
        None => "no URL is registered, and the provider sends events nowhere".to_owned(),
    }
}

/// Returns the host of the registered URL as sync reports it, which may have no scheme; `None` when it is not a URL.
pub fn host(registered: &str) -> Option<String> {
    let url = if registered.contains("://") { registered.to_owned() } else { format!("https://{registered}") };
    url::Url::parse(&url).ok()?.host_str().map(str::to_owned)
}
