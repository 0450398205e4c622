//! `hooks lines`: all lines, with the proof that each is live or the reason why it is not.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum, builder::NonEmptyStringValueParser};
use inspector::{Line, LineKey, LineList, LineReader, Onboarding};
use serde_json::{Value, json};
use shared::text::plain;
use store::{Inventory, Lines, SealedReader, Unreadable, named};

use crate::{
    local_functions::read_answer,
    named::check_reference,
    output::{
        List, Output, json, note, print,
        screen::Tone,
        tables::{Column, findings, table},
        text, times,
    },
    target::{Target, TargetArgs},
};

/// The webhook of a line, in tables. The webhook alone is that of the stack.
pub const LINE_WEBHOOK: &str = "line webhook";

/// Exit code when a line is not live, a client is stuck, or a pass would set a webhook. 1 is a failure, and 2 a command line that cannot
/// be read.
pub const NOT_LIVE: u8 = 3;

/// Lists all lines with their onboarding, their key and their own webhook, problems first.
///
/// Reads only the tables, unless you ask for a check.
#[derive(Args)]
#[command(after_help = "\
The webhook of a line, not that of the stack, is
  live            yours (LineWebhookUrl), as the provider's last answer showed
  empty           not set: the line's messages are delivered nowhere
  foreign         another URL, not replaced
  wrong key       not known: the provider refuses the line's API key
  unknown number  not known: the provider does not have the number
  no key          not known: no event has contained the line's API key
  unreachable     not known: the provider did not answer the last check
  not checked     not known: no check of the line has ended yet
  off             not known: the parameter LineWebhookUrl is empty
  gone            no longer checked: the provider does not list the line any more

Exit code: 0 when all listed lines are live or off; 3 when one is not; 1 after a failure. Lines that are gone at the provider do not count.
With --plan, 3 when a pass would set a webhook. With --stuck, 3 when a client is stuck.

Examples:
  cargo hooks lines                                          the local run
  cargo hooks lines --stack partner-webhook --not-live       the lines that need attention
  cargo hooks lines --stack partner-webhook --check          asks the provider first
  cargo hooks lines --stack partner-webhook --plan           what a check would set
  cargo hooks lines --stack partner-webhook --not-live --output json | jq -r .number")]
pub struct LinesArgs {
    /// Only lines that are not live, without those that are gone at the provider.
    #[arg(long)]
    not_live: bool,
    /// Clients that have not finished onboarding, and numbers that are about to lapse, instead of lines. Asks the provider.
    #[arg(long, conflicts_with_all = ["not_live", "check", "plan", "sort", "limit"])]
    stuck: bool,
    /// Only lines with this reference.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    reference: Option<String>,
    /// Order of the lines.
    #[arg(long, value_enum, default_value_t = Sort::Problems)]
    sort: Sort,
    /// Maximum number of lines to list. Default: all.
    #[arg(long, value_name = "NUMBER", value_parser = crate::output::limit, allow_negative_numbers = true)]
    limit: Option<usize>,
    /// Check the lines with the provider first, and set missing webhooks, as the schedule does. With --reference, checks only those lines.
    #[arg(long)]
    check: bool,
    /// Show what --check would set, and change nothing.
    #[arg(long, conflicts_with_all = ["check", "not_live", "reference", "sort", "limit"])]
    plan: bool,
    #[command(flatten)]
    target: TargetArgs,
    /// Output format. json is one object on each line; with --plan it is the answer of the function sync.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// The order of a list of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// Problems first, then by number.
    Problems,
    /// By number.
    Number,
    /// By name.
    Name,
    /// By reference.
    Reference,
    /// The oldest last event first.
    LastEvent,
}

