//! A stand-in for the Lambda Runtime API: runs a built function binary, hands it events, collects its answers and its log.

use std::{
    collections::HashMap,
    fs::File,
    io,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::{Notify, oneshot, watch},
};

use crate::server::Server;

/// The maximum size of an event, and of an answer, in bytes.
pub(crate) const MAX_PAYLOAD: usize = 6 * 1024 * 1024;

/// The maximum time from the start of a process until it asks for an event, as on AWS.
const INIT: Duration = Duration::from_secs(10);

/// A function: its binary, and the environment that it runs in.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The built binary.
    pub binary: PathBuf,
    /// The variables of its own. Nothing is inherited from this process.
    pub environment: Vec<(String, String)>,
    /// Lambda's timeout. A function that takes longer is killed.
    pub timeout: Duration,
}

/// The outcome of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The function answered.
    Answer(Value),
    /// The function reported an error.
    Error(Value),
    /// The function ended, or was killed, before it answered.
    Died,
}

/// A function under the stand-in, with one process, which ends when this is dropped.
#[derive(Debug)]
pub struct Function {
    setup: Setup,
    server: Server,
    board: Board,
    /// The file for its output; without one, the output is kept in memory.
    log_file: Option<File>,
    /// The process group that its process joins; without one, that of this process.
    process_group: Option<i32>,
    process: tokio::sync::Mutex<Option<Process>>,
}

/// A process that is watched until it ends.
#[derive(Debug)]
struct Process {
    id: Option<u32>,
    /// Dropping it kills the process.
    kill: oneshot::Sender<()>,
    ended: watch::Receiver<bool>,
}

/// The state that the process and its invokers share.
#[derive(Clone, Debug, Default)]
struct Board {
    state: Arc<Mutex<BoardState>>,
    event_given: Arc<Notify>,
    asks: Asks,
}

/// True while the process is asking for its next event.
#[derive(Clone, Debug)]
struct Asks(Arc<watch::Sender<bool>>);

impl Default for Asks {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

#[derive(Debug, Default)]
struct BoardState {
    waiting: Option<Event>,
    running: HashMap<String, oneshot::Sender<Outcome>>,
    log: Vec<String>,
    given: u64,
    spawned: Option<Instant>,
    /// The time from the start of the process until it asked for its first event.
    start_up: Option<Duration>,
    /// Set while the next answer is to be held; notified when the answer arrives.
    held_answer: Option<oneshot::Sender<()>>,
}

#[derive(Debug)]
struct Event {
    id: String,
    payload: String,
    deadline: u128,
}

impl Function {
    /// Starts the binary. Its output is kept for [`Function::log`].
    ///
    /// # Errors
    /// Fails if no port is free or the binary cannot be run.
    pub async fn start(setup: Setup) -> io::Result<Self> {
        let function = Self::new(setup, None, None).await?;
        function.restart().await?;
        Ok(function)
    }

    /// Prepares a function whose binary is started by the first event, and whose output goes to a file. Without a file the output is kept
    /// in memory. Its process joins a process group.
    ///
    /// # Errors
    /// Fails if no port is free.
    pub(crate) async fn new(setup: Setup, log_file: Option<File>, process_group: Option<i32>) -> io::Result<Self> {
        let board = Board::default();
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .layer(DefaultBodyLimit::max(MAX_PAYLOAD))
            .with_state(board.clone());
        Ok(Self {
            setup,
            server: Server::start(0, router).await?,
            board,
            log_file,
            process_group,
            process: tokio::sync::Mutex::default(),
        })
    }

    /// Starts the binary again; a process that still runs is killed.
    ///
    /// # Errors
    /// Fails if the binary cannot be run.
    pub async fn restart(&self) -> io::Result<()> {
        let mut process = self.process.lock().await;
        self.end(&mut process).await;
        *process = Some(self.spawn()?);
        Ok(())
    }

    fn spawn(&self) -> io::Result<Process> {
        self.board.spawns();
        let output = || match &self.log_file {
            Some(file) => Ok::<_, io::Error>(Stdio::from(file.try_clone()?)),
            None => Ok(Stdio::piped()),
        };
        let mut command = Command::new(&self.setup.binary);
        if let Some(group) = self.process_group {
            command.process_group(group);
        }
        let mut child = command
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", self.server.address().to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "local")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "local")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "local")
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .envs(self.setup.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output()?)
            .stderr(output()?)
            .kill_on_drop(true)
            .spawn()?;
        if let Some(stdout) = child.stdout.take() {
            tokio::spawn(keep_lines(stdout, self.board.clone()));
        }
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(keep_lines(stderr, self.board.clone()));
        }
        let (id, (kill, killed), (end, ended)) = (child.id(), oneshot::channel(), watch::channel(false));
        tokio::spawn(watch_process(child, killed, self.board.clone(), end));
        Ok(Process { id, kill, ended })
    }

