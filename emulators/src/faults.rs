//! A proxy that misbehaves on command: it stands between a function and DynamoDB or SQS, and handles request by request.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::oneshot,
    task::JoinSet,
};

/// The proxy's handling of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// It is carried out and answered.
    None,
    /// It is read and never answered.
    Hang,
    /// It is carried out at once and answered after this time.
    AnswerAfter(Duration),
    /// It is carried out after this time, whether or not the caller is still there.
    CarryOutAfter(Duration),
    /// It is carried out; its answer comes byte by byte, with this pause before each.
    Drip(Duration),
    /// It is not carried out; the answer is an internal error, 500.
    InternalError,
    /// It is not carried out; the answer is that of throttling.
    Throttle,
    /// It is not carried out; the answer is that of a transaction that conflicts with another.
    Conflict,
    /// It is carried out, and the connection is closed without an answer.
    CarryOutAndDrop,
    /// It is carried out; the connection is closed after the first half of its answer.
    HalfAnAnswer,
    /// It is carried out; the answer is an internal error, 500.
    CarryOutAndFail,
    /// It is not carried out; the answer is 200 with something that is not JSON.
    Garbage,
    /// It is not carried out; the answer is not HTTP.
    NotHttp,
}

/// The point at which a request can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// It has arrived, and is not carried out.
    Before,
    /// It is carried out, and not answered yet.
    After,
    /// As [`Point::After`], but its connection does not break: it is answered once the sender is dropped.
    BeforeAnswer,
}

/// A request that is held. Dropping it lets the request's connection break.
#[derive(Debug)]
pub struct Held(oneshot::Receiver<oneshot::Sender<()>>);

impl Held {
    /// Waits until the request has arrived. The returned sender holds it until it is dropped.
    pub async fn reached(self) -> Option<oneshot::Sender<()>> {
        self.0.await.ok()
    }
}

/// Reports that a held request has arrived, and passes on the sender that holds it.
type Reached = oneshot::Sender<oneshot::Sender<()>>;

/// A number of requests with this fault; `None` means all that follow.
type Stretch = (Option<usize>, Fault);

#[derive(Debug, Default)]
struct State {
    plan: VecDeque<Stretch>,
    /// The operation of every request since the last count.
    seen: Vec<String>,
    hold: Option<(usize, Point, Reached)>,
    /// Faults that occur by chance, with their probabilities, in place of the plan.
    chances: Vec<(f64, Fault)>,
}

/// A loopback address in front of a server.
#[derive(Debug)]
pub struct Faults {
    address: SocketAddr,
    upstream: SocketAddr,
    /// Bound and never listening: keeps the port ours while nothing listens, which is when connections are refused.
    _port: TcpSocket,
    state: Arc<Mutex<State>>,
    server: Mutex<Option<JoinSet<()>>>,
}

impl Faults {
    /// Starts a proxy in front of a server given as `http://<address>`.
    ///
    /// # Errors
    /// Fails if the address cannot be read or no port is free.
    pub async fn before(url: &str) -> io::Result<Self> {
        let upstream: SocketAddr = url.trim_start_matches("http://").parse().map_err(io::Error::other)?;
        let port = socket()?;
        port.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = port.local_addr()?;
        let faults = Self { address, upstream, _port: port, state: Arc::default(), server: Mutex::default() };
        faults.listen()?;
        Ok(faults)
    }

    /// Returns its address, to use in place of the server's.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on connections are refused, and open ones are broken.
    pub fn refuse(&self) {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// From now on there are no faults.
    ///
    /// # Errors
    /// Fails if the proxy cannot listen on its port again.
    pub fn recover(&self) -> io::Result<()> {
        let mut state = self.lock();
        (state.plan, state.chances, state.hold) = (VecDeque::new(), Vec::new(), None);
        drop(state);
        if self.server.lock().unwrap_or_else(PoisonError::into_inner).is_some() { Ok(()) } else { self.listen() }
    }

    /// From now on no request is answered, nor its connection closed.
    pub fn hang(&self) {
        self.always(Fault::Hang);
    }

    /// From now on every request has this fault.
    pub fn always(&self, fault: Fault) {
        self.lock().plan = VecDeque::from([(None, fault)]);
    }

    /// The next `times` requests have this fault.
    pub fn times(&self, times: usize, fault: Fault) {
        self.lock().plan.push_back((Some(times), fault));
    }

    /// From now on each request has one of these faults with its probability, or none.
    pub fn by_chance(&self, chances: Vec<(f64, Fault)>) {
        self.lock().chances = chances;
    }

    /// Holds the `n`th request from now on, counted from 0.
    pub fn hold(&self, n: usize, point: Point) -> Held {
        let (reached, held) = oneshot::channel();
        let mut state = self.lock();
        state.seen.clear();
        state.hold = Some((n, point, reached));
        Held(held)
    }

    /// Returns the operations of the requests since the last call, such as `TransactWriteItems`.
    pub fn take_seen(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().seen)
    }

