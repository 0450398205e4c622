//! The output of the commands on a terminal.

use std::{fs::File, io::Read, path::Path, process::Stdio, time::SystemTime};

use emulators::partner::Call;
use fixtures::{LINE, update};
use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use serde_json::json;
use shared::{Entity, Timestamp, TokenCheck};
use store::ForwardFailure;
use unicode_width::UnicodeWidthStr;

use crate::{
    dead_letters::{bury, message},
    program::{hooks, run},
    webhook::world::World as WithSync,
    world::World,
};

/// Numbers of 13 and of 15 digits.
const NUMBERS: [&str; 2] = ["5511912345678", "123456789012345"];

const WIDTHS: [u16; 5] = [60, 80, 97, 100, 160];

/// Runs `hooks` on a terminal with this many columns, and returns what is on its screen.
async fn on_screen(project: &Path, columns: u16, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    on_terminal(project, (50, columns), arguments, environment).await
}

/// The same, with this many rows and columns.
async fn on_terminal(
    project: &Path,
    (rows, columns): (u16, u16),
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let end = rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    tcsetwinsize(&end, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let mut command = hooks(project, arguments, environment);
    let mut hooks = command.stdout(Stdio::from(end)).stderr(Stdio::null()).spawn().unwrap();
    // It holds the terminal's other end.
    drop(command);
    let mut terminal = File::from(terminal);
    let read = tokio::task::spawn_blocking(move || {
        let mut shown = Vec::new();
        // The terminal's other end is closed when the program ends.
        let _ = terminal.read_to_end(&mut shown);
        String::from_utf8(shown).unwrap().replace("\r\n", "\n")
    });
    assert!(hooks.wait().await.unwrap().code().is_some());
    read.await.unwrap()
}

async fn world(name: &str) -> World {
    let world = World::start(name).await;
    let reference = reference();
    let event = json!({"event": "builder", "builderID": 523, "builder_reference": reference});
    world.record(55, &event.to_string()).await;
    for (minutes, number) in [50, 49].into_iter().zip(NUMBERS) {
        world.record(minutes, &of_line(number)).await;
    }
    world.record(45, &update(1)).await;
    world.record(44, &update(1)).await;
    world.record(30, "not JSON").await;
    world
}

/// A reference of 300 characters in Hebrew and emoji.
fn reference() -> String {
    "לקוח 🏠 ".repeat(43).chars().take(300).collect()
}

fn of_line(number: &str) -> String {
    json!({"event": "whatsapp", "whatsapp": number, "whatsapp_reference": reference()}).to_string()
}

/// Checks that no line is wider than the terminal. Only tables fit it.
fn assert_fits(shown: &str, columns: u16) {
    for line in shown.lines().filter(|line| line.starts_with(['┌', '│', '╞', '└'])) {
        assert!(line.width() <= usize::from(columns), "{} of {columns}: {line}\n{shown}", line.width());
    }
}

#[tokio::test]
async fn lists_fit_the_terminal() {
    let world = world("terminal").await;
    for columns in [60, 80, 100, 160] {
        for command in [&["events"][..], &["states", "--kind", "whatsapp"], &["quarantine", "list"]] {
            let shown = on_screen(&world.project, columns, command, &[]).await;
            for line in shown.lines() {
                assert!(line.width() <= usize::from(columns), "{} of {columns}: {line}\n{shown}", line.width());
            }
            assert_eq!(shown.contains(LINE), command[0] != "quarantine", "{shown}");
            assert_eq!(shown.contains('┆'), columns > 60 || command[0] == "quarantine", "{columns}: {shown}");
        }
    }
}

#[tokio::test]
async fn a_terminal_without_rows_has_its_columns() {
    let world = world("no-rows").await;
    let shown = on_terminal(&world.project, (0, 80), &["events"], &[]).await;
    assert!(shown.contains('┆'), "{shown}");
    assert_fits(&shown, 80);
}

#[tokio::test]
async fn a_narrow_screen_leaves_out_what_says_the_least() {
    let world = World::start("least").await;
    world.record(45, &update(1)).await;
    let lines = on_screen(&world.project, 80, &["lines"], &[]).await;
    assert!(lines.contains(" ┆ last event "), "{lines}");
    assert!(lines.contains("\nLeft out on this narrow screen: name, onboarding, key.\n"), "{lines}");
    let failure = ForwardFailure {
        id: world.id(45),
        entity: Entity::named(LINE),
        attempts: 5,
        first_attempt_at: world.ago(45),
        last_attempt_at: world.ago(10),
        next_attempt_at: Some(world.ago(1)),
        answer: "503: out of order".to_owned(),
    };
    world.forward_records().record_failure(&failure).await.unwrap();
    let status = on_screen(&world.project, 80, &["forward", "status"], &[]).await;
    assert!(status.contains(&format!("│ {LINE} ┆ …")) && status.contains(" ┆ next attempt "), "{status}");
}

#[tokio::test]
async fn every_command_shows_the_numbers_of_lines_whole() {
    let world = world("numbers").await;
    for (minutes, number) in [50, 49].into_iter().zip(NUMBERS) {
        bury(&world, &message(&world, minutes, of_line(number).as_bytes(), TokenCheck::Accepted)).await;
        for (attempt, next_attempt_at) in [(10, None), (9, Some(world.ago(1)))] {
            let failure = ForwardFailure {
                id: world.id(minutes + attempt),
                entity: Entity::named(format!("whatsapp#{number}")),
                attempts: 5,
                first_attempt_at: world.ago(minutes),
                last_attempt_at: world.ago(attempt),
                next_attempt_at,
                answer: "503: out of order".to_owned(),
            };
            world.forward_records().record_failure(&failure).await.unwrap();
        }
    }
    for columns in WIDTHS {
        for command in [
            &["events"][..],
            &["states", "--kind", "whatsapp"],
            &["lines"],
            &["dlq", "list"],
            &["dlq", "list", "--queue", "forward"],
            &["forward", "status"],
        ] {
            let shown = on_screen(&world.project, columns, command, &[]).await;
            assert_fits(&shown, columns);
            assert!(NUMBERS.iter().all(|number| shown.contains(number)), "{command:?} {columns}\n{shown}");
        }
        for (command, number) in [("line", NUMBERS[0]), ("state", NUMBERS[1])] {
            let shown = on_screen(&world.project, columns, &[command, number], &[]).await;
            assert_fits(&shown, columns);
            assert!(shown.contains(number) && shown.contains(&reference()), "{command} {columns}\n{shown}");
        }
    }
}

#[tokio::test]
async fn reports_show_the_numbers_of_lines_whole_and_local_times() {
    let world = WithSync::start("reports").await;
    world.partner.onboard(NUMBERS[0], Some(&reference()), "key-0");
    assert_eq!(world.hooks(&["inventory"]).await.code, 0);
    world.partner.onboard(NUMBERS[1], Some(&reference()), "key-1");
    let expiration = Timestamp::from(SystemTime::now()).as_secs() + 7 * 24 * 3_600;
    world.partner.list(Call::RegisteredNumbers, [json!({"whatsapp": NUMBERS[0], "expiration": expiration})]);
    let shown = async |columns, command: &[&str]| {
        let shown = on_screen(&world.project, columns, command, &[("TZ", "Asia/Kolkata")]).await;
        assert_fits(&shown, columns);
        shown
    };
    for columns in WIDTHS {
        let plan = shown(columns, &["inventory", "--plan", "--local"]).await;
        assert!(NUMBERS.iter().all(|number| plan.contains(number)), "{columns}\n{plan}");
        assert!(plan.contains("+05:30") && !plan.contains('Z'), "{columns}\n{plan}");
    }
    assert_eq!(world.hooks(&["inventory"]).await.code, 0);
    for columns in WIDTHS {
        let stuck = shown(columns, &["lines", "--stuck", "--local"]).await;
        assert!(stuck.contains(NUMBERS[0]) && stuck.contains("+05:30"), "{columns}\n{stuck}");
        let plan = shown(columns, &["lines", "--plan"]).await;
        assert!(NUMBERS.iter().all(|number| plan.contains(number)), "{columns}\n{plan}");
    }
}

#[tokio::test]
async fn local_times_are_in_every_answer_but_json() {
    let world = world("local-times").await;
    let dead_letter = bury(&world, &message(&world, 50, of_line(NUMBERS[0]).as_bytes(), TokenCheck::Accepted)).await;
    let shown = async |command: &[&str]| {
        run(hooks(&world.project, &[command, &["--local"]].concat(), &[("TZ", "Asia/Kolkata")])).await.stdout
    };
    for command in
        [&["show", &world.id(50).to_string()][..], &["dlq", "show", &dead_letter], &["state", LINE], &["line", LINE]]
    {
        let shown = shown(command).await;
        assert!(shown.contains("+05:30 (") && !shown.contains("Z ("), "{command:?}\n{shown}");
    }
    let status = shown(&["forward", "status"]).await;
    assert!(status.contains("│ 20") && status.contains(":30:00+05:30 ┆"), "hours of receipt\n{status}");
    let line = shown(&["line", LINE, "--output", "json"]).await;
    assert!(line.contains("Z.\"") && !line.contains(" ago)") && !line.contains("+05:30"), "{line}");
}

#[tokio::test]
async fn right_to_left_text_does_not_move_the_text_beside_it() {
    let world = world("isolated").await;
    for command in [&["show", &world.id(50).to_string()][..], &["state", "builder#523"], &["events"], &["lines"]] {
        let shown = on_screen(&world.project, 160, command, &[]).await;
        assert!(shown.contains("\u{2068}לקוח"), "{shown}");
        assert_eq!(shown.matches('\u{2068}').count(), shown.matches('\u{2069}').count(), "{shown}");
    }
}

#[tokio::test]
async fn colours_appear_only_on_terminals_that_allow_them() {
    let world = world("colours").await;
    let coloured = async |environment: &[(&str, &str)]| {
        on_screen(&world.project, 160, &["events"], environment).await.contains("\u{1b}[31mquarantine\u{1b}[0m")
    };
    assert!(coloured(&[("TERM", "xterm-256color")]).await);
    assert!(!coloured(&[("TERM", "xterm-256color"), ("NO_COLOR", "1")]).await);
    assert!(!coloured(&[("TERM", "dumb")]).await);
    assert!(!world.hooks(&["events"]).await.stdout.contains('\u{1b}'));
}
