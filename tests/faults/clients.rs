//! Passes of sync over many clients. They are imported in as many passes as it takes, none counts as missed or gone, and each line is
//! set, or left to the next pass. `CLIENTS=10000` sets the number of lines. Time and memory of each pass are printed; with optimised code:
//! `CLIENTS=10000 cargo test --workspace --profile bench-functions --test clients -- --nocapture`
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed step should end the test; the figures are printed"
)]

mod common;

use std::{fs, time::Instant};

use common::sync::SyncWorld;
use emulators::runtime_api::{Function, Outcome};
use serde_json::{Value, json};

/// Maximum number of passes for an import.
const MAX_PASSES: usize = 50;

/// Carries out a pass and prints its figures.
async fn pass(sync: &Function, event: &Value) -> Value {
    let started = Instant::now();
    let (outcome, _) = sync.invoke(&event.to_string()).await;
    let took = started.elapsed();
    let Outcome::Answer(report) = outcome else { panic!("{outcome:?}: {:?}", sync.log()) };
    let status = fs::read_to_string(format!("/proc/{}/status", sync.process_id().await.unwrap())).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map_or("unknown", str::trim);
    println!(
        "{} {}: {:.1} s, peak memory {peak}; known {}, imported {}, checked {}, left {}",
        report["action"],
        report["outcome"],
        took.as_secs_f64(),
        report["known"],
        report["imported"],
        report["checked"],
        report["left"]
    );
    report
}

fn count(findings: &Value) -> usize {
    findings.as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_are_imported_pass_by_pass_and_none_is_missed_or_gone() {
    let clients: usize = std::env::var("CLIENTS").map_or(25, |clients| clients.parse().unwrap());
    let world = SyncWorld::start().await;
    let partner = &world.partner;
    for n in 0..clients {
        partner.onboard(&(972_500_000_000 + n).to_string(), Some(&format!("client-{n}")), &format!("Key-{n:08}"));
    }
    // Not through the proxies, which take time.
    let sync = world
        .sync(&[
            ("PARTNER_API_BASE_URL", &partner.url()),
            ("LINE_API_BASE_URL", &partner.line_api_url()),
            ("AWS_ENDPOINT_URL_DYNAMODB", &world.world.dynamodb.url()),
            ("MISSED_AFTER_MINUTES", "0"),
            ("LINE_WEBHOOK_URL", "https://bot.example/{whatsapp}"),
        ])
        .await;
    let mut imported = 0;
    for n in 1.. {
        assert!(n <= MAX_PASSES, "{imported} of {clients} are imported");
        let report = pass(&sync, &json!({ "action": "inventory" })).await;
        imported += report["imported"].as_u64().unwrap();
        assert_eq!((count(&report["missed"]), count(&report["gone"])), (0, 0), "{report}");
        if report["outcome"] == "up_to_date" {
            break;
        }
    }
    assert_eq!(imported, clients as u64);
    let report = pass(&sync, &json!({ "action": "lines" })).await;
    assert_eq!(report["lines"], clients);
    // Those that are left are checked by the next pass.
    let (live, left) = (report["counts"]["live"].as_u64().unwrap(), report["left"].as_u64().unwrap());
    assert_eq!(live + left, clients as u64, "{report}");
    assert!(live > 0, "{report}");
}
