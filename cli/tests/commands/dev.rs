use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{io::AsyncBufReadExt, sync::mpsc, time::timeout};

use crate::program::{hooks, project, run};

/// Writes a program for the shell.
fn program(file: &Path, script: &str) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o700)).unwrap();
}

#[tokio::test]
async fn the_local_run_posts_to_this_machine_alone() {
    for (url, cause) in [
        ("https://example.com/s3cret", "not on this machine"),
        ("https://127.0.0.1:8080/s3cret", "not on this machine"),
        ("http://example.com/s3cret", "does not begin with https://"),
        ("http://169.254.169.254/s3cret", "does not begin with https://"),
        ("s3cret", "not an absolute URL"),
    ] {
        let refused = run(hooks(Path::new("/"), &["dev", "--once", "--forward", url], &[])).await;
        assert!(refused.code == 2 && refused.stdout.is_empty(), "{url}: {refused:?}");
        assert!(refused.stderr.contains(cause) && !refused.stderr.contains("s3cret"), "{}", refused.stderr);
    }
    let fails = ["dev", "--forward", "http://127.0.0.1:8080/s3cret", "--fail", "consumer"];
    let refused = run(hooks(Path::new("/"), &fails, &[])).await;
    assert!(refused.code == 2 && refused.stderr.contains("--fail consumer"), "{refused:?}");
}

