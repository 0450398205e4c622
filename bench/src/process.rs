//! A function's process: its times, and the CPU and memory that the kernel reports.

use std::{collections::HashMap, fs, path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use emulators::runtime_api::{Function, Outcome, Setup};
use serde_json::Value;

/// Maximum time until a process asks for an event.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time between two readings of a process that is becoming idle.
const LOOK: Duration = Duration::from_millis(1);
/// Maximum number of readings.
const LOOKS: usize = 50;

/// A duration by two clocks.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Wall time.
    pub wall: Duration,
    /// CPU time.
    pub cpu: Duration,
}

/// A running function.
pub struct Process {
    function: Function,
    id: u32,
    cpu: Cpu,
}

impl Process {
    /// Starts one on a core. Returns what it took until it asked for its first event.
    ///
    /// # Errors
    /// Fails when it does not start.
    pub async fn start(setup: Setup, core: usize) -> Result<(Self, Taken)> {
        let function = Function::start(setup).await?;
        let id = function.process_id().await.context("the process has ended")?;
        run_on(Some(id), core)?;
        let mut process = Self { function, id, cpu: Cpu::default() };
        let wall = match tokio::time::timeout(PATIENCE, process.function.ready()).await {
            Ok(wall) => wall,
            Err(_) => bail!("it does not start:\n{}", process.function.log().join("\n")),
        };
        let cpu = process.quiet().await?;
        Ok((process, Taken { wall, cpu }))
    }

    /// Hands it an event, and waits until the process is idle again.
    ///
    /// # Errors
    /// Fails when it does not answer as it should.
    pub async fn handle(&mut self, event: &str) -> Result<Taken> {
        let before = self.cpu.read(self.id)?;
        let wall = self.answer_time(event).await?;
        Ok(Taken { wall, cpu: self.quiet().await?.saturating_sub(before) })
    }

    /// Hands it an event. Returns the time until the answer.
    ///
    /// # Errors
    /// Fails when it does not answer as it should.
    pub async fn answer_time(&mut self, event: &str) -> Result<Duration> {
        let (_, wall) = self.call(event).await?;
        tokio::time::timeout(PATIENCE, self.function.idle()).await.context("it asks for no further event")?;
        Ok(wall)
    }

    /// Hands it an event. Returns the answer, and the time until it.
    ///
    /// # Errors
    /// Fails when it does not answer as it should.
    pub async fn call(&self, event: &str) -> Result<(Value, Duration)> {
        match self.function.invoke(event).await {
            (Outcome::Answer(answer), wall) if is_success(&answer) => Ok((answer, wall)),
            (other, _) => {
                bail!("the function did not do what it should: {other:?}\n{}", self.function.log().join("\n"))
            }
        }
    }

    /// Waits until the process is idle. Returns its CPU time since its start.
    ///
    /// # Errors
    /// Fails when it has ended.
    pub async fn quiet(&mut self) -> Result<Duration> {
        let mut before = self.cpu.read(self.id)?;
        for _ in 0..LOOKS {
            tokio::time::sleep(LOOK).await;
            let now = self.cpu.read(self.id)?;
            if now == before {
                break;
            }
            before = now;
        }
        Ok(before)
    }

    /// Its peak memory, in bytes.
    ///
    /// # Errors
    /// Fails when it has ended.
    pub fn peak_memory(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).context("the process has ended")?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map(str::trim);
        let kilobytes = peak.and_then(|peak| peak.strip_suffix(" kB")?.parse::<u64>().ok());
        Ok(kilobytes.context("the kernel does not say how much memory it has had")? * 1024)
    }
}

/// Tells whether an answer is a 200, or a batch without failures.
fn is_success(answer: &Value) -> bool {
    answer["statusCode"] == 200 || answer["batchItemFailures"].as_array().is_some_and(Vec::is_empty)
}

/// CPU time of all threads of a process. A thread that has ended keeps its last reading.
#[derive(Debug, Default)]
struct Cpu(HashMap<String, u64>);

impl Cpu {
    fn read(&mut self, process: u32) -> Result<Duration> {
        let tasks = format!("/proc/{process}/task");
        for task in fs::read_dir(Path::new(&tasks)).context("the process has ended")? {
            let task = task?;
            // A thread may end between the two reads.
            let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else { continue };
            let nanos = text.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
            let nanos = nanos.context("the kernel keeps no account of schedules (CONFIG_SCHED_INFO)")?;
            self.0.insert(task.file_name().to_string_lossy().into_owned(), nanos);
        }
        Ok(Duration::from_nanos(self.0.values().sum()))
    }
}

/// Binds a process, or this thread, to a core. Threads and processes that it starts stay there.
///
/// # Errors
/// Fails when there is no such process or core.
#[cfg(target_os = "linux")]
pub fn run_on(process: Option<u32>, core: usize) -> Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    let process = match process {
        None => None,
        Some(id) => Some(rustix::process::Pid::from_raw(id.try_into()?).context("0 is no process")?),
    };
    rustix::thread::sched_setaffinity(process, &set).context("it cannot be put on its core")
}

/// Returns the cores that this process may run on.
///
/// # Errors
/// Fails when the kernel does not say it.
#[cfg(target_os = "linux")]
pub fn cores() -> Result<Vec<usize>> {
    let set = rustix::thread::sched_getaffinity(None)?;
    Ok((0..rustix::thread::CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}

/// As above.
///
/// # Errors
/// Always: elsewhere there is neither such a call nor the accounting.
#[cfg(not(target_os = "linux"))]
pub fn run_on(_: Option<u32>, _: usize) -> Result<()> {
    bail!("this needs Linux, whose kernel says what a process has used")
}

/// As above.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn cores() -> Result<Vec<usize>> {
    bail!("this needs Linux, whose kernel says what a process has used")
}
