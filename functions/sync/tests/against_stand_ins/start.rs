use std::{process::Command, time::Duration};

use emulators::runtime_api::{Function, Outcome, Setup};

#[test]
fn a_bad_environment_stops_the_function_with_the_name_of_the_variable() {
    let output = Command::new(env!("CARGO_BIN_EXE_sync")).env_clear().output().unwrap();
    assert!(!output.status.success());
    let log = String::from_utf8_lossy(&output.stdout);
    assert!(log.contains("ERROR") && log.contains("PARTNER_API_BASE_URL: is not set"), "{log}");
}

#[tokio::test]
async fn the_type_of_a_lambda_error_is_the_name_of_the_cause() {
    let nowhere = "http://127.0.0.1:1";
    let environment = [
        ("PARTNER_API_BASE_URL", nowhere),
        ("PARTNER_SECRET_ID", "partner"),
        ("WEBHOOK_TOKEN_SECRET_ID", "webhook-token"),
        ("WEBHOOK_URL", "https://hooks.example.com/v1/webhook"),
        ("EVENTS_TABLE", "events"),
        ("SEALED_TABLE", "sealed"),
        ("AWS_ENDPOINT_URL", nowhere),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let setup = Setup { binary: env!("CARGO_BIN_EXE_sync").into(), environment, timeout: Duration::from_secs(30) };
    let sync = Function::start(setup).await.unwrap();
    for (event, cause) in [(r#"{"action":"delete"}"#, "BadRequest"), (r#"{"action":"get"}"#, "SecretUnusable")] {
        let (Outcome::Error(error), _) = sync.invoke(event).await else { panic!("{:?}", sync.log()) };
        assert_eq!(error["errorType"], cause, "{error}");
    }
}
