//! MiniStack: the emulated AWS, in processes of its own.

use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{net::TcpStream, process::Command};

use crate::{
    progress::wait_for,
    tools::{Tools, scratch},
};

const REGION: &str = "us-east-1";
/// The maximum time until it listens.
const START: Duration = Duration::from_secs(60);
/// The maximum time until it has ended.
const END: Duration = Duration::from_secs(10);

/// Ends all of the shell's process group, and waits for it, when the input is closed: when this test ends, however it ends.
const UNTIL_WE_END: &str = "ministack & trap : TERM; cat; kill 0; wait";

/// A running emulator; it ends, with the functions that it runs, when this is dropped.
pub struct Emulator {
    port: u16,
    shell: Child,
    log: PathBuf,
}

impl Emulator {
    /// Starts an empty emulator on a free port of the loopback interface.
    pub async fn start(tools: &Tools) -> Self {
        let folder = scratch().join("emulator");
        // Files of an earlier run.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let log = folder.join("ministack.log");
        let output = File::create(&log).unwrap();
        let shell = std::process::Command::new("sh")
            .args(["-c", UNTIL_WE_END])
            .process_group(0)
            // The functions inherit this environment, so there is nothing in it that they do not have on AWS.
            .env_clear()
            .env("PATH", tools.path())
            .env("HOME", &folder)
            .env("TMPDIR", &folder)
            .env("STATE_DIR", folder.join("state"))
            .env("S3_DATA_DIR", folder.join("s3"))
            .env("BIND_HOST", "127.0.0.1")
            .env("MINISTACK_HOST", "localhost")
            .env("GATEWAY_PORT", port.to_string())
            .env("IOT_MTLS_ENABLED", "0")
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"))
            .stdin(Stdio::piped())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let emulator = Self { port, shell, log };
        let listens = async || TcpStream::connect(("127.0.0.1", port)).await.ok();
        wait_for(&format!("MiniStack listens; see {}", emulator.log.display()), START, listens).await;
        emulator
    }

    /// Its address, for all services.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its log, with the lines of the functions.
    pub fn log(&self) -> &PathBuf {
        &self.log
    }

    /// Makes a command call the emulator instead of AWS.
    pub fn in_place_of_aws(&self, command: &mut Command) {
        command
            .env("AWS_ENDPOINT_URL", self.url())
            .env("AWS_REGION", REGION)
            .env("AWS_DEFAULT_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("NO_PROXY", "127.0.0.1,localhost");
    }

    /// Configures an SDK client for the emulator.
    pub fn sdk_config(&self) -> SdkConfig {
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "test")))
            .endpoint_url(self.url())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let deadline = Instant::now() + END;
        while Instant::now() < deadline && self.shell.try_wait().is_ok_and(|status| status.is_none()) {
            thread::sleep(Duration::from_millis(20));
        }
        if let Some(group) = self.shell.id().try_into().ok().and_then(Pid::from_raw) {
            // An error means that all processes have already ended.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