/// Lists lines.
///
/// # Errors
/// Fails when they cannot be read, no event has the reference, or a pass fails.
pub async fn run(args: LinesArgs) -> Result<ExitCode> {
    let target = Target::find(args.target.clone()).await?;
    if args.plan {
        return plan(&target, args.output).await;
    }
    if args.stuck {
        return stuck(&target, args.reference.as_deref(), args.output).await;
    }
    let reader = reader(&target);
    let read = async || {
        anyhow::Ok(match &args.reference {
            Some(typed) => reader.with_reference(&named::reference(&reader.reader, typed).await?).await?,
            None => reader.all().await?,
        })
    };
    let events = match (args.check, &args.reference) {
        (false, _) => Vec::new(),
        (true, None) => vec![json!({ "action": "lines" })],
        (true, Some(reference)) => {
            let LineList { lines, unreadable } = read().await?;
            if lines.is_empty() && unreadable.is_empty() {
                check_reference(&reader.reader, Some(reference)).await?;
                bail!("there is no line with the reference {}", plain(reference));
            }
            let still_there = lines.iter().filter(|line| line.gone_at().is_none());
            still_there.map(|line| json!({ "action": "lines", "entity": line.entity })).collect()
        }
    };
    let mut reports = Vec::new();
    for event in events {
        let report = check(&target, &event).await?;
        if args.output == Output::Table {
            print((changed(&report["changed"], "changed") + &further(&report, "changed", "changed")).trim_start())?;
        }
        reports.push(report);
    }
    let LineList { mut lines, unreadable } = read().await?;
    let known = lines.len();
    if known == 0 && unreadable.is_empty() {
        check_reference(&reader.reader, args.reference.as_deref()).await?;
    }
    let gone = lines.iter().filter(|line| line.gone_at().is_some()).count();
    let not_live = lines.iter().filter(|line| line.is_problem()).count();
    if args.not_live {
        lines.retain(Line::is_problem);
    }
    sort(&mut lines, args.sort);
    let found = lines.len();
    lines.truncate(args.limit.unwrap_or(usize::MAX));
    find_keys(&reader, &mut lines).await;
    let more = (lines.len() < found).then(|| format!("{} of {found} lines", lines.len()));
    let none = match known {
        _ if !unreadable.is_empty() => "None of the lines that can be read.\n",
        0 => "No such lines.\n",
        _ if !target.keeps_lines => "None: LineWebhookUrl is empty, so the lines' own webhooks are not checked.\n",
        _ => "None: every line is live, or gone at the provider.\n",
    };
    List { items: &lines, none: none.to_owned(), more }
        .print(args.output, line_json, |lines| rows(lines, [not_live, gone, known]))?;
    let faults: Vec<String> = left(&reports).into_iter().chain(left_out(&unreadable)).collect();
    match faults.join("; ") {
        faults if !faults.is_empty() => bail!("{faults}"),
        _ if not_live > 0 => Ok(ExitCode::from(NOT_LIVE)),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Returns the lines that are left out of a list, with the faults of the first ten.
fn left_out(unreadable: &Unreadable) -> Option<String> {
    let are = if unreadable.len() == 1 { "line is" } else { "lines are" };
    let faults: Vec<String> = unreadable.values().take(10).map(|fault| plain(&fault.to_string())).collect();
    let text = || format!("{} {are} left out, because an item cannot be read: {}", unreadable.len(), faults.join(", "));
    (!unreadable.is_empty()).then(text)
}

/// Returns the reader of a target's lines.
pub fn reader(target: &Target) -> LineReader {
    let (client, events_table) = (&target.dynamodb, &target.settings.events_table);
    LineReader {
        reader: target.reader.clone(),
        inventory: Inventory::new(client.clone(), events_table),
        lines: Lines::new(client.clone(), events_table),
        sealed: SealedReader::new(client.clone(), &target.settings.sealed_table),
        keeps_lines: target.keeps_lines,
    }
}

/// Looks for the keys of lines. Without permission to read the sealed table, lines are shown without keys.
pub async fn find_keys(reader: &LineReader, lines: &mut [Line]) {
    if let Err(error) = reader.find_keys(lines).await {
        note(&format!("The sealed table cannot be read, so it is not known which keys are sealed: {error}"));
    }
}

/// Calls sync to check lines, and returns its report.
///
/// # Errors
/// Fails when the pass fails.
pub async fn check(target: &Target, event: &Value) -> Result<Value> {
    let answer = target.call_sync(event).await?;
    let report = read_answer(&answer)?;
    match report["outcome"].as_str() {
        Some("up_to_date" | "updated" | "incomplete") => Ok(report),
        _ => bail!("not a report of the lines: {answer}"),
    }
}

/// Returns the reason if passes could not check all their lines: the number of those left, and the first cause.
pub fn left(reports: &[Value]) -> Option<String> {
    let left: u64 = reports.iter().filter_map(|report| report["left"].as_u64()).sum();
    let are = if left == 1 { "line could not be checked, and is" } else { "lines could not be checked, and are" };
    let cause = reports.iter().find_map(|report| report["cause"].as_str());
    let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
    let is_incomplete = reports.iter().any(|report| report["outcome"] == "incomplete");
    is_incomplete.then(|| format!("{left} {are} left for the next pass{cause}"))
}

/// Shows what a pass would set.
async fn plan(target: &Target, output: Output) -> Result<ExitCode> {
    let answer = target.call_sync(&json!({ "action": "lines", "mode": "plan" })).await?;
    let report = read_answer(&answer)?;
    print(&match output {
        Output::Json => shared::json::compact(&answer) + "\n",
        Output::Table => plan_for_people(&report),
    })?;
    match report["outcome"].as_str() {
        Some("up_to_date") => Ok(ExitCode::SUCCESS),
        Some("would_update") => Ok(ExitCode::from(NOT_LIVE)),
        Some("incomplete") => bail!("not every line could be checked"),
        _ => bail!("not a report of the lines: {answer}"),
    }
}

fn plan_for_people(report: &Value) -> String {
    let shown = |value: &Value| value.as_str().map(str::to_owned).unwrap_or_default();
    let number = |name: &str| report[name].as_u64().unwrap_or_default().to_string();
    let outcome = shown(&report["outcome"]);
    let meaning = match outcome.as_str() {
        "up_to_date" => ": a check would set no URL",
        "would_update" => ": a check would set URLs",
        _ => "",
    };
    let others =
        if report["checked"] == report["lines"] { "" } else { "; the provider was not asked about the others" };
    let mut text = text::facts(&[
        ("outcome", outcome + meaning),
        ("lines", number("lines")),
        ("checked", number("checked") + others),
        ("left", number("left")),
    ]);
    // What a check would set, and what it would only record.
    for (action, name) in [("set", "would be set"), ("found", "found changed")] {
        let of_action = |changed: &&Value| changed["action"] == action;
        let list: Vec<&Value> = report["changed"].as_array().into_iter().flatten().filter(of_action).collect();
        text += &changed(&json!(list), name);
    }
    text += &further(report, "changed", "changed");
    text += &findings(
        &in_words(&report["not_live"]),
        [
            (Column::entity("not live"), "/entity"),
            (Column::from(LINE_WEBHOOK).least(14), "/webhook"),
            (Column::time("since").optional(1), "/since"),
            (Column::from("cause").least(20), "/cause"),
        ],
    );
    text + &further(report, "not_live", "not live")
}

/// Returns a table of lines in a report whose webhook changes. `name` is its first header.
fn changed(list: &Value, name: &'static str) -> String {
    let [from, to, url] = ["from", "to", "url"].map(Column::from);
    let columns = [(Column::entity(name), "/entity"), (from.optional(1), "/from"), (to, "/to"), (url, "/url")];
    findings(&in_words(list), columns)
}

/// Returns a sentence about the elements that a list of a report has no room for; `name` says what they are.
pub fn further(report: &Value, list: &str, name: &str) -> String {
    let left_out = left_out_of(report, list);
    if left_out == 0 { String::new() } else { format!("\nand {left_out} more that are {name}\n") }
}

/// Returns the number of elements that a list of a report has no room for.
pub fn left_out_of(report: &Value, list: &str) -> u64 {
    report[format!("{list}_left_out")].as_u64().unwrap_or_default()
}

/// Returns a list of a report with its statuses in words, as the other tables have them.
fn in_words(list: &Value) -> Value {
    let mut list = list.clone();
    for line in list.as_array_mut().into_iter().flatten() {
        for status in ["webhook", "from", "to"] {
            if let Some(Value::String(status)) = line.get_mut(status) {
                *status = status.replace('_', " ");
            }
        }
    }
    list
}

/// Shows the clients that have not finished onboarding, and the numbers that are about to lapse.
async fn stuck(target: &Target, reference: Option<&str>, output: Output) -> Result<ExitCode> {
    let answer = target.call_sync(&json!({ "action": "inventory", "mode": "plan" })).await?;
    let report = read_answer(&answer)?;
    let list = |name: &str| report["lists"][name]["complete"] == true;
    if !list("onboarding_links") || !list("registered_numbers") {
        bail!("the provider's onboarding lists are not complete; `cargo hooks inventory --plan` shows why");
    }
    let found = report["stuck"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_meant = |stuck: &&Value| {
        reference.is_none_or(|typed| [typed, typed.trim()].iter().any(|reference| stuck["reference"] == *reference))
    };
    let (listed, left_out) = (found.len(), left_out_of(&report, "stuck"));
    let found: Vec<&Value> = found.iter().filter(is_meant).collect();
    if found.is_empty() && left_out > 0 {
        let all = listed as u64 + left_out;
        bail!(
            "the report has only {listed} of the {all} that are stuck, so it is not known whether one of the others is meant"
        );
    }
    let none = "No client is stuck.\n".to_owned();
    let table = |found: &[&Value]| stuck_table(found.iter().copied()) + &further(&report, "stuck", "stuck");
    List { items: &found, none, more: None }.print(output, json::line, table)?;
    if output == Output::Json && left_out > 0 {
        note(further(&report, "stuck", "stuck").trim());
    }
    Ok(if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(NOT_LIVE) })
}

/// Returns a table of stuck clients and of numbers that lapse.
pub fn stuck_table<'a>(stuck: impl IntoIterator<Item = &'a Value>) -> String {
    let row = |stuck: &Value| {
        let shown = |name: &str| stuck[name].as_str().map(str::to_owned).unwrap_or_default();
        let what = if stuck["list"] == "registered_numbers" { "number lapses" } else { "onboarding not finished" };
        [
            what.to_owned(),
            shown("whatsapp"),
            shown("reference"),
            shown("business_name"),
            times::reported(&shown("created_at")),
            times::reported(&shown("expires_at")),
        ]
    };
    let header = [
        Column::from("stuck").least(13),
        Column::number("number"),
        Column::from("reference"),
        Column::from("name").optional(1),
        Column::time("created").optional(2),
        Column::time("lapses"),
    ];
    table(header, stuck.into_iter().map(row))
}

fn sort(lines: &mut [Line], sort: Sort) {
    let text = |text: Option<&str>| (text.is_none(), text.unwrap_or_default().to_owned());
    match sort {
        Sort::Problems => {}
        Sort::Number => lines.sort_by(|a, b| a.entity.cmp(&b.entity)),
        Sort::Name => lines.sort_by_cached_key(|line| text(line.name())),
        Sort::Reference => lines.sort_by_cached_key(|line| text(line.reference())),
        Sort::LastEvent => lines.sort_by_key(|line| line.state.as_ref().map(|state| state.last_seen)),
    }
}

/// Returns a table of lines, and sentences about the numbers of those that are not live, of those that are gone, and of all.
fn rows(lines: &[Line], [not_live, gone, known]: [usize; 3]) -> String {
    // A column of keys that are all sealed says the least.
    let keys = if lines.iter().all(|line| matches!(line.key, LineKey::Sealed { .. })) { 5 } else { 2 };
    let header = [
        Column::number("line"),
        Column::from(LINE_WEBHOOK).least(14).toned(webhook_tone),
        Column::from("name").optional(3),
        Column::from("reference"),
        Column::from("onboarding").least(15).optional(4),
        Column::from("key").optional(keys),
        Column::time("last event").optional(1),
    ];
    let row = |line: &Line| {
        let owned = |text: Option<&str>| text.map(str::to_owned).unwrap_or_default();
        [
            line.number().to_owned(),
            standing(line),
            owned(line.name()),
            owned(line.reference()),
            onboarding(line).to_owned(),
            match line.key {
                LineKey::Unknown => "not known",
                LineKey::Missing => "none",
                LineKey::Sealed { .. } => "sealed",
            }
            .to_owned(),
            line.state.as_ref().map(|state| times::shown(state.last_seen)).unwrap_or_default(),
        ]
    };
    let mut shown = table(header, lines.iter().map(row));
    let of = if known == 1 { "1 line".to_owned() } else { format!("{known} lines") };
    if not_live > 0 {
        let are = if not_live == 1 { "is" } else { "are" };
        shown += &format!("{not_live} of {of} {are} not live; `cargo hooks line <number>` says why.\n");
    }
    if gone > 0 {
        let are = if gone == 1 { "is" } else { "are" };
        shown += &format!(
            "{gone} of {of} {are} gone at the provider. Gone lines do not affect the exit code; --not-live leaves them out.\n"
        );
    }
    shown
}

/// Returns the standing of a line's webhook in plain words.
pub fn standing(line: &Line) -> String {
    if line.gone_at().is_some() { "gone".to_owned() } else { line.status_in_words() }
}

/// Returns the tone of the status of a line's webhook.
pub fn webhook_tone(status: &str) -> Option<Tone> {
    match status.split(':').next().unwrap_or_default() {
        "live" => Some(Tone::Good),
        "off" | "gone" => Some(Tone::Faint),
        "not checked" | "unreachable" => Some(Tone::Warning),
        _ => Some(Tone::Bad),
    }
}

/// Returns the way in which a line was onboarded, in plain words.
fn onboarding(line: &Line) -> &'static str {
    match line.onboarding() {
        Onboarding::Received(_) => "event received",
        Onboarding::Imported(_) => "imported",
        Onboarding::Rebuilt(_) => "missed, rebuilt",
        Onboarding::Waiting => "no event yet",
    }
}