    /// Kills the process with SIGKILL, wherever it is. The event that it has, or would have got, is not answered.
    pub async fn kill(&self) {
        self.end(&mut *self.process.lock().await).await;
    }

    async fn end(&self, process: &mut Option<Process>) {
        if let Some(Process { kill, mut ended, .. }) = process.take() {
            drop(kill);
            // The sender lives until the process has ended.
            let _ = ended.wait_for(|ended| *ended).await;
        }
        self.board.asks.0.send_replace(false);
        let mut board = self.board.lock();
        board.waiting = None;
        board.fail_running();
    }

    /// Hands the function an event and waits for its outcome, one event at a time. A process that has ended is
    /// started again, as Lambda starts a new environment.
    pub async fn invoke(&self, payload: &str) -> (Outcome, Duration) {
        let started = Instant::now();
        let (invoker, mut outcome) = oneshot::channel();
        {
            let mut board = self.board.lock();
            board.given += 1;
            let id = format!("00000000-0000-4000-8000-{:012}", board.given);
            let deadline = SystemTime::now() + self.setup.timeout;
            let deadline = deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
            board.running.insert(id.clone(), invoker);
            board.waiting = Some(Event { id, payload: payload.to_owned(), deadline });
        }
        self.board.event_given.notify_one();
        let outcome = async {
            // Twice: a process that has ended unnoticed, or on its start, is started once more for the event.
            for _ in 0..2 {
                let Some(mut ended) = self.running_process().await else { break };
                tokio::select! {
                    biased;
                    outcome = &mut outcome => return outcome.unwrap_or(Outcome::Died),
                    _ = ended.wait_for(|ended| *ended) => {}
                }
                if self.board.lock().waiting.is_none() {
                    // It has one, or gets one from whoever kills the process.
                    return outcome.await.unwrap_or(Outcome::Died);
                }
            }
            {
                let mut board = self.board.lock();
                board.waiting = None;
                board.fail_running();
            }
            outcome.await.unwrap_or(Outcome::Died)
        };
        let outcome = match tokio::time::timeout(self.setup.timeout, outcome).await {
            Ok(outcome) => outcome,
            Err(_) => {
                self.kill().await;
                Outcome::Died
            }
        };
        (outcome, started.elapsed())
    }

    /// Starts the binary if no process runs, and waits until it asks for an event, ends, or has had the time that Lambda gives
    /// it for that.
    pub(crate) async fn init(&self) {
        let mut process = self.process.lock().await;
        if let Some(mut ended) = self.running(&mut process) {
            drop(process);
            let asks = async {
                tokio::select! {
                    () = self.idle() => {}
                    _ = ended.wait_for(|ended| *ended) => {}
                }
            };
            // In either case the event is handed over, and what then happens is the outcome.
            let _ = tokio::time::timeout(INIT, asks).await;
        }
    }

    /// Starts the binary if no process runs and an event waits for one. Returns what tells the end of the process; `None`
    /// when there is none.
    async fn running_process(&self) -> Option<watch::Receiver<bool>> {
        let mut process = self.process.lock().await;
        if process.as_ref().is_none_or(|process| process.id().is_none()) && self.board.lock().waiting.is_none() {
            return None;
        }
        self.running(&mut process)
    }

    /// Starts the binary if no process runs. Returns what tells the end of the process; `None` if it cannot be run.
    fn running(&self, process: &mut Option<Process>) -> Option<watch::Receiver<bool>> {
        let running = process.as_ref().filter(|process| process.id().is_some()).map(|process| process.ended.clone());
        match running {
            Some(ended) => Some(ended),
            None => Some(process.insert(self.spawn().ok()?).ended.clone()),
        }
    }

    /// Waits until the process asks for its first event, and returns the time from its start until then. Waits forever if it
    /// never asks.
    pub async fn ready(&self) -> Duration {
        loop {
            self.idle().await;
            if let Some(start_up) = self.board.lock().start_up {
                return start_up;
            }
        }
    }

