//! A proxy between a function and a server: terminates TLS, records the requests, and can replay answers.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1::SendRequest,
    header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// The effect on a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// The server behind answers.
    Forward,
    /// The server behind answers, and reports the write units of each write.
    Count,
    /// The last successful answer to the same operation is sent again, without asking the server behind.
    Replay,
}

/// A loopback address in front of a server. It ends when this is dropped.
pub struct Front {
    url: String,
    board: Arc<Board>,
    server: JoinHandle<()>,
}

struct Board {
    /// The server's address: `127.0.0.1:8000`.
    upstream: String,
    state: Mutex<State>,
}

struct State {
    mode: Mode,
    exchanges: Vec<Exchange>,
    learned: HashMap<String, Answer>,
}

type Answer = (StatusCode, HeaderMap, Bytes);
type Upstream = tokio::sync::Mutex<Option<SendRequest<Full<Bytes>>>>;

/// A request and its answer.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    /// True when the operation changes something.
    pub is_write: bool,
    /// The status of the answer.
    pub status: StatusCode,
    /// The write units that it consumed, when they were asked for.
    pub units: Units,
}

/// Consumed write units.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Units {
    /// Of tables.
    pub tables: f64,
    /// Of their indexes.
    pub indexes: f64,
}

fn operation<'a>(headers: &'a HeaderMap, path: &'a str) -> &'a str {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    target.and_then(|target| target.split_once('.')).map_or(path, |(_, operation)| operation)
}

/// Returns what an answer is learned for: the operation, and for a single item also its kind, such as `event#`.
fn question(operation: &str, body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let key = |name: &str| body["Key"][name]["S"].as_str().unwrap_or_default();
    let kind = key("sk").split_inclusive('#').next().unwrap_or_default();
    // The failed events have the sort key of an event, in a partition of their own.
    let partition = key("pk").split('#').next().unwrap_or_default();
    format!("{operation} {partition} {kind}")
}

fn is_write(operation: &str) -> bool {
    ["PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem"].contains(&operation)
}

impl Front {
    /// Starts a TLS proxy in front of a server given as `http://<address>`.
    ///
    /// # Errors
    /// Fails when no port is free.
    pub async fn start(url: &str, tls: TlsAcceptor) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let upstream = url.trim_start_matches("http://").split('/').next().unwrap_or_default().to_owned();
        let state = State { mode: Mode::Forward, exchanges: Vec::new(), learned: HashMap::new() };
        let board = Arc::new(Board { upstream, state: Mutex::new(state) });
        let served = Arc::clone(&board);
        let server = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, tls.clone(), Arc::clone(&served)));
            }
        });
        Ok(Self { url: format!("https://localhost:{port}"), board, server })
    }

    /// Its address, to use in place of the server's.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sets what happens to requests from now on.
    pub fn set_mode(&self, mode: Mode) {
        self.board.lock().mode = mode;
    }

    /// Takes the requests since the last call.
    pub fn take(&self) -> Vec<Exchange> {
        std::mem::take(&mut self.board.lock().exchanges)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn request(method: &Method, path: &str, headers: &HeaderMap, body: Bytes) -> Result<Request<Full<Bytes>>> {
    let mut request = Request::builder().method(method).uri(path).body(Full::new(body))?;
    *request.headers_mut() = end_to_end(headers.clone());
    Ok(request)
}

/// Without the headers that are about one connection, or one length of the body.
fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers
}

async fn handshake(stream: TcpStream) -> Result<SendRequest<Full<Bytes>>> {
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // The next request learns of it.
        let _ = connection.await;
    });
    Ok(sender)
}

