use std::process::Output;

use serde_json::Value;

use super::events::Recorded;
use crate::{progress::say, stack, world::World};

/// What every command ends with that succeeds, `plan` when our URL is registered.
const SUCCESS: i32 = 0;

/// `hooks` on the deployed stack, as its operator runs it.
pub async fn the_stack_is_looked_after_from_the_terminal(world: &World, recorded: &Recorded) {
    for action in ["get", "plan", "sync"] {
        let report = read(world, &["webhook", action]).await;
        assert_eq!((&report["action"], &report["verified"]), (&action.into(), &true.into()), "{report}");
    }
    let before = world.registered();
    let rotated = read(world, &["webhook", "rotate"]).await;
    assert_eq!((&rotated["outcome"], &rotated["verified"]), (&"updated".into(), &true.into()), "{rotated}");
    assert!(world.registered() != before, "the registered URL has no new token");
    let set = read(world, &["webhook", "set"]).await;
    assert_eq!((&set["action"], &set["verified"]), (&"set".into(), &true.into()), "{set}");
    let status = read(world, &["webhook", "status"]).await;
    assert_eq!(status["registered"], set["registered"], "{status}");
    assert!(status["changes_in_all"].as_u64() > Some(3), "{status}");
    let id = recorded.id.to_string();
    assert_eq!(read(world, &["show", &id]).await["id"], id.as_str());
    assert_eq!(read(world, &["state", recorded.entity.as_str()]).await["entity"], recorded.entity.as_str());
    say("the registration, an event and a state are seen, and the token replaced, with hooks --stack");
}

async fn read(world: &World, arguments: &[&str]) -> Value {
    let mut hooks = world.tools.command("cargo");
    world.emulator.in_place_of_aws(&mut hooks);
    hooks.args(["hooks"]).args(arguments).args(["--stack", stack::NAME, "--region", "us-east-1", "--output", "json"]);
    let Output { status, stdout, stderr } = hooks.output().await.unwrap();
    let stderr = world.secrets.masked(&String::from_utf8_lossy(&stderr));
    assert_eq!(status.code(), Some(SUCCESS), "{arguments:?}: {stderr}");
    serde_json::from_slice(&stdout).unwrap()
}