#[tokio::test]
async fn the_address_of_a_forwarded_port_is_an_origin_and_only_a_run_that_stays_has_one() {
    for (arguments, cause) in [
        (&["--address", "http://localhost:8080/path"][..], "expected an address without a path"),
        (&["--address", "http://localhost:8080", "--once"], "cannot be used with"),
    ] {
        let refused = run(hooks(Path::new("/"), &[&["dev"], arguments].concat(), &[])).await;
        assert!(refused.code == 2 && refused.stderr.contains(cause), "{refused:?}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_with_a_fix_before_anything_is_built() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let project = project("taken-port");
    let refused = run(hooks(&project, &["dev", "--once", "--port", &port], &[])).await;
    let message = format!(
        "error: port {port} of 127.0.0.1 cannot be used: address in use\n\
         fix: leave out --port, and the functions get a free one\n"
    );
    assert_eq!((refused.code, refused.stdout.as_str(), refused.stderr), (1, "", message));
}

#[tokio::test]
async fn a_local_run_keeps_running_when_nobody_reads_its_output() {
    let project = project("closed-output");
    let programs = project.join("programs");
    program(&programs.join("cargo-lambda"), "exit 0");
    program(&programs.join("cargo"), "exit 1");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut hooks = hooks(&project, &["dev", "--once"], &[("PATH", programs.to_str().unwrap())]);
    hooks.stdout(writer);
    let ended = hooks.output().await.unwrap();
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert_eq!((ended.status.code(), stderr.as_str()), (Some(1), "error: the functions do not build\n"));
}

/// A project whose `cargo lambda watch` and functions only stay up. Returns it with its PATH, and a line of each of them when it starts.
fn with_functions(name: &str) -> (PathBuf, String, mpsc::UnboundedReceiver<String>) {
    let project = project(name);
    let alive = project.join("alive");
    assert!(Command::new("mkfifo").arg(&alive).status().unwrap().success());
    let hold = |say: &str| format!("exec 9>'{}'\necho {say} >&9\n", alive.display());
    let built = "for name in receiver redrive publisher forwarder sync; do echo \"hooks-dev-built $name\"; done\n";
    program(&project.join("programs/cargo"), "");
    let watch = format!("[ \"$2\" = watch ] || exit 0\n{}{built}exec sleep 100", hold("\"$@\""));
    program(&project.join("programs/cargo-lambda"), &watch);
    for name in ["receiver", "redrive", "publisher", "forwarder", "sync"] {
        program(&project.join(name), &(hold(name) + "exec /bin/sleep 100"));
    }
    // Each process that lives has it open, so it ends after the last of them.
    let (line, lines) = mpsc::unbounded_channel();
    thread::spawn(move || {
        let pipe = BufReader::new(File::open(alive).unwrap());
        pipe.lines().map_while(Result::ok).try_for_each(|read| line.send(read))
    });
    let path = format!("{}:/usr/bin:/bin", project.join("programs").display());
    (project, path, lines)
}

/// Listens as `cargo lambda watch` would, whose line comes first.
async fn called(lines: &mut mpsc::UnboundedReceiver<String>) -> TcpListener {
    let watch = lines.recv().await.unwrap();
    let (_, port) = watch.split_once("--invoke-port ").unwrap();
    TcpListener::bind(("127.0.0.1", port.split(' ').next().unwrap().parse::<u16>().unwrap())).unwrap()
}

#[tokio::test]
async fn the_secret_for_a_server_of_ones_own_can_be_read_before_the_first_post() {
    let (project, path, mut lines) = with_functions("forward-secret");
    let dev = ["dev", "--forward", "http://127.0.0.1:1/events"];
    let mut dev = hooks(&project, &dev, &[("PATH", &path)]);
    let mut dev = dev.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let mut said = tokio::io::BufReader::new(dev.stdout.take().unwrap()).lines();
    let _called = called(&mut lines).await;
    let mut shown = String::new();
    while !shown.contains("\n1. ") {
        shown += &(said.next_line().await.unwrap().unwrap() + "\n");
    }
    assert!(shown.contains("`cargo hooks forward secret`") && !shown.contains("whsec_"), "{shown}");
    let secret = run(hooks(&project, &["forward", "secret", "--yes"], &[])).await;
    assert!(secret.code == 0 && secret.stdout.starts_with("whsec_"), "{secret:?}");
    kill_process(Pid::from_raw(dev.id().unwrap() as i32).unwrap(), Signal::TERM).unwrap();
    dev.wait().await.unwrap();
}

#[tokio::test]
async fn a_run_for_once_leaves_the_logs_of_the_run_that_is_up() {
    let (project, path, mut lines) = with_functions("once-beside");
    // Its run.json is locked, as that of a run that is up.
    let logs = ["event-bus.jsonl", "consumer.jsonl", "functions.log"];
    let folder = project.join("target/hooks");
    let sqs = emulators::sqs::Sqs::start(emulators::sqs::Rules::default()).await.unwrap();
    let dynamodb = emulators::dynamodb::DynamoDb::start().await.unwrap();
    let addresses = ("http://127.0.0.1:9000/v1/webhook", "http://127.0.0.1:9001/api");
    crate::program::remember(&project, addresses, "127.0.0.1:9000".parse().unwrap(), &dynamodb, &sqs);
    for log in logs {
        fs::write(folder.join(log), "of the run that is up\n").unwrap();
    }
    let mut once = hooks(&project, &["dev", "--once"], &[("PATH", &path)]);
    let mut once = once.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let _called = called(&mut lines).await;
    assert_eq!(lines.recv().await.as_deref(), Some("sync"), "the tour begins with it");
    for log in logs {
        assert_eq!(fs::read_to_string(folder.join(log)).unwrap(), "of the run that is up\n", "{log}");
        assert!(folder.join("once").join(log).exists(), "{log}");
    }
    kill_process(Pid::from_raw(once.id().unwrap() as i32).unwrap(), Signal::TERM).unwrap();
    once.wait().await.unwrap();
}

#[tokio::test]
async fn the_functions_end_with_a_local_run_that_is_killed() {
    // A closed terminal ends it as KILL does: without a chance to end the functions itself.
    for signal in [Signal::KILL, Signal::TERM] {
        let (project, path, mut lines) = with_functions(&format!("ended-{}", signal.as_raw()));
        let mut hooks = hooks(&project, &["dev", "--once"], &[("PATH", &path)]);
        let mut hooks = hooks.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();

        let _called = called(&mut lines).await;
        assert_eq!(lines.recv().await.as_deref(), Some("sync"), "the tour begins with it");
        kill_process(Pid::from_raw(hooks.id().unwrap() as i32).unwrap(), signal).unwrap();
        hooks.wait().await.unwrap();
        let ended = timeout(Duration::from_secs(30), lines.recv()).await;
        assert_eq!(ended, Ok(None), "{signal:?}");
    }
}
