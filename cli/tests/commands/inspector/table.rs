use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use tokio::net::TcpListener;

/// What stands between the table and a command: writes down what is asked, and refuses it on command.
#[derive(Clone)]
pub struct Watched {
    upstream: Arc<String>,
    asked: Arc<Mutex<Vec<Asked>>>,
    is_out: Arc<AtomicBool>,
}

struct Asked {
    operation: String,
    body: String,
}

impl Watched {
    /// Its address, and itself.
    pub async fn start(upstream: String) -> (String, Self) {
        let watched = Self { upstream: Arc::new(upstream), asked: Arc::default(), is_out: Arc::default() };
        let router = Router::new().fallback(pass_on).with_state(watched.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router).into_future());
        (url, watched)
    }

    /// What was asked since the last time, by the names of the operations.
    pub fn asked(&self) -> Vec<String> {
        self.take().into_iter().map(|asked| asked.operation).collect()
    }

    /// The same, by what they say.
    pub fn bodies(&self) -> Vec<String> {
        self.take().into_iter().map(|asked| asked.body).collect()
    }

    fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// From now on everything is refused, or nothing.
    pub fn set_out(&self, is_out: bool) {
        self.is_out.store(is_out, Ordering::SeqCst);
    }
}

async fn pass_on(State(watched): State<Watched>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers["x-amz-target"].to_str().unwrap().to_owned();
    let operation = target.rsplit('.').next().unwrap().to_owned();
    let asked = Asked { operation, body: String::from_utf8(body.to_vec()).unwrap() };
    watched.asked.lock().unwrap().push(asked);
    if watched.is_out.load(Ordering::SeqCst) {
        let error = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ValidationException","message":"out on command"}"#;
        return (StatusCode::BAD_REQUEST, error).into_response();
    }
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