async fn serve(client: TcpStream, tls: TlsAcceptor, board: Arc<Board>) {
    // A client may go at any time, and notices itself what it did not get.
    let _ = client.set_nodelay(true);
    let Ok(client) = tls.accept(client).await else { return };
    let upstream = Arc::new(Upstream::default());
    let service = service_fn(move |request| {
        let (board, upstream) = (Arc::clone(&board), Arc::clone(&upstream));
        async move { Ok::<_, Infallible>(board.answer(request, &upstream).await) }
    });
    // As above.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(client), service).await;
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>, upstream: &Upstream) -> Response<Full<Bytes>> {
        let (status, headers, body) = match self.exchange(request, upstream).await {
            Ok(answer) => answer,
            Err(error) => (StatusCode::BAD_GATEWAY, HeaderMap::new(), error.to_string().into()),
        };
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    async fn exchange(&self, request: Request<Incoming>, upstream: &Upstream) -> Result<Answer> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let path = head.uri.path().to_owned();
        let operation = operation(&head.headers, &path).to_owned();
        let asked = question(&operation, &body);
        let mode = self.lock().mode;
        let answer = match mode {
            Mode::Replay => self.lock().learned.get(&asked).cloned(),
            Mode::Count if is_write(&operation) => {
                let asked = ask_for_capacity(&body)?;
                Some(self.forward(&head.method, &path, &head.headers, asked, upstream).await?)
            }
            Mode::Forward | Mode::Count => {
                Some(self.forward(&head.method, &path, &head.headers, body, upstream).await?)
            }
        };
        let Some(answer) = answer else { bail!("{operation} has not been answered before") };
        let units = if mode == Mode::Count { consumed(&answer.2) } else { Units::default() };
        let (is_write, status) = (is_write(&operation), answer.0);
        let mut state = self.lock();
        if mode == Mode::Forward && answer.0 == StatusCode::OK {
            state.learned.insert(asked, answer.clone());
        }
        state.exchanges.push(Exchange { is_write, status, units });
        Ok(answer)
    }

    async fn forward(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        body: Bytes,
        upstream: &Upstream,
    ) -> Result<Answer> {
        let mut upstream = upstream.lock().await;
        let open = match upstream.as_mut() {
            Some(open) => open.ready().await.is_ok(),
            None => false,
        };
        if !open {
            let stream = TcpStream::connect(&self.upstream).await?;
            stream.set_nodelay(true)?;
            *upstream = Some(handshake(stream).await?);
        }
        let sender = upstream.as_mut().context("there is no connection")?;
        let response = sender.send_request(request(method, path, headers, body)?).await?;
        let (head, body) = response.into_parts();
        Ok((head.status, end_to_end(head.headers), body.collect().await?.to_bytes()))
    }
}

fn ask_for_capacity(body: &[u8]) -> Result<Bytes> {
    let mut body: Value = serde_json::from_slice(body)?;
    body["ReturnConsumedCapacity"] = "INDEXES".into();
    Ok(body.to_string().into())
}

/// What DynamoDB says that a write has consumed; nothing, where it does not say it.
fn consumed(answer: &[u8]) -> Units {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let tables = match &answer["ConsumedCapacity"] {
        Value::Array(tables) => tables.as_slice(),
        one @ Value::Object(_) => std::slice::from_ref(one),
        _ => &[],
    };
    let units = |capacity: &Value| {
        capacity["WriteCapacityUnits"].as_f64().or(capacity["CapacityUnits"].as_f64()).unwrap_or_default()
    };
    let mut sum = Units::default();
    for table in tables {
        sum.tables += units(&table["Table"]);
        sum.indexes +=
            table["GlobalSecondaryIndexes"].as_object().into_iter().flatten().map(|(_, of)| units(of)).sum::<f64>();
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_units_of_a_transaction_and_of_a_single_write_are_read() {
        let table = r#"{"TableName":"events","Table":{"WriteCapacityUnits":4.0},"GlobalSecondaryIndexes":{"by-time":{"CapacityUnits":1.0},"by-status":{"CapacityUnits":2.0}}}"#;
        let units = Units { tables: 4.0, indexes: 3.0 };
        assert_eq!(consumed(format!(r#"{{"ConsumedCapacity":{table}}}"#).as_bytes()), units);
        let twice = Units { tables: 8.0, indexes: 6.0 };
        assert_eq!(consumed(format!(r#"{{"ConsumedCapacity":[{table},{table}]}}"#).as_bytes()), twice);
        assert_eq!(consumed(b"{}"), Units::default());
    }
}
