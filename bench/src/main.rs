//! Measures the built functions beside peers, with stand-ins for their surroundings. See README.md.

mod build;
mod chain;
mod counts;
mod event;
mod front;
mod function;
mod input;
mod limits;
mod process;
mod report;
mod rounds;
mod size;
mod statistics;
mod table;
mod tls;
mod world;

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use clap::Parser;

use crate::{
    build::{Built, Checkout},
    report::{Machine, Measured, Report},
    world::World,
};

/// Measures the built functions beside peers.
#[derive(Debug, Parser)]
#[command(name = "bench-functions")]
struct Options {
    /// Number of starts of each function
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Number of events for each start after its first
    #[arg(long, default_value_t = 300)]
    warm: usize,
    /// Count requests, write units and bytes, measure no time, and fail when a limit is exceeded
    #[arg(long)]
    counts: bool,
    /// Number of events in the burst through receiver, publisher and forwarder
    #[arg(long, default_value_t = 400)]
    burst: usize,
    /// Use the binaries of the last build
    #[arg(long)]
    no_build: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if [options.rounds, options.warm, options.burst].contains(&0) {
        bail!("--rounds, --warm and --burst are at least 1");
    }
    let checkout = Checkout::of_this_program();
    if !options.no_build {
        checkout.build()?;
    }
    let built = checkout.built()?;
    let core = split_cores()?;
    // One thread for all stand-ins, so that none of them wakes up another.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(&options, &built, core, checkout.results()))
}

/// Moves this process to the first core, and returns the last one, which is for the functions. On a machine of one core they
/// share it.
fn split_cores() -> Result<usize> {
    let cores = process::cores()?;
    let (Some(first), Some(last)) = (cores.first(), cores.last()) else { bail!("there is no core") };
    process::run_on(None, *first)?;
    Ok(*last)
}

async fn measure(options: &Options, built: &Built, core: usize, folder: PathBuf) -> Result<()> {
    let world = World::start(&folder.join("world")).await?;
    let (mut functions, mut runnable, mut left_out) = (Vec::new(), Vec::new(), built.left_out.clone());
    for function in &built.functions {
        let counts = match counts::count(&world, function, core).await {
            Ok(counts) => counts,
            Err(error) if function.is_ours() => {
                return Err(error.context(format!("{} cannot be counted", function.name)));
            }
            Err(error) => {
                left_out.push(format!("{} is left out: {error:#}", function.name));
                continue;
            }
        };
        let size = size::of(&function.deployed)?;
        functions.push(Measured { name: function.name, counts, size, samples: None });
        runnable.push(function);
    }
    left_out.iter().for_each(|line| println!("{line}"));
    let sync_size = size::of(std::slice::from_ref(&built.sync))?;
    let mut report = Report {
        machine: Machine::look()?,
        rounds: options.rounds,
        warm: options.warm,
        left_out,
        functions,
        sync_size,
        chain: None,
    };
    if options.counts {
        print!("{}", report.counts());
        limits::check(&report.functions, report.sync_size)?;
        println!("\nNo limit is exceeded.");
        return Ok(());
    }
    let samples = rounds::run(&world, &runnable, core, options.rounds, options.warm).await?;
    for (function, samples) in report.functions.iter_mut().zip(samples) {
        function.samples = Some(samples);
    }
    report.chain = Some(chain::run(&world, &runnable, core, options.burst, options.warm).await?);
    let text = report.text();
    print!("{text}");
    let write = |name: &str, text: &str| {
        let file = folder.join(name);
        fs::write(&file, text).with_context(|| format!("{} cannot be written", file.display()))
    };
    write("results.md", &text)?;
    write("results.json", &serde_json::to_string_pretty(&report)?)?;
    println!("\nThe same is in {}/results.md, with all samples in results.json.", folder.display());
    Ok(())
}
