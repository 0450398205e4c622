//! All results, and the tables that are made of them.

use std::fs;

use anyhow::Result;
use serde::Serialize;

use crate::{
    counts::{Cost, Counts},
    price,
    rounds::{Sample, Samples},
    scale::Scale,
    size::Size,
    statistics::Spread,
    sync_run::SyncRun,
    table::Table,
};

/// What others are compared with.
pub const OURS: &str = "receiver";
/// What is least.
pub const FLOOR: &str = "floor";

/// All results of one run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Where it ran.
    pub machine: Machine,
    /// How often each function was started.
    pub rounds: usize,
    /// How many warm events each start was handed.
    pub warm: usize,
    /// A line for each peer that could not be measured.
    pub left_out: Vec<String>,
    /// The functions that are handed events.
    pub functions: Vec<Measured>,
    /// Sync, which is handed none.
    pub sync: Option<SyncRun>,
    /// The size of sync.
    pub sync_size: Size,
    /// How things grow.
    pub scale: Option<Scale>,
}

/// What was measured of a function.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// Its name.
    pub name: &'static str,
    /// What an event takes.
    pub counts: Counts,
    /// What is deployed.
    pub size: Size,
    /// What its processes took.
    pub samples: Option<Samples>,
}

/// The machine.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// Its processor, as the kernel calls it.
    processor: String,
    architecture: &'static str,
    cores: usize,
    /// Processes that wanted a core in the minute before: above 0, others were at work.
    load: f64,
}

impl Machine {
    /// Looks at it.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn look() -> Result<Self> {
        let processors = fs::read_to_string("/proc/cpuinfo")?;
        let model = |line: &str| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim().to_owned());
        Ok(Self {
            processor: processors.lines().find_map(model).unwrap_or_else(|| "unknown processor".to_owned()),
            architecture: std::env::consts::ARCH,
            cores: processors.lines().filter(|line| line.starts_with("processor")).count(),
            load: fs::read_to_string("/proc/loadavg")?.split(' ').next().unwrap_or_default().parse()?,
        })
    }
}

impl Report {
    /// All tables.
    pub fn text(&self) -> String {
        let Machine { processor, architecture, cores, load } = &self.machine;
        let mut parts = vec![
            format!(
                "{cores} cores, {architecture}, {processor}; load before the start: {load}. {} starts of each function, {} warm \
                 events each. Medians, with the quartiles in brackets; times in ms.\n",
                self.rounds, self.warm
            ),
            format!("## Cold start\n\n{}", self.cold()),
            format!("## Warm events\n\n{}", self.warm()),
            format!("## Requests, write units and sizes\n\n{}", self.counts()),
        ];
        parts.extend(self.sync.as_ref().map(|sync| format!("## A run of sync\n\n{}", of_sync(sync))));
        parts.push(format!("## Lambda's memory sizes, estimated\n\n{}", self.memory_sizes()));
        parts.extend(self.scale.as_ref().map(|scale| format!("## Growth of the receiver\n\n{}", scale.text())));
        parts.extend((!self.left_out.is_empty()).then(|| self.left_out.join("\n") + "\n"));
        parts.join("\n")
    }

    fn measured(&self) -> impl Iterator<Item = (&Measured, &Samples)> {
        self.functions.iter().filter_map(|function| Some((function, function.samples.as_ref()?)))
    }

    fn samples(&self, name: &str) -> Option<&Samples> {
        self.measured().find(|(function, _)| function.name == name).map(|(_, samples)| samples)
    }

    /// How often a measure is that of the floor and of ours.
    fn ratios(&self, samples: &Samples, measure: impl Fn(&Sample) -> f64) -> [String; 2] {
        [FLOOR, OURS].map(|other| match self.samples(other) {
            Some(other) => format!("{:.2}", samples.ratio(other, &measure)),
            None => "-".to_owned(),
        })
    }

    fn cold(&self) -> String {
        let mut table = Table::new([
            "function",
            "start",
            "CPU",
            "first event",
            "CPU",
            "both",
            "× floor",
            "× ours",
            "CPU of both",
            "× floor",
            "× ours",
            "peak MB",
        ]);
        for (function, samples) in self.measured() {
            let mut row = vec![function.name.to_owned()];
            row.extend([
                spread(samples.spread(|sample| sample.start)),
                spread(samples.spread(|sample| sample.start_cpu)),
                spread(samples.spread(|sample| sample.first)),
                spread(samples.spread(|sample| sample.first_cpu)),
            ]);
            row.push(spread(samples.spread(Sample::cold)));
            row.extend(self.ratios(samples, Sample::cold));
            row.push(spread(samples.spread(Sample::cold_cpu)));
            row.extend(self.ratios(samples, Sample::cold_cpu));
            row.push(format!("{:.1}", samples.spread(|sample| sample.memory).median));
            table.row(row);
        }
        table.text()
    }

