//! The output of the commands on a terminal.

use std::{fs::File, io::Read, process::Stdio};

use fixtures::{LINE, update};
use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use serde_json::json;

use crate::{program::hooks, world::World};

/// Runs `hooks` on a terminal with this many columns, and returns what is on its screen.
async fn on_screen(world: &World, columns: u16, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let end = rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    tcsetwinsize(&end, Winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let mut command = hooks(&world.project, arguments, environment);
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
    let reference = "לקוח 🏠 ".repeat(40);
    let event = json!({"event": "whatsapp", "whatsapp": "972501234567", "whatsapp_reference": reference.trim()});
    world.record(50, &event.to_string()).await;
    world.record(45, &update(1)).await;
    world.record(44, &update(1)).await;
    world.record(30, "not JSON").await;
    world
}

#[tokio::test]
async fn lists_fit_the_terminal_and_show_every_number_whole() {
    let world = world("terminal").await;
    for columns in [60, 80, 100, 160] {
        for command in [&["events"][..], &["states", "--kind", "whatsapp"], &["quarantine", "list"]] {
            let shown = on_screen(&world, columns, command, &[]).await;
            // Marks that isolate text have no width, and an emoji has two columns.
            let width = |line: &str| {
                let letters = line.chars().filter(|letter| !"\u{2068}\u{2069}".contains(*letter));
                letters.map(|letter| if letter == '🏠' { 2 } else { 1 }).sum::<usize>()
            };
            for line in shown.lines() {
                assert!(width(line) <= usize::from(columns), "{} of {columns}: {line}\n{shown}", width(line));
            }
            assert_eq!(shown.contains(LINE), command[0] != "quarantine", "{shown}");
            assert_eq!(shown.contains('┆'), columns > 60 || command[0] == "quarantine", "{columns}: {shown}");
        }
    }
}

#[tokio::test]
async fn right_to_left_text_does_not_move_the_text_beside_it() {
    let world = world("isolated").await;
    for command in [&["show", &world.id(50).to_string()][..], &["state", LINE], &["events"]] {
        let shown = on_screen(&world, 160, command, &[]).await;
        assert!(shown.contains("\u{2068}לקוח") || command[0] == "state", "{shown}");
        assert_eq!(shown.matches('\u{2068}').count(), shown.matches('\u{2069}').count(), "{shown}");
    }
}

#[tokio::test]
async fn colours_appear_only_on_terminals_that_allow_them() {
    let world = world("colours").await;
    let coloured = async |environment: &[(&str, &str)]| {
        on_screen(&world, 160, &["events"], environment).await.contains("\u{1b}[31mquarantine\u{1b}[0m")
    };
    assert!(coloured(&[("TERM", "xterm-256color")]).await);
    assert!(!coloured(&[("TERM", "xterm-256color"), ("NO_COLOR", "1")]).await);
    assert!(!coloured(&[("TERM", "dumb")]).await);
    assert!(!world.hooks(&["events"]).await.stdout.contains('\u{1b}'));
}