/// Returns a line as one line of JSON. Later versions do not rename members.
///
/// # Errors
/// Fails when it cannot be written as JSON.
fn line_json(line: &Line) -> serde_json::Result<String> {
    json::line(&object(line))
}

/// Returns a line as a JSON object.
pub fn object(line: &Line) -> Value {
    let onboarding = line.onboarding();
    let listed = line.listed.as_ref();
    let webhook = line.webhook.as_ref().filter(|_| line.is_kept);
    json!({
        "entity": line.entity,
        "number": line.number(),
        "name": line.name(),
        "reference": line.reference(),
        "live": line.is_live(),
        "onboarding": {
            "event": onboarding.name(),
            "at": onboarding.at(),
            "listed_at": listed.and_then(|listed| listed.listed_at),
            "gone_at": line.gone_at(),
        },
        "key": match line.key {
            LineKey::Unknown => json!({ "sealed": null, "received_at": null }),
            LineKey::Missing => json!({ "sealed": false, "received_at": null }),
            LineKey::Sealed { received_at } => json!({ "sealed": true, "received_at": received_at }),
        },
        "webhook": line.status().map(|status| json!({
            "status": status.name(),
            "since": webhook.map(|webhook| webhook.since),
            "url": webhook.and_then(|webhook| webhook.url.as_ref()),
            "checked_at": webhook.and_then(|webhook| webhook.checked_at),
            "attempted_at": webhook.map(|webhook| webhook.attempted_at),
            "set_at": webhook.and_then(|webhook| webhook.set_at),
            "live_at": webhook.and_then(|webhook| webhook.live_at),
            "not_live_since": webhook.and_then(|webhook| webhook.not_live_since),
            "cause": webhook.and_then(|webhook| webhook.cause.as_ref()),
        })),
        "last_event_at": line.state.as_ref().map(|state| state.last_seen),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_tells_what_would_be_set_from_what_was_found() {
        let change = |number: &str, action: &str| json!({ "entity": number, "to": "live", "action": action });
        for (outcome, changed, checked, expected) in [
            (
                "up_to_date",
                vec![change("whatsapp#1", "found")],
                1,
                ["a check would set no URL", "the others", "found ch"],
            ),
            ("would_update", vec![change("whatsapp#1", "set")], 2, ["a check would set URLs", "2\n", "would be"]),
        ] {
            let report = json!({ "outcome": outcome, "lines": 2, "checked": checked, "left": 0, "changed": changed });
            let shown = plan_for_people(&report);
            assert!(expected.iter().all(|expected| shown.contains(expected)), "{shown}");
            assert_eq!(shown.matches('╞').count(), 1, "{shown}");
        }
    }

    #[test]
    fn a_plan_counts_the_lines_that_its_lists_leave_out() {
        let shown = plan_for_people(&json!({
            "outcome": "would_update", "changed": [{ "entity": "whatsapp#1", "action": "found" }], "changed_left_out": 7,
            "not_live": [{ "entity": "whatsapp#2", "webhook": "empty" }], "not_live_left_out": 9,
        }));
        for text in ["\nand 7 more that are changed\n", "\nand 9 more that are not live\n"] {
            assert!(shown.contains(text), "{shown}");
        }
    }

    #[test]
    fn a_plan_has_the_statuses_in_the_words_of_the_other_tables() {
        let shown = plan_for_people(&json!({
            "outcome": "would_update", "lines": 2, "checked": 2, "left": 0,
            "changed": [{ "entity": "whatsapp#1", "from": "no_key", "to": "live", "url": "https://a.example/", "action": "set" }],
            "not_live": [{ "entity": "whatsapp#2", "webhook": "unknown_number", "since": "2026-11-22T09:30:00Z" }],
        }));
        assert!(shown.contains("┆ unknown number ┆") && shown.contains("┆ no key ┆"), "{shown}");
    }
}
