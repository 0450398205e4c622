use std::{fs::File, io::Write, process::Stdio};

use fixtures::{API_KEY, LINE, update};
use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};
use serde_json::json;

use crate::{
    program::{Ended, hooks, run},
    world::{World, objects},
};

/// Runs `hooks` at a terminal, where a person types this.
pub async fn at_terminal(world: &World, arguments: &[&str], typed: &str) -> Ended {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let end = rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let mut terminal = File::from(terminal);
    terminal.write_all(typed.as_bytes()).unwrap();
    let mut hooks = hooks(&world.project, arguments, &[]);
    hooks.stdin(Stdio::from(end));
    run(hooks).await
}

async fn with_keys(name: &str) -> World {
    let world = World::start(name).await;
    world.record(50, &update(1).replace(API_KEY, "an-older-key")).await;
    world.record(40, &update(2)).await;
    world.record(30, &update(3).replace("whatsapp_apiKey", "other")).await;
    world
}

#[tokio::test]
async fn the_key_is_shown_after_a_confirmation() {
    let world = with_keys("key").await;
    for typed in ["y\n", "YES\n"] {
        let shown = at_terminal(&world, &["key", LINE], typed).await;
        let question = format!("Show the API key of {LINE}? [y/N] ");
        assert_eq!(shown, Ended { code: 0, stdout: format!("{API_KEY}\n"), stderr: question });
    }
}

#[tokio::test]
async fn the_key_is_shown_to_nobody_else() {
    let world = with_keys("no-key").await;
    for typed in ["\n", "n\n", "\u{4}"] {
        let refused = at_terminal(&world, &["key", LINE], typed).await;
        // Where Enter was pressed, the terminal itself has begun a line.
        let line_end = if typed.ends_with('\n') { "" } else { "\n" };
        let message =
            format!("Show the API key of {LINE}? [y/N] {line_end}error: nothing was done, as the answer was not yes\n");
        assert_eq!(refused, Ended { code: 1, stdout: String::new(), stderr: message }, "{typed:?}");
    }
    // Without a terminal, and in whatever else is shown.
    let refused = world.hooks(&["key", LINE]).await;
    let message = format!("error: Show the API key of {LINE}? There is no terminal to ask on; give --yes to agree\n");
    assert_eq!(refused, Ended { code: 1, stdout: String::new(), stderr: message });
}

#[tokio::test]
async fn a_script_gets_the_key_with_the_event_that_contained_it() {
    let world = with_keys("key-json").await;
    let script =
        async |arguments: &[&str]| run(hooks(&world.project, &[&["key", "--yes"], arguments].concat(), &[])).await;
    let plain = script(&[LINE]).await;
    assert_eq!(plain, Ended { code: 0, stdout: format!("{API_KEY}\n"), stderr: String::new() });
    let object = script(&[LINE, "--output", "json"]).await;
    let expected = json!({
        "entity": LINE, "api_key": API_KEY, "event_id": world.id(40).to_string(),
        "received_at": world.ago(40).to_string(),
    });
    assert_eq!((object.code, objects(&object.stdout)), (0, vec![expected]));
    let none = script(&["builder#523"]).await;
    let message = "error: there is no API key of builder#523: no event has contained one\n";
    assert_eq!((none.code, none.stdout.as_str(), none.stderr.as_str()), (1, "", message));
}

#[tokio::test]
async fn all_keys_are_printed_after_one_confirmation() {
    let world = with_keys("all-keys").await;
    let other = update(1).replace("972501234567", "972502222222").replace(API_KEY, "second-key-0123456789");
    world.record(20, &other.replace("client-7", "bakery")).await;
    world.record(10, r#"{"event":"builder","builderID":523,"builder_reference":"bakery"}"#).await;
    world.record(5, r#"{"event":"whatsapp","whatsapp_apiKey":"key-of-no-line-0123456"}"#).await;
    let shown = at_terminal(&world, &["key", "--all"], "y\n").await;
    assert_eq!((shown.code, shown.stderr.as_str()), (0, "Show the API keys of up to 2 lines and stores? [y/N] "));
    let expected = format!("whatsapp#972502222222  second-key-0123456789  bakery\n{LINE}  {API_KEY}  client-7\n");
    assert_eq!(shown.stdout, expected, "sorted by the references");
    let of_client = run(hooks(&world.project, &["key", "bakery", "--yes"], &[])).await;
    assert_eq!(of_client.stdout, "second-key-0123456789\n", "the client's bot has no key");
    let objects =
        objects(&run(hooks(&world.project, &["key", "--all", "--yes", "--output", "json"], &[])).await.stdout);
    assert!(objects[1]["entity"] == LINE && objects[1]["api_key"] == API_KEY, "{objects:?}");
    assert_eq!(objects[1]["reference"], "client-7");
    world.record(1, &update(4).replace(API_KEY, "\\u001b]0;second-key-of-it\\u0007")).await;
    let escaped = at_terminal(&world, &["key", "--all"], "y\n").await.stdout;
    assert!(escaped.contains("  \\u{1b}]0;second-key-of-it\\u{7}  ") && !escaped.contains('\u{1b}'), "{escaped}");
    let one = run(hooks(&world.project, &["key", LINE, "--yes"], &[])).await.stdout;
    assert_eq!(one, "\\u{1b}]0;second-key-of-it\\u{7}\n");
    let empty = World::start("no-keys").await;
    for keyless in [false, true] {
        if keyless {
            empty.record(30, &update(3).replace("whatsapp_apiKey", "other")).await;
        }
        let none = run(hooks(&empty.project, &["key", "--all", "--yes"], &[])).await;
        let message = "error: there are no API keys: no event has contained one\n";
        assert_eq!((none.code, none.stdout.as_str(), none.stderr.as_str()), (1, "", message), "{keyless}");
    }
    let refused = world.hooks(&["key", "--all"]).await;
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    for usage in [
        &["key"][..],
        &["key", LINE, "--all"],
        &["key", "--to-secrets-manager", "a/"],
        &["key", "--all", "--to-secrets-manager", "a/"],
    ] {
        assert_eq!(world.hooks(usage).await.code, 2, "{usage:?}");
    }
}
