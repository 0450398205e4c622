//! The stand-ins for API Gateway and Lambda in front of the built receiver, as `hooks dev` runs them.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

mod common;

use std::{fs::File, process::Command, time::Duration};

use common::{TOKEN, World, update};
use emulators::{api_gateway, lambda::Lambda, server::Server};
use futures_util::future::join_all;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

struct Gateway {
    world: World,
    lambda: Lambda,
    server: Server,
}

impl Gateway {
    async fn start(timeout: Duration) -> Self {
        let world = World::start().await;
        let lambda = Lambda::new(&["receiver"], File::create("/dev/null").unwrap(), None);
        let mut setup = world.receiver_setup(&world.to_dynamodb.url());
        setup.timeout = timeout;
        setup.environment.push(("ALLOWED_SOURCE_IPS".to_owned(), "127.0.0.1/32".to_owned()));
        lambda.deploy("receiver", setup);
        let router = api_gateway::router(lambda.clone()).merge(lambda.router());
        Self { world, lambda, server: Server::start(0, router).await.unwrap() }
    }

    /// Sends a request, and returns the status and the body of the answer.
    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, Value) {
        let mut connection = TcpStream::connect(self.server.address()).await.unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "host") {
            head += &format!("host: {}\r\n", self.server.address());
        }
        headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
        connection.write_all(&[head.as_bytes(), b"\r\n", body].concat()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(!head.to_lowercase().contains("access-control"), "{head}");
        (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
    }

    async fn post(&self, body: &[u8]) -> (u16, Value) {
        self.send("POST", &format!("/v1/webhook/{TOKEN}"), &[("content-type", "application/json")], body).await
    }

    /// Sends a signal to the processes that wait for an event, and returns their ids.
    fn signal(&self, signal: &str) -> Vec<u32> {
        let processes = self.lambda.waiting_processes("receiver");
        for process in &processes {
            assert!(Command::new("kill").args([signal, &process.to_string()]).status().unwrap().success());
        }
        processes
    }

    /// Kills the processes that wait for an event, and waits until Lambda's stand-in has seen their end.
    async fn kill(&self) {
        for process in self.signal("-KILL") {
            while self.lambda.waiting_processes("receiver").contains(&process) {
                tokio::task::yield_now().await;
            }
        }
    }
}

#[tokio::test]
async fn an_event_goes_by_both_spellings_of_the_path_to_the_receiver_and_nothing_else_does() {
    let gateway = Gateway::start(Duration::from_secs(5)).await;
    let first = gateway.post(update(1, 1).to_string().as_bytes()).await;
    let path = format!("/v1/webhook/{TOKEN}/?a=b&a=c&%ff");
    let again = gateway.send("POST", &path, &[], update(1, 1).to_string().as_bytes()).await;
    assert_eq!((first.0, again.0, &again.1["duplicate_of"]), (200, 200, &first.1["id"]));

    assert_eq!(gateway.send("POST", "/v1/webhook/a-wrong-token", &[], b"{}").await.0, 403);
    for (method, path) in [
        ("GET", format!("/v1/webhook/{TOKEN}")),
        ("POST", "/v1/webhook".to_owned()),
        ("POST", format!("/v1/webhook/{TOKEN}/more")),
        ("POST", format!("/webhook/{TOKEN}")),
    ] {
        assert_eq!(gateway.send(method, &path, &[], b"{}").await.0, 404, "{method} {path}");
    }
    assert_eq!(gateway.post(&vec![b'a'; 5_000_000]).await.0, 413, "more than Lambda accepts");
    assert_eq!(gateway.post(&vec![b'a'; 11_000_000]).await.0, 413);
}

#[tokio::test]
async fn bytes_that_are_not_utf8_are_kept_as_they_came() {
    let gateway = Gateway::start(Duration::from_secs(5)).await;
    let bytes = b"{\"event\":\"whatsapp\xff\xfe\0";
    let (status, answer) = gateway.post(bytes).await;
    assert_eq!((status, &answer["quarantined"]), (200, &Value::Bool(true)), "{answer}");
    let sealed = gateway.world.dynamodb.client().scan().table_name("sealed").send().await.unwrap();
    assert_eq!(sealed.items()[0]["body"].as_b().unwrap().as_ref(), bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_calls_at_once_are_all_answered_and_so_is_the_next() {
    let gateway = Gateway::start(Duration::from_secs(30)).await;
    let bodies: Vec<_> = (0..400).map(|n| update(n, 1).to_string()).collect();
    let answers = join_all(bodies.iter().map(|body| gateway.post(body.as_bytes()))).await;
    assert!(answers.iter().all(|(status, answer)| *status == 200 && answer["id"].is_string()), "{answers:?}");
    assert_eq!(gateway.post(b"{}").await.0, 200);
}

#[tokio::test]
async fn a_receiver_that_was_killed_is_started_again_and_one_that_hangs_holds_up_no_other_call() {
    let gateway = Gateway::start(Duration::from_secs(2)).await;
    let body = update(1, 1).to_string();
    assert_eq!(gateway.post(body.as_bytes()).await.0, 200);
    gateway.kill().await;
    assert_eq!(gateway.post(body.as_bytes()).await.0, 200);
    gateway.signal("-STOP");
    let (hung, other) = tokio::join!(gateway.post(body.as_bytes()), gateway.post(body.as_bytes()));
    assert_eq!([hung.0, other.0].iter().filter(|status| **status == 200).count(), 1, "{hung:?} {other:?}");
    assert_eq!([hung.0, other.0].iter().filter(|status| **status == 502).count(), 1, "{hung:?} {other:?}");
    assert_eq!(gateway.post(body.as_bytes()).await.0, 200);
}

#[tokio::test]
async fn no_web_page_can_call_a_function() {
    let gateway = Gateway::start(Duration::from_secs(5)).await;
    let webhook = format!("/v1/webhook/{TOKEN}");
    for path in [webhook.as_str(), "/2015-03-31/functions/receiver/invocations", "/"] {
        for headers in [
            [("origin", "https://page.example")],
            [("origin", "null")],
            [("sec-fetch-site", "cross-site")],
            [("host", "page.example")],
        ] {
            for method in ["POST", "GET", "OPTIONS"] {
                let (status, _) = gateway.send(method, path, &headers, b"{}").await;
                assert_eq!(status, 403, "{method} {path} {headers:?}");
            }
        }
    }
    let stored = gateway.world.dynamodb.client().scan().table_name("events").send().await.unwrap();
    assert_eq!(stored.count(), 1, "the accepted token alone");
}
