//! What stands between a function and a server: it ends TLS, keeps what was asked, and can answer by itself.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
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
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::tls::Authority;

/// What is done with a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// The server behind answers.
    Forward,
    /// The server behind answers, and is asked what a write consumes.
    Count,
    /// It is answered as the server behind has answered the last such operation that went well, without asking it.
    Replay,
}

/// A loopback address in front of a server. It ends when this is dropped.
pub struct Front {
    url: String,
    port: u16,
    tls: bool,
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

/// A request and what became of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// When it came.
    pub at: Instant,
    /// Its method.
    pub method: Method,
    /// Its path.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// The status of its answer.
    pub status: StatusCode,
    /// What it consumed, if that was asked.
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

impl Exchange {
    /// What was asked for: `PutItem`, or a path where there is no such name.
    pub fn operation(&self) -> &str {
        operation(&self.headers, &self.path)
    }

    /// Whether it would have changed something.
    pub fn is_write(&self) -> bool {
        is_write(self.operation())
    }
}

fn operation<'a>(headers: &'a HeaderMap, path: &'a str) -> &'a str {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    target.and_then(|target| target.split_once('.')).map_or(path, |(_, operation)| operation)
}

fn is_write(operation: &str) -> bool {
    ["PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem"].contains(&operation)
}

impl Front {
    /// Stands in front of a server given as `http://<address>`, with TLS.
    ///
    /// # Errors
    /// When no port is to be had.
    pub async fn with_tls(url: &str, tls: TlsAcceptor) -> io::Result<Self> {
        Self::start(url, Some(tls)).await
    }

    /// The same without TLS.
    ///
    /// # Errors
    /// When no port is to be had.
    pub async fn without_tls(url: &str) -> io::Result<Self> {
        Self::start(url, None).await
    }

    async fn start(url: &str, tls: Option<TlsAcceptor>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let upstream = url.trim_start_matches("http://").split('/').next().unwrap_or_default().to_owned();
        let state = State { mode: Mode::Forward, exchanges: Vec::new(), learned: HashMap::new() };
        let board = Arc::new(Board { upstream, state: Mutex::new(state) });
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (url, has_tls) = (format!("{scheme}://localhost:{port}"), tls.is_some());
        let served = Arc::clone(&board);
        let server = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(accepted(client, tls.clone(), Arc::clone(&served)));
            }
        });
        Ok(Self { url, port, tls: has_tls, board, server })
    }

    /// Its address, to use in place of the server's.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it does from now on.
    pub fn set_mode(&self, mode: Mode) {
        self.board.lock().mode = mode;
    }

    /// The requests since the last call.
    pub fn take(&self) -> Vec<Exchange> {
        std::mem::take(&mut self.board.lock().exchanges)
    }

    /// The way to it for a client that does nothing but HTTP. Each has a TLS session of its own, as with servers that have
    /// different names.
    ///
    /// # Errors
    /// When the authority's certificate is none.
    pub fn door(&self, authority: &Authority) -> Result<Door> {
        let tls = if self.tls { Some(authority.connector()?) } else { None };
        Ok(Door { port: self.port, tls })
    }
}

/// The way to a [`Front`].
pub struct Door {
    port: u16,
    tls: Option<TlsConnector>,
}

impl Door {
    /// A new connection.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            Some(tls) => handshake(tls.connect("localhost".try_into()?, stream).await?).await,
            None => handshake(stream).await,
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Sends a request, as it was sent before, over a connection.
///
/// # Errors
/// When there is no answer.
pub async fn send(connection: &mut SendRequest<Full<Bytes>>, exchange: &Exchange) -> Result<()> {
    let request = request(&exchange.method, &exchange.path, &exchange.headers, exchange.body.clone())?;
    connection.ready().await?;
    connection.send_request(request).await?.into_body().collect().await?;
    Ok(())
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

async fn handshake<S>(stream: S) -> Result<SendRequest<Full<Bytes>>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // Whoever sends next learns of it.
        let _ = connection.await;
    });
    Ok(sender)
}

async fn accepted(client: TcpStream, tls: Option<TlsAcceptor>, board: Arc<Board>) {
    // A client may go at any time; what it did not get it notices itself.
    let _ = client.set_nodelay(true);
    match tls {
        None => serve(client, board).await,
        Some(tls) => {
            if let Ok(client) = tls.accept(client).await {
                serve(client, board).await;
            }
        }
    }
}

async fn serve<S>(client: S, board: Arc<Board>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
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
        let at = Instant::now();
        let (status, headers, body) = match self.exchange(at, request, upstream).await {
            Ok(answer) => answer,
            Err(error) => (StatusCode::BAD_GATEWAY, HeaderMap::new(), error.to_string().into()),
        };
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    async fn exchange(&self, at: Instant, request: Request<Incoming>, upstream: &Upstream) -> Result<Answer> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let path = head.uri.path().to_owned();
        let operation = operation(&head.headers, &path).to_owned();
        let mode = self.lock().mode;
        let answer = match mode {
            Mode::Replay => self.lock().learned.get(&operation).cloned(),
            Mode::Count if is_write(&operation) => {
                let asked = ask_for_capacity(&body)?;
                Some(self.forward(&head.method, &path, &head.headers, asked, upstream).await?)
            }
            Mode::Forward | Mode::Count => {
                Some(self.forward(&head.method, &path, &head.headers, body.clone(), upstream).await?)
            }
        };
        let Some(answer) = answer else { bail!("{operation} has not been answered before") };
        let units = if mode == Mode::Count { consumed(&answer.2) } else { Units::default() };
        let mut state = self.lock();
        if mode == Mode::Forward && answer.0 == StatusCode::OK {
            state.learned.insert(operation, answer.clone());
        }
        let (method, headers, status) = (head.method, head.headers, answer.0);
        state.exchanges.push(Exchange { at, method, path, headers, body, status, units });
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
    fn what_a_transaction_and_what_one_write_has_consumed_is_read() {
        let table = r#"{"TableName":"events","Table":{"WriteCapacityUnits":4.0},"GlobalSecondaryIndexes":{"by-time":{"CapacityUnits":1.0},"by-status":{"CapacityUnits":2.0}}}"#;
        let units = Units { tables: 4.0, indexes: 3.0 };
        assert_eq!(consumed(format!(r#"{{"ConsumedCapacity":{table}}}"#).as_bytes()), units);
        let twice = Units { tables: 8.0, indexes: 6.0 };
        assert_eq!(consumed(format!(r#"{{"ConsumedCapacity":[{table},{table}]}}"#).as_bytes()), twice);
        assert_eq!(consumed(b"{}"), Units::default());
    }
}
