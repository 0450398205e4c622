use std::{fs, path::Path};

use serde_json::{Value, json};
use sync::Answer;

use crate::world::{World, as_lambda_error};

#[tokio::test]
async fn every_sample_event_is_carried_out_or_refused_as_its_name_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/sync");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut event: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let world = World::start().await;
        world.deliver(&json!({"event": "whatsapp", "whatsapp": "972501234567"})).await;
        if event["ResponseURL"].as_str().is_some_and(|url| url.starts_with("http://127.0.0.1:")) {
            event["ResponseURL"] = world.cloudformation.response_url().into();
        }
        match (world.invoke(event).await, name.ends_with(".invalid.json")) {
            (Ok(Answer::Report(report)), false) => {
                let action = name.split('.').next().unwrap();
                assert_eq!(report.action, if ["schedule", "empty"].contains(&action) { "sync" } else { action });
            }
            (Ok(Answer::Resolved(_)), false) => {
                assert!(name.starts_with("cloudformation-"));
                assert_eq!(world.cloudformation.take_answers()[0]["Status"], "SUCCESS");
            }
            (Ok(Answer::Lines(report)), false) => {
                assert!(name.starts_with("lines"));
                assert_eq!(report.counts, [("off", 1)].into());
            }
            (Err(error), true) => {
                assert_eq!(as_lambda_error(error)["errorType"], "BadRequest", "{name}");
                assert_eq!(world.partner.calls(), [], "{name}");
            }
            (result, _) => panic!("{name}: {result:?}"),
        }
        seen += 1;
    }
    assert!(seen > 10, "only {seen} samples");
}