    /// Waits until the process asks for its next event, and so is done with the last one. Waits forever if it never asks.
    pub async fn idle(&self) {
        // The sender is part of what this is called on.
        let _ = self.board.asks.0.subscribe().wait_for(|asks| *asks).await;
    }

    /// Returns the id of the process; `None` when it has ended.
    pub async fn process_id(&self) -> Option<u32> {
        self.process.lock().await.as_ref().and_then(Process::id)
    }

    /// Returns the id of the process; `None` also while it is started or killed.
    pub(crate) fn settled_process_id(&self) -> Option<u32> {
        self.process.try_lock().ok()?.as_ref().and_then(Process::id)
    }

    /// Holds the next answer of the function, and with it the function. The returned receiver is notified when the answer arrives.
    pub fn hold_answer(&self) -> oneshot::Receiver<()> {
        let (hold, held) = oneshot::channel();
        self.board.lock().held_answer = Some(hold);
        held
    }

    /// Returns the output of all its processes.
    pub fn log(&self) -> Vec<String> {
        self.board.lock().log.clone()
    }
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, BoardState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawns(&self) {
        self.asks.0.send_replace(false);
        let mut state = self.lock();
        (state.spawned, state.start_up) = (Some(Instant::now()), None);
    }

    fn is_asked(&self) {
        let mut state = self.lock();
        let start_up = state.spawned.map(|spawned| spawned.elapsed());
        state.start_up = state.start_up.or(start_up);
        drop(state);
        self.asks.0.send_replace(true);
    }

    async fn finish(&self, id: &str, outcome: Outcome) -> Response {
        let held = self.lock().held_answer.take();
        if let Some(held) = held {
            // The receiver may be gone. The function is held all the same, until it is killed.
            let _ = held.send(());
            std::future::pending::<()>().await;
        }
        if let Some(invoker) = self.lock().running.remove(id) {
            // The invoker may be gone.
            let _ = invoker.send(outcome);
        }
        StatusCode::ACCEPTED.into_response()
    }
}

impl Process {
    /// Returns its id; `None` when it has ended.
    fn id(&self) -> Option<u32> {
        self.id.filter(|_| !*self.ended.borrow())
    }
}

impl BoardState {
    fn fail_running(&mut self) {
        let waiting = self.waiting.as_ref().map(|event| event.id.clone());
        for (_, invoker) in self.running.extract_if(|id, _| Some(id) != waiting.as_ref()) {
            // The invoker may be gone.
            let _ = invoker.send(Outcome::Died);
        }
    }
}

/// Waits until a process ends. If it ends by itself, its event has no outcome; one that it has not taken waits for the next
/// process. If it is killed, whoever does that deals with them.
async fn watch_process(mut child: Child, killed: oneshot::Receiver<()>, board: Board, ended: watch::Sender<bool>) {
    tokio::select! {
        _ = child.wait() => {
            board.asks.0.send_replace(false);
            board.lock().fail_running();
        }
        _ = killed => {
            // It may have ended by itself.
            let _ = child.kill().await;
        }
    }
    ended.send_replace(true);
}

async fn keep_lines(output: impl AsyncRead + Unpin, board: Board) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        board.lock().log.push(line);
    }
}

async fn next(State(board): State<Board>) -> Response {
    board.is_asked();
    let event = loop {
        if let Some(event) = board.lock().waiting.take() {
            break event;
        }
        board.event_given.notified().await;
    };
    board.asks.0.send_replace(false);
    let headers = [
        ("lambda-runtime-aws-request-id", event.id),
        ("lambda-runtime-deadline-ms", event.deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:local".to_owned()),
        ("lambda-runtime-trace-id", "Root=1-00000000-000000000000000000000000;Sampled=0".to_owned()),
        ("content-type", "application/json".to_owned()),
    ];
    (headers, event.payload).into_response()
}

async fn response(State(board): State<Board>, Path(id): Path<String>, body: Bytes) -> Response {
    board.finish(&id, Outcome::Answer(read(&body))).await
}

async fn error(State(board): State<Board>, Path(id): Path<String>, body: Bytes) -> Response {
    board.finish(&id, Outcome::Error(read(&body))).await
}

async fn init_error(State(board): State<Board>, body: Bytes) -> Response {
    let mut board = board.lock();
    for (_, invoker) in board.running.drain() {
        // The invoker may be gone.
        let _ = invoker.send(Outcome::Error(read(&body)));
    }
    StatusCode::ACCEPTED.into_response()
}

/// Reads JSON. Anything else becomes a text.
fn read(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| String::from_utf8_lossy(body).into())
}