    fn warm(&self) -> String {
        let mut table =
            Table::new(["function", "p50", "× floor", "× ours", "p99", "CPU", "× floor", "× ours", "events a second"]);
        for (function, samples) in self.measured() {
            let warm = samples.spread(|sample| sample.warm);
            let mut row = vec![function.name.to_owned(), spread(warm)];
            row.extend(self.ratios(samples, |sample| sample.warm));
            row.push(spread(samples.spread(|sample| sample.warm_p99)));
            row.push(spread(samples.spread(|sample| sample.warm_cpu)));
            row.extend(self.ratios(samples, |sample| sample.warm_cpu));
            row.push(format!("{:.0}", 1e3 / warm.median));
            table.row(row);
        }
        table.text()
    }

    /// The table of what can be counted.
    pub fn counts(&self) -> String {
        let mut table =
            Table::new(["function", "start", "new event", "duplicate", "with an API key", "unpacked MB", "zip MB"]);
        let cost = |Cost { requests, units, derived }: Cost| match derived {
            0.0 => format!("{requests} / {units}"),
            _ => format!("{requests} / {units} ({derived} derived)"),
        };
        for function in &self.functions {
            let counts = &function.counts;
            let mut row = vec![function.name.to_owned(), counts.start.to_string()];
            row.extend([counts.new, counts.duplicate, counts.with_key].map(cost));
            row.extend(megabytes(function.size));
            table.row(row);
        }
        let [unpacked, zip] = megabytes(self.sync_size);
        let none = || "-".to_owned();
        table.row(["sync".to_owned(), none(), none(), none(), none(), unpacked, zip]);
        format!("Requests to DynamoDB / write units.\n\n{}", table.text())
    }

    fn memory_sizes(&self) -> String {
        let mut table = Table::new(["function", "MB", "cold", "warm", "USD a million"]);
        for (function, samples) in self.measured() {
            let measured = price::Measured {
                start: samples.spread(|sample| sample.start).median,
                start_requests: function.counts.start as f64,
                first_cpu: samples.spread(|sample| sample.first_cpu).median,
                warm_cpu: samples.spread(|sample| sample.warm_cpu).median,
                requests: function.counts.new.requests as f64,
            };
            for estimate in price::SIZES.map(|memory| measured.at(memory)) {
                table.row([
                    function.name.to_owned(),
                    estimate.memory.to_string(),
                    format!("{:.0}", estimate.cold),
                    format!("{:.1}", estimate.warm),
                    format!("{:.2}", estimate.million),
                ]);
            }
        }
        format!(
            "The start has a whole core, events have the memory's share of one ({} MB: a whole one), and DynamoDB answers \
             after {} ms.\n\n{}",
            price::CORE_AT,
            price::DYNAMODB,
            table.text()
        )
    }
}

fn of_sync(sync: &SyncRun) -> String {
    let mut table = Table::new(["", "ms"]);
    for (what, spread_of) in [
        ("start", sync.start),
        ("event to report", sync.report),
        ("both", sync.cold),
        ("CPU of both", sync.cold_cpu),
        ("the same requests by a bare client", sync.bare),
    ] {
        table.row([what.to_owned(), spread(spread_of)]);
    }
    let [dynamodb, secrets, partner] = sync.requests;
    format!(
        "{}\nBoth together take {:.2} times as long as the bare client. Requests: {dynamodb} to DynamoDB, {secrets} to Secrets \
         Manager, {partner} to the partner API. Peak memory: {:.1} MB.\n",
        table.text(),
        sync.ratio,
        sync.memory.median
    )
}

/// A median with its quartiles.
pub fn spread(spread: Spread) -> String {
    let digits = if spread.median < 10.0 { 2 } else { 1 };
    format!("{:.digits$} [{:.digits$}, {:.digits$}]", spread.median, spread.lower, spread.upper)
}

fn megabytes(size: Size) -> [String; 2] {
    [size.unpacked, size.zip].map(|bytes| format!("{:.2}", bytes as f64 / 1e6))
}
