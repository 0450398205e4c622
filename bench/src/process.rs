//! A function's process: how long it takes, and what the kernel says that it has used.

use std::{collections::HashMap, fs, path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use emulators::runtime_api::{Function, Outcome, Setup};
use serde_json::Value;

/// Longer than anything takes: a process that has not asked for an event by then has ended, or never will.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at a process that is about to become quiet.
const LOOK: Duration = Duration::from_millis(1);
/// How often it is looked at.
const LOOKS: usize = 50;

/// What something has taken.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// On the clock.
    pub wall: Duration,
    /// On a core.
    pub cpu: Duration,
}

/// A running function.
pub struct Process {
    function: Function,
    id: u32,
    cpu: Cpu,
}

impl Process {
    /// Starts one on these cores: what it took until it asked for its first event.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(setup: Setup, cores: &[usize]) -> Result<(Self, Taken)> {
        let function = Function::start(setup).await?;
        let id = function.process_id().await.context("the process has ended")?;
        run_on(Some(id), cores)?;
        let mut process = Self { function, id, cpu: Cpu::default() };
        let wall = match tokio::time::timeout(PATIENCE, process.function.ready()).await {
            Ok(wall) => wall,
            Err(_) => bail!("it does not start:\n{}", process.function.log().join("\n")),
        };
        let cpu = process.quiet().await?;
        Ok((process, Taken { wall, cpu }))
    }

    /// Hands it an event, and waits until it has done all that it does about it.
    ///
    /// # Errors
    /// When it does not answer as it should.
    pub async fn handle(&mut self, event: &str) -> Result<Taken> {
        let before = self.cpu.read(self.id)?;
        let wall = self.answer_time(event).await?;
        Ok(Taken { wall, cpu: self.quiet().await?.saturating_sub(before) })
    }

    /// Hands it an event: how long it took until the answer.
    ///
    /// # Errors
    /// When it does not answer as it should.
    pub async fn answer_time(&mut self, event: &str) -> Result<Duration> {
        let (outcome, wall) = self.function.invoke(event).await;
        match outcome {
            Outcome::Answer(answer) if is_success(&answer) => {}
            other => bail!("the function did not do what it should: {other:?}\n{}", self.function.log().join("\n")),
        }
        tokio::time::timeout(PATIENCE, self.function.idle()).await.context("it asks for no further event")?;
        Ok(wall)
    }

    /// Waits until it uses no core any more: what it has used since its start.
    ///
    /// # Errors
    /// When it has ended.
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

    /// The most memory that it has had, in bytes.
    ///
    /// # Errors
    /// When it has ended.
    pub fn peak_memory(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).context("the process has ended")?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map(str::trim);
        let kilobytes = peak.and_then(|peak| peak.strip_suffix(" kB")?.parse::<u64>().ok());
        Ok(kilobytes.context("the kernel does not say how much memory it has had")? * 1024)
    }
}

/// 200, or a batch with nothing left over, or a report of sync.
fn is_success(answer: &Value) -> bool {
    answer["statusCode"] == 200
        || answer["batchItemFailures"].as_array().is_some_and(Vec::is_empty)
        || answer["verified"] == true
}

/// What all threads of a process have used of a core. A thread that ends keeps what was last read of it.
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

/// Puts a process, or this thread, on these cores and no others. Threads and processes that it starts stay there.
///
/// # Errors
/// When there is no such process, or no such core.
#[cfg(target_os = "linux")]
pub fn run_on(process: Option<u32>, cores: &[usize]) -> Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    let process = match process {
        None => None,
        Some(id) => Some(rustix::process::Pid::from_raw(id.try_into()?).context("0 is no process")?),
    };
    rustix::thread::sched_setaffinity(process, &set).context("it cannot be put on its core")
}

/// The cores that this process may run on.
///
/// # Errors
/// When the kernel does not say it.
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
pub fn run_on(_: Option<u32>, _: &[usize]) -> Result<()> {
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
