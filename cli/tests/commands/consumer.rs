//! A consumer of replayed events, whose answers the test gives.

use std::time::Duration;

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header::LOCATION},
    response::{IntoResponse, Response},
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    time::timeout,
};

/// An event as it came, still to be answered.
pub struct Arrival {
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
    answer: oneshot::Sender<(StatusCode, String)>,
}

impl Arrival {
    pub fn id(&self) -> String {
        self.header("webhook-id")
    }

    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    /// Answers the event. Its sender may be gone.
    pub fn answer(self, status: u16, body: &str) {
        let _ = self.answer.send((StatusCode::from_u16(status).unwrap(), body.to_owned()));
    }
}

pub struct Consumer {
    url: String,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
}

impl Consumer {
    pub async fn start() -> Self {
        let (sender, arrivals) = mpsc::unbounded_channel();
        let router = Router::new().fallback(take).with_state(sender);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/in/s3cret?key=s3cret", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { url, arrivals }
    }

    /// Returns the URL. Its secret parts contain `s3cret`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits for the next event. Its arrival is tested, not its speed.
    pub async fn next(&mut self) -> Arrival {
        timeout(Duration::from_secs(60), self.arrivals.recv()).await.expect("an event in time").unwrap()
    }

    /// Takes all events that have arrived, and returns their number.
    pub fn waiting(&mut self) -> usize {
        std::iter::from_fn(|| self.arrivals.try_recv().ok()).count()
    }
}

async fn take(
    State(arrivals): State<mpsc::UnboundedSender<Arrival>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (answer, answered) = oneshot::channel();
    let body = String::from_utf8(body.to_vec()).unwrap();
    arrivals.send(Arrival { path: uri.to_string(), headers, body, answer }).unwrap();
    match answered.await {
        // To itself, so a client that follows it calls again.
        Ok((status, body)) if status.is_redirection() => (status, [(LOCATION, "/elsewhere")], body).into_response(),
        Ok(answer) => answer.into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
