use std::{net::TcpListener, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
    time::timeout,
};
use ureq::Agent;

use crate::{webhook::world::World as Aws, world::World};

/// The page at the address that the command has printed.
async fn start_page(hooks: &mut Child) -> String {
    let mut lines = BufReader::new(hooks.stdout.take().unwrap()).lines();
    let url = timeout(Duration::from_secs(60), lines.next_line()).await.unwrap().unwrap().unwrap();
    let page = tokio::task::spawn_blocking(move || {
        let config = Agent::config_builder().proxy(None).build();
        Agent::new_with_config(config).get(&url).call().unwrap().body_mut().read_to_string().unwrap()
    });
    page.await.unwrap()
}

#[tokio::test]
async fn the_pages_of_a_local_run_are_at_the_address_that_is_printed() {
    let world = World::start("inspect").await;
    world.fill().await;
    let page = start_page(&mut world.start_hooks(&["inspect", "--port", "0"])).await;
    assert!(page.contains("local run</span>") && page.contains(&world.id(20).to_string()), "{page}");
}

#[tokio::test]
async fn the_pages_of_a_stack_have_its_name_and_no_button_that_changes_it() {
    let world = Aws::start("inspect-stack").await;
    let credentials = [("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "local"), ("AWS_REGION", "eu-west-1")];
    let mut hooks = world.start_hooks_of_stack(&["inspect", "--stack", "hooks", "--port", "0"], &credentials);
    let page = start_page(&mut hooks).await;
    assert!(page.contains("stack</span> hooks") && !page.contains("method=\"post\""), "{page}");
}

#[tokio::test]
async fn a_port_that_is_asked_for_and_taken_is_an_error() {
    let world = World::start("inspect-port").await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = world.hooks(&["inspect", "--port", &port]).await;
    let message = format!("error: port {port} of 127.0.0.1 is taken\n");
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr), (1, "", message));
}

#[tokio::test]
async fn behind_a_forwarded_port_the_address_of_the_browser_is_printed() {
    let world = World::start("inspect-address").await;
    let printed = async |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut hooks = world.start_hooks_with(&[&["inspect"], arguments].concat(), environment);
        let mut lines = BufReader::new(hooks.stdout.take().unwrap()).lines();
        let mut printed = Vec::new();
        while printed.len() < 3 {
            printed.push(timeout(Duration::from_secs(60), lines.next_line()).await.unwrap().unwrap().unwrap());
        }
        let [url, _, way] = printed.try_into().unwrap();
        (url, way)
    };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = taken.local_addr().unwrap().port().to_string();
    drop(taken);
    let (url, way) = printed(&["--address", "http://localhost:8080", "--port", &free], &[]).await;
    assert!(url.starts_with("http://localhost:8080/"), "{url}");
    let tunnel = format!("Run `ssh -L 8080:127.0.0.1:{free} <host>` on the browser's machine, then open it there. ");
    assert!(way.starts_with(&tunnel), "{way}");
    let codespace = [("CODESPACE_NAME", "name"), ("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN", "app.github.dev")];
    let (url, way) = printed(&["--port", "0"], &codespace).await;
    let port = url.strip_prefix("https://name-").and_then(|rest| rest.split_once(".app.github.dev/")).unwrap().0;
    assert!(port.parse::<u16>().is_ok_and(|port| port > 0), "{url}");
    assert!(way.starts_with(&format!("Open it in a browser. It must reach port {port} of this machine.")), "{way}");
    let (_, way) = printed(&["--port", "0"], &[]).await;
    assert!(way.starts_with("Open it in a browser on this machine. "), "{way}");
    let refused = world.hooks(&["inspect", "--address", "http://localhost:8080/path"]).await;
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("expected an address without a path"), "{}", refused.stderr);
}
