use crate::{functions, progress::say, world::World};

pub async fn no_secret_is_in_a_log(world: &mut World) {
    for token in world.partner.access_tokens() {
        world.secrets.add(token);
    }
    let logs = functions::logs(&world.emulator).await;
    for function in ["receiver", "redrive", "sync", "publisher", "forwarder"] {
        let written = logs.iter().any(|(group, log)| group.ends_with(function) && !log.is_empty());
        assert!(written, "{function} has logged nothing");
    }
    for (group, log) in logs {
        assert!(!world.secrets.are_in(&log), "a secret is in {group}");
    }
    say("the logs of the functions have no secret in them");
}
