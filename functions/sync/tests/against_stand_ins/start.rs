use std::process::Command;

#[test]
fn a_bad_environment_stops_the_function_with_the_name_of_the_variable() {
    let output = Command::new(env!("CARGO_BIN_EXE_sync")).env_clear().output().unwrap();
    assert!(!output.status.success());
    let log = String::from_utf8_lossy(&output.stdout);
    assert!(log.contains("ERROR") && log.contains("PARTNER_API_BASE_URL: is not set"), "{log}");
}
