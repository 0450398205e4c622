use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use shared::{EventId, Timestamp};
use store::{Change, ChangeKind, Registration};

use super::world::{FOREIGN, World};

const OURS: &str = "https://hooks.example.com/v1/webhook/***2b72";
const OTHER: &str = "https://other.example/in/***66aa";

/// A moment some minutes ago. The half minute keeps "2 h ago" from becoming 3 while the test runs.
fn ago(now: Timestamp, minutes: u64) -> Timestamp {
    now.minus(Duration::from_secs(minutes * 60 + 30))
}

#[tokio::test]
async fn the_history_is_read_from_the_table() {
    let world = World::start("status").await;
    let now = Timestamp::from(SystemTime::now());
    let change = |minutes: u64, kind, registered: &str, not_ours: Option<(u64, u64)>, cause: Option<&str>| Change {
        id: EventId::new(ago(now, minutes), [7; 8]),
        at: ago(now, minutes),
        kind,
        action: "sync".to_owned(),
        registered: Some(registered.to_owned()),
        not_ours: not_ours.map(|(from, until)| ago(now, from)..ago(now, until)),
        cause: cause.map(str::to_owned),
    };
    let changes = [
        change(1_000, ChangeKind::Registered, OURS, None, None),
        change(400, ChangeKind::Drift, OTHER, Some((460, 400)), None),
        change(340, ChangeKind::Repaired, OURS, Some((460, 340)), None),
        change(200, ChangeKind::Failed, OURS, None, Some("PartnerUnreachable")),
        change(150, ChangeKind::Drift, OTHER, Some((260, 150)), None),
        change(140, ChangeKind::Returned, OURS, Some((260, 140)), None),
    ];
    let state = Registration {
        checked_at: Some(ago(now, 20)),
        registered: Some(OURS.to_owned()),
        ours_at: Some(ago(now, 20)),
        ..Registration::default()
    };
    world.ledger().write(&state, &changes).await.unwrap();
    // Minutes in place of times, which differ in every run.
    let shown = |output: &str| {
        (0..1_001).fold(output.to_owned(), |output, minutes| {
            let time = ago(now, minutes).to_string();
            output.replace(&time, &format!("-{minutes}")).replace(&format!("{}Z", &time[..19]), &format!("-{minutes}"))
        })
    };

    let table = world.webhook(&["status", "--limit", "5", "--since", "2d"]).await;
    assert_eq!((table.code, table.stderr.as_str()), (0, ""));
    let table = shown(&table.stdout);
    let lines: Vec<String> = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let since = lines[lines.len() - 2].split_whitespace().nth(5).unwrap().trim_end_matches(';').to_owned();
    let expected = [
        "registered https://hooks.example.com/v1/webhook/***2b72, ours since -140 (2 h ago)",
        "checked -20 (20 min ago)",
        "",
        "│ time ┆ what ┆ by ┆ registered then ┆ not ours from ┆ for │",
        "│ -140 ┆ returned ┆ sync ┆ https://hooks.example.com/v1/webhook/***2b72 ┆ -260 ┆ 120 min │",
        "│ -150 ┆ drift ┆ sync ┆ https://other.example/in/***66aa ┆ ┆ │",
        "│ -200 ┆ failed: PartnerUnreachable ┆ sync ┆ https://hooks.example.com/v1/webhook/***2b72 ┆ ┆ │",
        "│ -340 ┆ repaired ┆ sync ┆ https://hooks.example.com/v1/webhook/***2b72 ┆ -460 ┆ 120 min │",
        "│ -400 ┆ drift ┆ sync ┆ https://other.example/in/***66aa ┆ ┆ │",
        &format!("5 of 6 changes since {since}; --limit shows more."),
        "Since -1000 the webhook may have pointed elsewhere for a total of 240 min.",
    ];
    let is_frame = |line: &&String| line.starts_with(['┌', '╞', '└']);
    let lines: Vec<&String> = lines.iter().filter(|line| !is_frame(line)).collect();
    assert_eq!(lines, expected.iter().collect::<Vec<_>>(), "{table}");

    let json = world.webhook(&["status", "--limit", "1", "--since", "300m", "--output", "json"]).await;
    assert_eq!((json.code, json.stdout.lines().count()), (0, 1));
    let mut status: Value = serde_json::from_str(&shown(&json.stdout)).unwrap();
    status["times"] = Value::Null;
    status["changes"][0]["id"] = Value::Null;
    let expected = json!({
        "registered": OURS, "whereabouts": "ours", "since": "-140", "checked_at": "-20", "ours_at": "-20",
        "elsewhere_since": null, "failing_since": null, "failure": null, "contested": false, "rival": null,
        "times": null, "not_ours_seconds": 120 * 60, "changes_in_all": 3,
        "changes": [{
            "id": null, "at": "-140", "change": "returned", "action": "sync", "registered": OURS,
            "not_ours": { "from": "-260", "until": "-140" }, "cause": null,
        }],
    });
    assert_eq!(status, expected);
}

#[tokio::test]
async fn status_shows_the_state_and_the_ledger_that_sync_wrote() {
    let world = World::start("status-of-sync").await;
    let empty = world.webhook(&["status"]).await;
    assert_eq!(empty.code, 0);
    assert!(empty.stdout.starts_with("registered  unknown: no check has been recorded yet\n"), "{}", empty.stdout);

    assert_eq!(world.webhook(&["sync"]).await.code, 0);
    for _ in 0..3 {
        world.partner.register(Some(FOREIGN));
        assert_eq!(world.webhook(&["sync"]).await.code, 0);
    }
    world.partner.register(Some(FOREIGN));
    let contested = world.webhook(&["sync"]).await;
    assert_eq!(contested.code, 1);
    assert!(contested.stderr.starts_with("error: Contested: another URL (https://other.example/in/***66aa)"));

    let status = world.webhook(&["status"]).await.stdout;
    for line in [
        "registered  https://other.example/in/***66aa, not ours since 20",
        "\nours until  at least 20",
        "\ncompeting   https://other.example/in/***66aa, replaced by ours 3 times, last 20",
        "\ncontested   the competing URL kept coming back, so sync stopped replacing it at 20",
        "┆ contested  ┆ sync ┆ https://other.example/in/***66aa",
    ] {
        assert!(status.contains(line), "{line}\n{status}");
    }
    let status = world.webhook(&["status", "--output", "json"]).await.stdout;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!((&status["contested"], &status["rival"]["repairs"]), (&json!(true), &json!(3)));

    assert_eq!(world.webhook(&["set", "--yes"]).await.code, 0);
    let status = world.webhook(&["status"]).await.stdout;
    assert!(status.contains("***2b72, ours since 20") && !status.contains("\ncontested  "), "{status}");
}