    fn listen(&self) -> io::Result<()> {
        let socket = socket()?;
        socket.bind(self.address)?;
        let listener = socket.listen(1024)?;
        let mut server = JoinSet::new();
        server.spawn(serve(listener, self.upstream, Arc::clone(&self.state)));
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn socket() -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    Ok(socket)
}

async fn serve(listener: TcpListener, upstream: SocketAddr, state: Arc<Mutex<State>>) {
    // They end with this task.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(connection(client, upstream, Arc::clone(&state)));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(mut client: TcpStream, upstream: SocketAddr, state: Arc<Mutex<State>>) {
    // Any error ends the connection, which is what the client sees of it.
    while let Ok(Some(request)) = message(&mut client).await {
        if exchange(&mut client, upstream, &state, &request).await.is_err() {
            return;
        }
    }
}

impl State {
    /// Returns the fault of the next request, and its hold if it is to be held.
    fn next(&mut self, operation: String) -> (Fault, Option<(Point, Reached)>) {
        let n = self.seen.len();
        self.seen.push(operation);
        let hold = self.hold.take_if(|(at, ..)| *at == n).map(|(_, point, reached)| (point, reached));
        let mut dice = fastrand::f64();
        for (probability, fault) in &self.chances {
            if dice < *probability {
                return (*fault, hold);
            }
            dice -= probability;
        }
        let Some((left, fault)) = self.plan.front_mut() else { return (Fault::None, hold) };
        let fault = *fault;
        if let Some(left) = left {
            *left -= 1;
            if *left == 0 {
                self.plan.pop_front();
            }
        }
        (fault, hold)
    }
}

async fn exchange(
    client: &mut TcpStream,
    upstream: SocketAddr,
    state: &Mutex<State>,
    request: &[u8],
) -> io::Result<()> {
    let target = header(request, "x-amz-target").unwrap_or_default();
    let (service, operation) = target.split_once('.').unwrap_or_default();
    let (fault, hold) = lock(state).next(operation.to_owned());
    let point = hold.as_ref().map(|(point, _)| *point);
    let held = async || {
        let Some((_, reached)) = hold else { return };
        let (release, released) = oneshot::channel();
        if reached.send(release).is_ok() {
            // Dropping it is how it is released.
            let _ = released.await;
        }
    };
    if point == Some(Point::Before) {
        held().await;
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    let answer = match fault {
        Fault::Hang => std::future::pending().await,
        Fault::InternalError => failure(500, service, "InternalServerError", ""),
        Fault::Throttle if service == "AmazonSQS" => failure(400, service, "RequestThrottled", ""),
        Fault::Throttle => failure(400, service, "ProvisionedThroughputExceededException", ""),
        Fault::Conflict => failure(
            400,
            service,
            "TransactionCanceledException",
            r#","CancellationReasons":[{"Code":"None"},{"Code":"TransactionConflict","Message":"Transaction is ongoing for the item"}]"#,
        ),
        Fault::Garbage => response(200, "<html>everything is fine</html>"),
        Fault::NotHttp => b"\x15\x03\x01\x00\x02\x02\x28 not the protocol you expect\r\n\r\n".to_vec(),
        Fault::CarryOutAfter(pause) => {
            let (request, done) = (request.to_vec(), oneshot::channel());
            tokio::spawn(async move {
                tokio::time::sleep(pause).await;
                // The caller may have gone.
                let _ = done.0.send(forward(upstream, &request).await);
            });
            done.1.await.map_err(io::Error::other)??
        }
        Fault::None
        | Fault::AnswerAfter(_)
        | Fault::Drip(_)
        | Fault::CarryOutAndDrop
        | Fault::HalfAnAnswer
        | Fault::CarryOutAndFail => forward(upstream, request).await?,
    };
    if point == Some(Point::After) {
        held().await;
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    if point == Some(Point::BeforeAnswer) {
        held().await;
    }
    match fault {
        Fault::CarryOutAndDrop => Err(io::ErrorKind::ConnectionAborted.into()),
        Fault::HalfAnAnswer => {
            client.write_all(&answer[..answer.len() / 2]).await?;
            Err(io::ErrorKind::ConnectionAborted.into())
        }
        Fault::CarryOutAndFail => client.write_all(&failure(500, service, "InternalServerError", "")).await,
        Fault::AnswerAfter(pause) => {
            tokio::time::sleep(pause).await;
            client.write_all(&answer).await
        }
        Fault::Drip(pause) => {
            for byte in answer {
                tokio::time::sleep(pause).await;
                client.write_all(&[byte]).await?;
            }
            Ok(())
        }
        _ => client.write_all(&answer).await,
    }
}

async fn forward(upstream: SocketAddr, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut server = TcpStream::connect(upstream).await?;
    server.write_all(request).await?;
    message(&mut server).await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Reads one HTTP/1.1 message whose head gives its length; `None` at the end of the connection.
async fn message(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let length = header(&bytes, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0_usize);
    while bytes.len() < head + length {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(bytes))
}

fn header<'a>(message: &'a [u8], name: &str) -> Option<&'a str> {
    let end = message.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&message[..end]).ok()?;
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    headers.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn failure(status: u16, service: &str, kind: &str, more: &str) -> Vec<u8> {
    let space = if service == "AmazonSQS" { "com.amazonaws.sqs" } else { "com.amazonaws.dynamodb.v20120810" };
    response(status, &format!(r#"{{"__type":"{space}#{kind}","message":"a fault on command"{more}}}"#))
}

fn response(status: u16, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} Fault\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
