use std::{
    fs::File,
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    process::Child,
    time::{Instant, sleep},
};

use super::{build::forget_cargo_run, cargo_lambda::CargoLambda};
use crate::{from_here, local_functions::LocalFunctions, project::Project};

/// How long `cargo lambda watch` may take to listen.
const START: Duration = Duration::from_secs(60);
/// How long it may take to end when it is asked to.
const END: Duration = Duration::from_secs(5);

/// The functions as they run on this machine, under `cargo lambda watch`.
pub struct Functions {
    watch: Child,
    group: Pid,
    address: SocketAddr,
    log: PathBuf,
}

impl Functions {
    /// The address on which functions will be called: the wanted port, or a free one.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn choose_address(port: u16) -> Result<SocketAddr> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        Ok(listener.context("no free port on the loopback interface")?.local_addr()?)
    }

    /// Starts them with an environment, and waits until they can be called.
    ///
    /// # Errors
    /// When they do not start.
    pub async fn start(
        project: &Project,
        cargo_lambda: &CargoLambda,
        address: SocketAddr,
        environment: &[(&str, String)],
    ) -> Result<Self> {
        let scratch = project.scratch()?;
        let (variables, log) = (scratch.join("functions.env"), scratch.join("functions.log"));
        let mut file = File::create(&variables)?;
        for (name, value) in environment {
            writeln!(file, "{name}={value}")?;
        }
        let output = File::create(&log)?;
        let mut watch = cargo_lambda.command();
        forget_cargo_run(&mut watch);
        let watch = watch
            .args(["watch", "--ignore-changes", "--invoke-address"])
            .arg(address.ip().to_string())
            .arg("--invoke-port")
            .arg(address.port().to_string())
            .arg("--env-file")
            .arg(&variables)
            .current_dir(project.root())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            // In a group of its own: whatever it starts ends with it, and Ctrl-C reaches us first.
            .process_group(0)
            .spawn()
            .context("cargo lambda watch does not start")?;
        let id =
            watch.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)).context("cargo lambda watch has ended")?;
        let mut functions = Self { watch, group: id, address, log };
        functions.wait_until_up().await?;
        Ok(functions)
    }

    /// The port on which they are called.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What the functions write: one line an event, and what cargo says.
    pub fn log(&self) -> &PathBuf {
        &self.log
    }

    /// What calls them.
    pub fn caller(&self) -> LocalFunctions {
        LocalFunctions::at(self.address)
    }

    /// When they end by themselves: with what.
    pub async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        self.watch.wait().await
    }

    /// Ends them, and whatever they have started.
    pub async fn stop(mut self) {
        // Errors mean that there is nobody left to end.
        let _ = kill_process_group(self.group, Signal::INT);
        if tokio::time::timeout(END, self.watch.wait()).await.is_err() {
            let _ = kill_process_group(self.group, Signal::KILL);
            let _ = self.watch.wait().await;
        }
    }

    async fn wait_until_up(&mut self) -> Result<()> {
        let deadline = Instant::now() + START;
        while tokio::net::TcpStream::connect(self.address).await.is_err() {
            if let Some(status) = self.watch.try_wait()? {
                bail!("cargo lambda watch has ended ({status}); see {}", from_here(&self.log).display());
            }
            if Instant::now() > deadline {
                bail!(
                    "cargo lambda watch does not listen after {} s; see {}",
                    START.as_secs(),
                    from_here(&self.log).display()
                );
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

impl Drop for Functions {
    /// For the ways out on which [`Functions::stop`] was not called. After it, there is no such group any more.
    fn drop(&mut self) {
        let _ = kill_process_group(self.group, Signal::KILL);
    }
}
