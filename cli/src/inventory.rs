//! `hooks inventory`: compares the provider's lists with the recorded events.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};

use crate::{
    lines::{further, left_out_of, stuck_table},
    local_functions::read_answer,
    output::{
        Output, print,
        tables::{Column, findings, table},
        text,
    },
    target::{Target, TargetArgs},
};

/// Exit code of a plan when a pass would record or mark something. 1 is a failure, and 2 a command line that cannot be read.
const WOULD_UPDATE: u8 = 3;

/// Compares the provider's lists with the recorded events, as the schedule does: imports clients, rebuilds missed events, marks
/// clients that are gone, and reports those that are stuck in onboarding.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo hooks inventory --plan --stack partner-webhook       shows what a pass would do
  cargo hooks inventory --stack partner-webhook --output json | jq .missed

Exit code: 0 when everything was compared; 1 when something was not, or the pass failed. With --plan also 3, when a pass would record
or mark something.")]
pub struct Inventory {
    /// Show what a pass would do, and change nothing.
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    target: TargetArgs,
    /// Output format. json is the answer of the function sync on one line.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Compares the lists.
///
/// # Errors
/// Fails when the target cannot be found, the pass fails, or a list is not complete.
pub async fn run(Inventory { plan, target, output }: Inventory) -> Result<ExitCode> {
    let target = Target::find(target).await?;
    let event = if plan { json!({ "action": "inventory", "mode": "plan" }) } else { json!({ "action": "inventory" }) };
    let answer = target.call_sync(&event).await?;
    let report = read_answer(&answer)?;
    print(&match output {
        Output::Json => shared::json::compact(&answer) + "\n",
        Output::Table => for_people(&report, target.choice.stack().is_none()),
    })?;
    match report["outcome"].as_str() {
        Some("up_to_date" | "updated") => Ok(ExitCode::SUCCESS),
        Some("would_update") => Ok(ExitCode::from(WOULD_UPDATE)),
        Some("incomplete") => bail!("not everything could be compared; the report says why"),
        _ => bail!("not a report of the inventory: {answer}"),
    }
}

/// Returns a report as facts, followed by a table for each kind of finding. The provider of a local run is a stand-in.
fn for_people(report: &Value, is_local: bool) -> String {
    let count =
        |name: &str| (report[name].as_array().map_or(0, Vec::len) as u64 + left_out_of(report, name)).to_string();
    let number = |name: &str| report[name].as_u64().unwrap_or_default().to_string();
    let mut facts = vec![
        ("outcome", shown(&report["outcome"])),
        ("states", number("known")),
        ("imported", number("imported")),
        ("missed", count("missed")),
        ("waiting", count("waiting")),
    ];
    facts.extend(report["held_back"].as_str().map(|cause| ("held back", cause.to_owned())));
    let left = report["left"].as_u64().filter(|left| *left > 0);
    facts.extend(left.map(|left| ("left", left.to_string())));
    let mut text = text::facts(&facts) + "\n";
    let lists = report["lists"].as_object().into_iter().flatten();
    text += &table(
        ["list", "complete", "elements", "unusable", "cause"],
        lists.map(|(name, list)| {
            let complete = if list["complete"] == true { "yes" } else { "no" };
            [
                name.clone(),
                complete.to_owned(),
                shown(&list["elements"]),
                shown(&list["unusable"]),
                shown(&list["cause"]),
            ]
        }),
    );
    text += &findings(
        &report["missed"],
        [
            (Column::entity("missed"), "/entity"),
            (Column::from("reference"), "/reference"),
            (Column::time("listed since"), "/listed_at"),
            (Column::time("not ours from"), "/gap/from"),
        ],
    );
    text += &findings(&report["gone"], [(Column::entity("gone"), "/entity"), (Column::time("since"), "/since")]);
    if is_local && report["gone"].as_array().is_some_and(|gone| !gone.is_empty()) {
        text +=
            "The provider of the local run lists only the clients of the documented events, so all others are gone.\n";
    }
    let stuck = report["stuck"].as_array().filter(|stuck| !stuck.is_empty());
    text += &stuck.map(|stuck| format!("\n{}", stuck_table(stuck))).unwrap_or_default();
    text += &findings(&report["changed"], [(Column::entity("changed"), "/entity"), (Column::from("what"), "/change")]);
    text += &findings(&report["unreadable"], [(Column::entity("unreadable"), "")]);
    for name in ["missed", "gone", "stuck", "changed", "unreadable"] {
        text += &further(report, name, name);
    }
    text
}

/// Returns a value for people; nothing for `null`.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_shown_with_its_lists_and_findings() {
        let report = json!({
            "action": "inventory", "outcome": "incomplete", "known": 3, "imported": 0,
            "lists": {
                "builders": {"complete": false, "cause": "a list of 2 elements whose total is 3"},
                "lines": {"complete": true, "elements": 3},
            },
            "missed": [{"entity": "whatsapp#972501234567", "reference": "client-7", "event_id": "e", "listed_at": "12:00",
                "gap": {"from": "11:00", "until": "11:30"}}],
            "waiting": ["whatsapp#1"], "waiting_left_out": 7, "gone": [{"entity": "builder#523", "since": "13:00"}],
            "stuck": [{"list": "registered_numbers", "whatsapp": "972500000000", "expires_at": "2026-12-06"}],
            "changed": [{"entity": "online#online#523", "change": "suspended"}], "changed_left_out": 2,
            "unreadable": ["whatsapp#972500000007"],
        });
        let shown = for_people(&report, false);
        for text in [
            "outcome   incomplete\n",
            "states    3\n",
            "missed    1\n",
            "waiting   8\n",
            "and 2 more that are changed\n",
            "a list of 2 elements whose total is 3",
            "whatsapp#972501234567",
            "11:00",
            "972500000000",
            "suspended",
            "│ unreadable            │",
            "│ whatsapp#972500000007 │",
        ] {
            assert!(shown.contains(text), "{text} is not in\n{shown}");
        }
        assert!(!shown.contains("Left out") && !shown.contains("local run"), "{shown}");
        let note = "lists only the clients of the documented events, so all others are gone.\n";
        assert!(for_people(&report, true).contains(note));
        assert!(!for_people(&json!({"gone": []}), true).contains(note));
        assert_eq!(shown.matches("\n\n┌").count(), 6, "{shown}");
    }
}
