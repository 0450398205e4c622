use std::{
    collections::HashMap,
    fs::{self, File},
    io::{ErrorKind, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail, ensure};
use emulators::{api_gateway, lambda::Lambda, runtime_api::Setup, server::Server};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, ChildStdin, ChildStdout, Command},
    time::{Instant, sleep},
};

use super::{build::forget_cargo_run, cargo_lambda::CargoLambda};
use crate::{
    local_functions::LocalFunctions,
    output::{note, say},
    project::{Project, from_here},
};

/// The port on which the functions are called, here and under plain `cargo lambda watch`.
pub const PORT: u16 = 9000;

/// The functions by the names of their binaries, with the timeouts that template.yaml gives them.
pub const FUNCTIONS: [(&str, Duration); 5] = [
    ("receiver", Duration::from_secs(5)),
    ("redrive", Duration::from_secs(30)),
    ("publisher", Duration::from_secs(60)),
    ("forwarder", Duration::from_secs(60)),
    ("sync", Duration::from_secs(120)),
];

/// The maximum time until `cargo lambda watch` listens, and until it has built each function.
const START: Duration = Duration::from_secs(60);
/// The maximum time that it gets for its end.
const END: Duration = Duration::from_secs(5);

/// The word before the path of a built function, on the output of `cargo lambda watch`.
const BUILT: &str = "hooks-dev-built";

/// The functions as they run on this machine: behind a stand-in for API Gateway, rebuilt by `cargo lambda watch` when the
/// code changes.
///
/// `cargo lambda watch` could run them as well. But its port lets every web page call them, it cannot hand them bytes that
/// are not UTF-8, it never answers again after 100 calls at once, and it does not start a process again that has ended.
/// So cargo's runner only names the binary that it has built, and nothing waits for events at that port.
pub struct Functions {
    server: Server,
    watch: Watch,
    log: PathBuf,
}

/// A shell that becomes the program in its arguments, and ends it and all that it has started when its own input is closed.
const LIFELINE: &str = r#"exec 3<&0; (cat <&3 >/dev/null; kill -s TERM 0) & exec "$@" 3<&- </dev/null"#;

/// A running `cargo lambda watch`.
struct Watch {
    process: Child,
    /// The functions join it, so that they end with it.
    group: Pid,
    address: SocketAddr,
    /// It is closed when this process ends, however that happens.
    lifeline: Option<ChildStdin>,
    calls: Vec<TcpStream>,
}

impl Functions {
    /// Starts them, and waits until each is built and deployed. Without a port they are called on the usual one, or on a free
    /// one if that is taken. `environment` gives their variables for the address of the webhook.
    ///
    /// # Errors
    /// Fails if the port is taken, or they cannot be built.
    pub async fn start(
        project: &Project,
        cargo_lambda: &CargoLambda,
        port: Option<u16>,
        environment: impl FnOnce(&str) -> Vec<(String, String)>,
    ) -> Result<Self> {
        let path = project.logs()?.join("functions.log");
        let log = File::create(&path)?;
        let (watch, output) = Watch::start(project, cargo_lambda, log.try_clone()?)?;
        let group = Some(watch.group.as_raw_nonzero().get());
        let lambda = Lambda::new(&FUNCTIONS.map(|(name, _)| name), log.try_clone()?, group);
        let router = api_gateway::router(lambda.clone()).merge(lambda.router());
        let server = match (Server::start(port.unwrap_or(PORT), router.clone()).await, port) {
            (Err(error), None) if error.kind() == ErrorKind::AddrInUse => {
                let server = Server::start(0, router).await?;
                say(&format!("Port {PORT} is taken: the functions are called on {}", server.address().port()));
                server
            }
            (server, _) => server.with_context(|| format!("port {} of 127.0.0.1", port.unwrap_or(PORT)))?,
        };
        let environment = environment(&webhook_of(&server));
        let mut functions = Self { server, watch, log: path };
        let deployer = Deployer { root: project.root().to_owned(), lambda, environment, log, deployed: HashMap::new() };
        functions.deploy(deployer, output).await?;
        Ok(functions)
    }

    /// Returns the address on which they are called.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Returns the address of the webhook, which is its URL without a token.
    pub fn webhook(&self) -> String {
        webhook_of(&self.server)
    }

    /// Returns the file with what the functions and cargo write.
    pub fn log(&self) -> &PathBuf {
        &self.log
    }

    /// Returns what calls them.
    pub fn caller(&self) -> LocalFunctions {
        LocalFunctions::at(self.address())
    }

