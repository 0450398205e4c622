use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::program::{hooks, project, run};

#[tokio::test]
async fn the_local_run_posts_to_this_machine_alone() {
    for (url, cause) in [
        ("https://example.com/s3cret", "not on this machine"),
        ("https://127.0.0.1:8080/s3cret", "not on this machine"),
        ("http://example.com/s3cret", "not https"),
        ("http://169.254.169.254/s3cret", "not https"),
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
    fs::create_dir(&programs).unwrap();
    for (name, code) in [("cargo-lambda", 0), ("cargo", 1)] {
        let program = programs.join(name);
        fs::write(&program, format!("#!/bin/sh\nexit {code}\n")).unwrap();
        fs::set_permissions(program, fs::Permissions::from_mode(0o700)).unwrap();
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut hooks = hooks(&project, &["dev", "--once"], &[("PATH", programs.to_str().unwrap())]);
    hooks.stdout(writer);
    let ended = hooks.output().await.unwrap();
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert_eq!((ended.status.code(), stderr.as_str()), (Some(1), "error: the functions do not build\n"));
}
