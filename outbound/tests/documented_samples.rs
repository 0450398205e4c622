//! The samples in docs/handing-on.md and the libraries of Standard Webhooks verify our signatures, and refuse others. The gate brings
//! the libraries; elsewhere they are tested if they are there.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

use std::{
    io::Write,
    process::{Command, Stdio},
    time::SystemTime,
};

use outbound::{Signer, SigningSecret};
use serde_json::{Value, json};
use shared::{EventId, Timestamp};

const DOCUMENT: &str = include_str!("../../docs/handing-on.md");
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// A language: its fence in the document, its interpreter, and a call of the sample with standard input.
const LANGUAGES: [(&str, &str, &[&str], &str); 3] = [
    (
        "python",
        "python3",
        &["-c"],
        "\nimport json, sys\ncall = json.load(sys.stdin)\n\
         print(str(is_genuine(call['secret'], call['headers'], call['body'].encode())).lower())\n",
    ),
    (
        "js",
        "node",
        &["-e"],
        "\nconst call = JSON.parse(require('node:fs').readFileSync(0));\n\
         console.log(isGenuine(call.secret, call.headers, Buffer.from(call.body)));\n",
    ),
    (
        "php",
        "php",
        &["-r"],
        "\n$call = json_decode(stream_get_contents(STDIN), true);\n\
         echo json_encode(is_genuine($call['secret'], $call['headers'], $call['body'])), \"\\n\";\n",
    ),
];

/// A library: its name, an interpreter, a program that ends well if the library is there, and one that verifies what comes on
/// standard input.
const LIBRARIES: [(&str, &str, &str, &str, &str); 2] = [
    (
        "standardwebhooks of PyPI",
        "python3",
        "-c",
        "import standardwebhooks",
        "import json, sys, standardwebhooks\ncall = json.load(sys.stdin)\n\
         try: standardwebhooks.Webhook(call['secret']).verify(call['body'], call['headers']); print('true')\n\
         except standardwebhooks.WebhookVerificationError: print('false')\n",
    ),
    (
        "standardwebhooks of npm",
        "node",
        "-e",
        "require('standardwebhooks')",
        "const { Webhook, WebhookVerificationError } = require('standardwebhooks');\n\
         const call = JSON.parse(require('node:fs').readFileSync(0));\n\
         try { new Webhook(call.secret).verify(call.body, call.headers); console.log('true'); }\n\
         catch (error) { if (!(error instanceof WebhookVerificationError)) throw error; console.log('false'); }\n",
    ),
];

fn sample(language: &str) -> &'static str {
    let (_, rest) = DOCUMENT.split_once(&format!("\n```{language}\n")).unwrap();
    rest.split_once("\n```\n").unwrap().0.trim_start_matches("<?php")
}

fn call(signed_with: SigningSecret, previous: Option<SigningSecret>, at: Timestamp, body: &str) -> Value {
    let id = EventId::new(at, [7; 8]);
    let signature = Signer::new(signed_with, previous).sign(&id, at, body);
    let headers =
        json!({"webhook-id": id, "webhook-timestamp": at.as_secs().to_string(), "webhook-signature": signature});
    json!({"secret": SECRET, "headers": headers, "body": body})
}

/// Returns calls, and whether each is genuine.
fn calls() -> [(Value, bool); 5] {
    let secret = |text| SigningSecret::parse(text).unwrap();
    let now = Timestamp::from(SystemTime::now());
    let body = r#"{"event":"whatsapp","whatsapp":"972501234567","name":"שלום"}"#;
    let mut changed = call(secret(SECRET), None, now, body);
    changed["body"] = json!(body.replace('7', "8"));
    [
        (call(secret(SECRET), None, now, body), true),
        (call(secret(OTHER), Some(secret(SECRET)), now, body), true),
        (call(secret(OTHER), None, now, body), false),
        (call(secret(SECRET), None, now.minus(std::time::Duration::from_secs(600)), body), false),
        (changed, false),
    ]
}

/// Returns whether a program ends well.
fn is_here(interpreter: &str, arguments: &[&str]) -> bool {
    Command::new(interpreter).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// Returns the output of a program for a call.
fn verify(interpreter: &str, arguments: &[&str], program: &str, call: &Value) -> String {
    let mut program = Command::new(interpreter)
        .args(arguments)
        .arg(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    program.stdin.take().unwrap().write_all(call.to_string().as_bytes()).unwrap();
    let output = program.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn every_sample_whose_interpreter_is_here_takes_our_signatures_and_no_others() {
    let mut ran = Vec::new();
    for (language, interpreter, arguments, end) in LANGUAGES {
        if !is_here(interpreter, &["--version"]) {
            continue;
        }
        let program = format!("{}{end}", sample(language));
        for (call, is_genuine) in &calls() {
            let verified = verify(interpreter, arguments, &program, call);
            assert_eq!(verified, format!("{is_genuine}\n"), "{language}: {call}");
        }
        ran.push(language);
    }
    println!("samples that ran: {ran:?}");
    assert!(LANGUAGES.iter().all(|(language, ..)| sample(language).contains("webhook-signature")));
}

#[test]
fn every_library_that_is_here_takes_our_signatures_and_no_others() {
    let mut ran = Vec::new();
    for (library, interpreter, argument, is_there, program) in LIBRARIES {
        if !is_here(interpreter, &[argument, is_there]) {
            continue;
        }
        for (call, is_genuine) in &calls() {
            assert_eq!(verify(interpreter, &[argument], program, call), format!("{is_genuine}\n"), "{library}: {call}");
        }
        ran.push(library);
    }
    println!("libraries that ran: {ran:?}");
}
