//! The results of a run, and their tables.

use std::fs;

use anyhow::Result;
use serde::Serialize;

use crate::{
    chain::Chain,
    counts::{Cost, Counts},
    rounds::{Sample, Samples},
    size::Size,
    statistics::Spread,
    table::Table,
};

/// The function that others are compared with.
pub const OURS: &str = "receiver";
/// The peer that does least.
pub const FLOOR: &str = "floor";

/// All results of one run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The machine that it ran on.
    pub machine: Machine,
    /// Starts of each function.
    pub rounds: usize,
    /// Warm events of each start.
    pub warm: usize,
    /// One line per peer that could not be measured.
    pub left_out: Vec<String>,
    /// The functions that handle events.
    pub functions: Vec<Measured>,
    /// The size of sync.
    pub sync_size: Size,
    /// Events through the receiver, the publisher and the forwarder.
    pub chain: Option<Chain>,
}

/// The results of a function.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// Its name.
    pub name: &'static str,
    /// The cost of events.
    pub counts: Counts,
    /// The size of the deployed files.
    pub size: Size,
    /// The timings of its processes.
    pub samples: Option<Samples>,
}

/// The machine.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    processor: String,
    architecture: &'static str,
    cores: usize,
    /// Load average of the minute before: above 0, other programs were running.
    load: f64,
}

impl Machine {
    /// Reads it from the kernel.
    ///
    /// # Errors
    /// Fails when the kernel does not tell.
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
    /// Returns all tables.
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
        parts.extend(self.chain.as_ref().map(|chain| {
            let Chain { burst, rate, single, lag, lag_p99 } = chain;
            format!(
                "## From the webhook to the endpoint\n\n{burst} events at once: {rate:.0} events a second. {single} single events, from the \
                 answer until they were handed on: p50 {:.1} ms, p99 {lag_p99:.1} ms.\n",
                lag.median
            )
        }));
        parts.extend((!self.left_out.is_empty()).then(|| self.left_out.join("\n") + "\n"));
        parts.join("\n")
    }

    fn measured(&self) -> impl Iterator<Item = (&Measured, &Samples)> {
        self.functions.iter().filter_map(|function| Some((function, function.samples.as_ref()?)))
    }

    fn samples(&self, name: &str) -> Option<&Samples> {
        self.measured().find(|(function, _)| function.name == name).map(|(_, samples)| samples)
    }

    /// Returns the ratios of a measure to the floor's and to ours.
    fn ratios(&self, samples: &Samples, measure: impl Fn(&Sample) -> f64) -> [String; 2] {
        [FLOOR, OURS].map(|other| self.ratio(samples, other, &measure))
    }

    /// The same, with the ratio to the function's own floor between them.
    fn cpu_ratios(&self, function: &str, samples: &Samples, measure: impl Fn(&Sample) -> f64) -> [String; 3] {
        [FLOOR, &format!("{function}'s floor"), OURS].map(|other| self.ratio(samples, other, &measure))
    }

    fn ratio(&self, samples: &Samples, other: &str, measure: impl Fn(&Sample) -> f64) -> String {
        self.samples(other).map_or_else(|| "-".to_owned(), |other| format!("{:.2}", samples.ratio(other, measure)))
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
            "× own floor",
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
            row.extend(self.cpu_ratios(function.name, samples, Sample::cold_cpu));
            row.push(format!("{:.1}", samples.spread(|sample| sample.memory).median));
            table.row(row);
        }
        table.text()
    }

    fn warm(&self) -> String {
        let mut table = Table::new([
            "function",
            "p50",
            "× floor",
            "× ours",
            "p99",
            "CPU",
            "× floor",
            "× own floor",
            "× ours",
            "events a second",
        ]);
        for (function, samples) in self.measured() {
            let warm = samples.spread(|sample| sample.warm);
            let mut row = vec![function.name.to_owned(), spread(warm)];
            row.extend(self.ratios(samples, |sample| sample.warm));
            row.push(spread(samples.spread(|sample| sample.warm_p99)));
            row.push(spread(samples.spread(|sample| sample.warm_cpu)));
            row.extend(self.cpu_ratios(function.name, samples, |sample| sample.warm_cpu));
            row.push(format!("{:.0}", 1e3 / warm.median));
            table.row(row);
        }
        table.text()
    }

    /// Returns the table of counts and sizes.
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
}

/// Writes a median with its quartiles.
pub fn spread(spread: Spread) -> String {
    let digits = if spread.median < 10.0 { 2 } else { 1 };
    format!("{:.digits$} [{:.digits$}, {:.digits$}]", spread.median, spread.lower, spread.upper)
}

fn megabytes(size: Size) -> [String; 2] {
    [size.unpacked, size.zip].map(|bytes| format!("{:.2}", bytes as f64 / 1e6))
}
