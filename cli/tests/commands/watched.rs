use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use tokio::net::TcpListener;

/// A proxy between the table and a command, which logs the requests.
#[derive(Clone)]
pub struct Watched {
    upstream: Arc<String>,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl Watched {
    /// Its address, and itself.
    pub async fn start(upstream: String) -> (String, Self) {
        let watched = Self { upstream: Arc::new(upstream), bodies: Arc::default() };
        let router = Router::new().fallback(pass_on).with_state(watched.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router).into_future());
        (url, watched)
    }

    /// The bodies of the requests since the last time.
    pub fn bodies(&self) -> Vec<String> {
        std::mem::take(&mut self.bodies.lock().unwrap())
    }
}

async fn pass_on(State(watched): State<Watched>, headers: HeaderMap, body: Bytes) -> Response {
    watched.bodies.lock().unwrap().push(String::from_utf8(body.to_vec()).unwrap());
    let url = watched.upstream.to_string();
    let answer = tokio::task::spawn_blocking(move || {
        let config = ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build();
        let mut request = ureq::Agent::new_with_config(config).post(&url);
        for (name, value) in headers.iter().filter(|(name, _)| !["host", "content-length"].contains(&name.as_str())) {
            request = request.header(name, value);
        }
        let mut answer = request.send(&body[..]).unwrap();
        (answer.status(), answer.body_mut().read_to_vec().unwrap())
    });
    let (status, body) = answer.await.unwrap();
    (status, body).into_response()
}