    /// Waits until `cargo lambda watch` ends by itself.
    pub async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        self.watch.process.wait().await
    }

    /// Ends them, and whatever `cargo lambda watch` has started.
    pub async fn stop(mut self) {
        self.watch.calls.clear();
        drop(self.watch.lifeline.take());
        if tokio::time::timeout(END, self.watch.process.wait()).await.is_err() {
            // An error means that all processes have already ended.
            let _ = kill_process_group(self.watch.group, Signal::KILL);
            let _ = self.watch.process.wait().await;
        }
    }

    /// Deploys each function when it is built, now and whenever its code changes; waits until each is deployed once.
    async fn deploy(&mut self, mut deployer: Deployer, output: ChildStdout) -> Result<()> {
        self.watch.call_each_function().await.with_context(|| format!("see {}", from_here(&self.log).display()))?;
        let mut lines = BufReader::new(output).lines();
        while deployer.deployed.len() < FUNCTIONS.len() {
            let line = tokio::time::timeout(START, lines.next_line()).await;
            let line = line.ok().and_then(Result::ok).flatten();
            deployer.read(&line.with_context(|| {
                format!("cargo lambda watch has not built the functions; see {}", from_here(&self.log).display())
            })?)?;
        }
        tokio::spawn(async move {
            // It ends with the output.
            while let Ok(Some(line)) = lines.next_line().await {
                match deployer.read(&line) {
                    Ok(Some(name)) => say(&format!("The function {name} was built and deployed again")),
                    Ok(None) => {}
                    Err(error) => note(&format!("error: {error:#}")),
                }
            }
        });
        Ok(())
    }
}

fn webhook_of(server: &Server) -> String {
    format!("{}/v1/webhook", server.url())
}

impl Watch {
    fn start(project: &Project, cargo_lambda: &CargoLambda, log: File) -> Result<(Self, ChildStdout)> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let address = port.context("no free port on the loopback interface")?;
        let mut command = Command::new("sh");
        forget_cargo_run(&mut command);
        let mut process = command
            .args(["-c", LIFELINE, "sh"])
            .arg(cargo_lambda.program())
            .args(["lambda", "watch", "--disable-cors", "--invoke-address"])
            .arg(address.ip().to_string())
            .arg("--invoke-port")
            .arg(address.port().to_string())
            .arg("--config")
            .arg(format!(r#"target."cfg(all())".runner = ["echo", "{BUILT}"]"#))
            .current_dir(project.root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            // In a group of its own: whatever it starts ends with it, and Ctrl-C reaches us first.
            .process_group(0)
            .spawn()
            .context("cargo lambda watch does not start")?;
        let id = process.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        let output = process.stdout.take().context("cargo lambda watch has no output")?;
        let lifeline = process.stdin.take();
        let group = id.context("cargo lambda watch has ended")?;
        Ok((Self { process, group, address, lifeline, calls: Vec::new() }, output))
    }

    /// Calls each function, because `cargo lambda watch` builds and watches only what was called.
    async fn call_each_function(&mut self) -> Result<()> {
        let deadline = Instant::now() + START;
        for (name, _) in FUNCTIONS {
            let mut connection = loop {
                if let Ok(connection) = TcpStream::connect(self.address).await {
                    break connection;
                }
                if let Some(status) = self.process.try_wait()? {
                    bail!("cargo lambda watch has ended ({status})");
                }
                ensure!(Instant::now() < deadline, "cargo lambda watch does not listen after {} s", START.as_secs());
                sleep(Duration::from_millis(50)).await;
            };
            let request = format!(
                "POST /2015-03-31/functions/{name}/invocations HTTP/1.1\r\nhost: {}\r\ncontent-length: 2\r\n\r\n{{}}",
                self.address
            );
            connection.write_all(request.as_bytes()).await?;
            // A call whose connection is closed is forgotten, perhaps before it has been read.
            self.calls.push(connection);
        }
        Ok(())
    }
}

impl Drop for Watch {
    /// Ends the process group if [`Functions::stop`] was not called.
    fn drop(&mut self) {
        let _ = kill_process_group(self.group, Signal::KILL);
    }
}

/// Deploys what `cargo lambda watch` has built.
struct Deployer {
    root: PathBuf,
    lambda: Lambda,
    environment: Vec<(String, String)>,
    log: File,
    /// The time at which the deployed binary of each function was built.
    deployed: HashMap<&'static str, SystemTime>,
}

impl Deployer {
    /// Reads a line of the output: the path of a function's binary, or something for the log. Returns the function's name if
    /// it has been deployed for another time.
    fn read(&mut self, line: &str) -> Result<Option<&'static str>> {
        let Some(path) = line.strip_prefix(BUILT) else {
            writeln!(self.log, "{line}")?;
            return Ok(None);
        };
        let binary = self.root.join(path.trim());
        let is_it = |(name, _): &&(&str, Duration)| binary.file_name().is_some_and(|file| file == *name);
        let Some((name, timeout)) = FUNCTIONS.iter().find(is_it) else { return Ok(None) };
        let built = fs::metadata(&binary)?.modified()?;
        let before = self.deployed.insert(name, built);
        // Cargo rebuilds after any change in the checkout; most changes do not affect the function.
        if before == Some(built) {
            return Ok(None);
        }
        self.lambda.deploy(name, Setup { binary, environment: self.environment.clone(), timeout: *timeout });
        Ok(before.map(|_| *name))
    }
}
