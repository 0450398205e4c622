//! Measures the built functions side by side with peers, under stand-ins for what is around them. See README.md.

mod build;
mod counts;
mod front;
mod function;
mod input;
mod limits;
mod plot;
mod price;
mod process;
mod report;
mod rounds;
mod scale;
mod size;
mod statistics;
mod sync_run;
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

/// Measures the built functions side by side with peers.
#[derive(Debug, Parser)]
#[command(name = "bench-functions")]
struct Options {
    /// How often each function is started
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// How many events each start is handed after its first
    #[arg(long, default_value_t = 300)]
    warm: usize,
    /// Only count requests, write units and bytes, measure no time, and fail where a limit is exceeded
    #[arg(long)]
    counts: bool,
    /// Leave out how things grow with the number of events, lines and processes
    #[arg(long)]
    no_scale: bool,
    /// Look at a million lines as well, which takes some minutes more and 8 GB of memory
    #[arg(long)]
    million: bool,
    /// Take what was built before
    #[arg(long)]
    no_build: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if options.rounds == 0 || options.warm == 0 {
        bail!("--rounds and --warm are at least 1");
    }
    let checkout = Checkout::of_this_program();
    if !options.no_build {
        checkout.build()?;
    }
    let built = checkout.built()?;
    let cores = Cores::take()?;
    // One thread for all stand-ins, so that none of them wakes up another.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(&options, &built, &cores, checkout.results()))
}

/// Which core is for what: the stand-ins have the first one, the functions the others.
struct Cores {
    /// For functions that run at the same time.
    functions: Vec<usize>,
    /// For one function at a time.
    function: usize,
}

impl Cores {
    /// Moves this process to the first core, if there is another one.
    fn take() -> Result<Self> {
        let cores = process::cores()?;
        let [first, others @ ..] = cores.as_slice() else { bail!("there is no core") };
        let functions = if others.is_empty() { vec![*first] } else { others.to_vec() };
        process::run_on(None, &[*first])?;
        Ok(Self { function: functions[functions.len() - 1], functions })
    }
}

async fn measure(options: &Options, built: &Built, cores: &Cores, folder: PathBuf) -> Result<()> {
    let world = World::start(&folder.join("world")).await?;
    let (mut functions, mut runnable, mut left_out) = (Vec::new(), Vec::new(), built.left_out.clone());
    for function in &built.functions {
        let counts = match counts::count(&world, function, &[cores.function]).await {
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
        sync: None,
        sync_size,
        scale: None,
    };
    if options.counts {
        print!("{}", report.counts());
        limits::check(&report.functions, report.sync_size)?;
        println!("\nNo limit is exceeded.");
        return Ok(());
    }
    let samples = rounds::run(&world, &runnable, cores.function, options.rounds, options.warm).await?;
    for (function, samples) in report.functions.iter_mut().zip(samples) {
        function.samples = Some(samples);
    }
    report.sync = Some(sync_run::run(&world, &built.sync, cores.function, options.rounds).await?);
    drop(world);
    if !options.no_scale {
        report.scale = Some(scale::run(&folder.join("world"), &built.functions[0], cores, options.million).await?);
    }
    let text = report.text();
    print!("{text}");
    let write = |name: &str, text: &str| {
        let file = folder.join(name);
        fs::write(&file, text).with_context(|| format!("{} cannot be written", file.display()))
    };
    write("results.md", &text)?;
    write("results.json", &serde_json::to_string_pretty(&report)?)?;
    write("results.svg", &plot::svg(&report))?;
    println!(
        "\nThe same is in {0}/results.md, with all samples in results.json and a picture in results.svg.",
        folder.display()
    );
    Ok(())
}
