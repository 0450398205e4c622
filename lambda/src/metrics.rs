//! Metrics as lines in CloudWatch's embedded metric format. CloudWatch reads them from the function's log, so a call
//! neither waits for a metric nor needs a permission for it.
//!
//! Lambda copies a line of JSON unchanged into the log. These lines have no level, so Lambda treats them as `INFO`, and
//! drops them if the application log level is above that.

use std::{
    collections::BTreeMap,
    fmt,
    io::Write,
    marker::PhantomData,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use metrique_writer_core::{
    Entry, EntryWriter, IoStreamError, MetricFlags, Observation, Unit, Value, ValueWriter, format::Format,
};
use metrique_writer_format_emf::{Emf, MetricDefinition, MetricDirective};
use shared::{Kind, Timestamp};
use thiserror::Error;

use crate::environment::{Environment, InvalidVariable};

const NAMESPACE: &str = "METRICS_NAMESPACE";
const DEFAULT_NAMESPACE: &str = "partner-webhook";

/// 1 in the first document of a process, which is the first call of an execution environment; absent from all others.
const COLD_START: Count = Count::named("ColdStart");

/// A count, by its name in CloudWatch.
#[derive(Clone, Copy, Debug)]
pub struct Count(&'static str);

impl Count {
    /// Names the metric.
    pub const fn named(name: &'static str) -> Self {
        Self(name)
    }
}

/// A count in total, and by a dimension.
#[derive(Clone, Copy, Debug)]
pub struct CountBy<D>(&'static str, PhantomData<fn(&D)>);

impl<D: Dimension> CountBy<D> {
    /// Names the metric.
    pub const fn named(name: &'static str) -> Self {
        Self(name, PhantomData)
    }
}

/// A duration in milliseconds, with fractions.
#[derive(Clone, Copy, Debug)]
pub struct Millis(&'static str);

impl Millis {
    /// Names the metric.
    pub const fn named(name: &'static str) -> Self {
        Self(name)
    }
}

/// A property by which counts are split. CloudWatch keeps and bills a separate metric for every value, so there are few
/// values, all of them in our source: nothing that a caller sent can become one.
pub trait Dimension {
    /// The dimension's name in CloudWatch.
    const NAME: &'static str;

    /// Returns the dimension's value.
    fn value(&self) -> &'static str;
}

/// A documented kind counts under its name, all other kinds under `other`.
impl Dimension for Kind {
    const NAME: &'static str = "Kind";

    fn value(&self) -> &'static str {
        match self {
            Self::Whatsapp => "whatsapp",
            Self::Builder => "builder",
            Self::Online => "online",
            Self::Partners => "partners",
            Self::Package => "package",
            Self::Store => "store",
            Self::Other(_) | Self::Unnamed => "other",
        }
    }
}

/// The metrics of this process.
pub struct Metrics {
    namespace: String,
    cold: AtomicBool,
    output: Mutex<Box<dyn Write + Send>>,
}

/// The namespace is not valid in CloudWatch.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must be 1 to 255 letters, digits and .-_/#: and begin neither with a colon nor with AWS/")]
struct InvalidNamespace;

impl Metrics {
    /// Writes metrics in the namespace `METRICS_NAMESPACE` (default: `partner-webhook`) to `output`, which is standard output in
    /// a function.
    ///
    /// # Errors
    /// Fails when the namespace is not valid in CloudWatch.
    pub fn read(environment: &Environment, output: impl Write + Send + 'static) -> Result<Self, InvalidVariable> {
        let namespace = environment.read_if_set(NAMESPACE, DEFAULT_NAMESPACE, namespace)?;
        let namespace = namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
        Ok(Self { namespace, cold: AtomicBool::new(true), output: Mutex::new(Box::new(output)) })
    }

    /// Starts the metrics of one call: a request, a batch, a run. `at` is their time in CloudWatch.
    pub fn document(&self, at: Timestamp) -> Document<'_> {
        let mut document = Document { metrics: self, at, all: BTreeMap::new(), split: BTreeMap::new() };
        if self.cold.swap(false, Ordering::Relaxed) {
            document.count(COLD_START, 1);
        }
        document
    }

    /// Only logs a failure: a call is answered even if its metrics are lost.
    fn write(&self, lines: Result<Vec<u8>, IoStreamError>) {
        let written = lines.map_err(|error| error.to_string()).and_then(|lines| {
            let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
            // In one call: a log line in between would break both.
            output.write_all(&lines).and_then(|()| output.flush()).map_err(|error| error.to_string())
        });
        if let Err(error) = written {
            tracing::error!(error, "the metrics cannot be written");
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

fn namespace(text: &str) -> Result<String, InvalidNamespace> {
    let taken = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/#:".contains(&byte);
    let reserved = text.starts_with(':') || text.starts_with("AWS/");
    if (1..=255).contains(&text.len()) && text.bytes().all(taken) && !reserved {
        Ok(text.to_owned())
    } else {
        Err(InvalidNamespace)
    }
}

/// The metrics of one call: numbers, and values of a [`Dimension`]. No data of the call can get in.
///
/// Nothing is written before [`Document::write`].
#[must_use = "a document that is not written counts nothing"]
#[derive(Debug)]
pub struct Document<'a> {
    metrics: &'a Metrics,
    at: Timestamp,
    all: BTreeMap<&'static str, Measure>,
    /// Dimension, its value, the metric.
    split: BTreeMap<&'static str, BTreeMap<&'static str, BTreeMap<&'static str, u64>>>,
}

#[derive(Clone, Copy, Debug)]
enum Measure {
    Count(u64),
    Time(Duration),
}

impl Document<'_> {
    /// Adds to a metric. The document contains only metrics that were added to, even if by 0.
    pub fn count(&mut self, metric: Count, times: u64) -> &mut Self {
        self.add(metric.0, times);
        self
    }

    /// Adds to a metric, in total and by the dimension.
    pub fn count_by<D: Dimension>(&mut self, metric: CountBy<D>, by: &D, times: u64) -> &mut Self {
        self.add(metric.0, times);
        *self.split.entry(D::NAME).or_default().entry(by.value()).or_default().entry(metric.0).or_default() += times;
        self
    }

    /// Sets a duration, replacing an earlier one.
    pub fn millis(&mut self, metric: Millis, took: Duration) -> &mut Self {
        self.all.insert(metric.0, Measure::Time(took));
        self
    }

    /// Writes the metrics: one line, and one more for each value of a dimension that has several in this document. Writes
    /// nothing when there are no metrics, and logs a failure.
    pub fn write(&self) {
        if !self.all.is_empty() {
            self.metrics.write(self.lines());
        }
    }

    fn add(&mut self, metric: &'static str, times: u64) {
        let before = match self.all.get(metric) {
            Some(Measure::Count(before)) => *before,
            _ => 0,
        };
        self.all.insert(metric, Measure::Count(before.saturating_add(times)));
    }

    fn lines(&self) -> Result<Vec<u8>, IoStreamError> {
        let namespace = &self.metrics.namespace;
        let at = UNIX_EPOCH + Duration::from_millis(u64::try_from(self.at.as_millis()).unwrap_or(0));
        let mut lines = Vec::new();
        let mut emf = Emf::builder(namespace.clone(), vec![vec![]]);
        let mut all = Line { at, dimensions: Vec::new(), measures: self.all.iter().map(|(k, v)| (*k, *v)).collect() };
        for (&dimension, values) in &self.split {
            // A member of a document has one value. If all counts have the same value of the dimension, the total and the
            // count by dimension are equal, and one line holds both.
            let fits = values.len() == 1;
            for (&value, counts) in values {
                if fits {
                    all.dimensions.push((dimension, value));
                    let definition = |&name| MetricDefinition { name, unit: Unit::Count, storage_resolution: None };
                    emf = emf.directive(MetricDirective {
                        dimensions: vec![vec![dimension]],
                        metrics: counts.keys().map(definition).collect(),
                        namespace,
                    });
                } else {
                    let measures = counts.iter().map(|(metric, times)| (*metric, Measure::Count(*times))).collect();
                    let line = Line { at, dimensions: vec![(dimension, value)], measures };
                    let mut emf = Emf::builder(namespace.clone(), vec![vec![dimension.to_owned()]]).build();
                    emf.format(&line, &mut lines)?;
                }
            }
        }
        emf.build().format(&all, &mut lines)?;
        Ok(lines)
    }
}

/// One line in the embedded metric format.
struct Line {
    at: SystemTime,
    dimensions: Vec<(&'static str, &'static str)>,
    measures: Vec<(&'static str, Measure)>,
}

impl Entry for Line {
    fn write<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
        writer.timestamp(self.at);
        for (name, value) in &self.dimensions {
            writer.value(*name, *value);
        }
        for (name, measure) in &self.measures {
            writer.value(*name, measure);
        }
    }
}

impl Value for Measure {
    fn write(&self, writer: impl ValueWriter) {
        match self {
            Self::Count(times) => {
                writer.metric([Observation::Unsigned(*times)], Unit::Count, [], MetricFlags::empty());
            }
            Self::Time(took) => took.write(writer),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use serde_json::{Value, json};

    use super::*;

    const SEEN: CountBy<Kind> = CountBy::named("Seen");
    const DROPPED: CountBy<Kind> = CountBy::named("Dropped");
    const REFUSED: CountBy<Cause> = CountBy::named("Refused");
    const QUEUED: Count = Count::named("Queued");
    const ANSWER_TIME: Millis = Millis::named("AnswerTime");

    struct Cause;

    impl Dimension for Cause {
        const NAME: &'static str = "Cause";

        fn value(&self) -> &'static str {
            "NoToken"
        }
    }

    #[derive(Clone, Default)]
    struct Output(Arc<Mutex<Vec<u8>>>);

    impl Output {
        fn lines(&self) -> Vec<Value> {
            let written = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            assert!(written.is_empty() || written.ends_with('\n'));
            written.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn noon() -> Timestamp {
        "2026-11-22T12:00:00.123456Z".parse().unwrap()
    }

    /// Returns metrics whose first document is already written and discarded.
    fn warm() -> (Metrics, Output) {
        let output = Output::default();
        let metrics = Metrics::read(&Environment::from([("METRICS_NAMESPACE", "stack")]), output.clone()).unwrap();
        metrics.document(noon()).write();
        output.0.lock().unwrap().clear();
        (metrics, output)
    }

    fn directive(dimensions: &Value, metrics: &[(&str, &str)]) -> Value {
        let metrics: Vec<_> = metrics.iter().map(|(name, unit)| json!({"Name": name, "Unit": unit})).collect();
        json!({"Namespace": "stack", "Dimensions": [dimensions], "Metrics": metrics})
    }

    #[test]
    fn a_document_is_one_line_with_each_metric_in_all_and_by_its_dimension() {
        let (metrics, output) = warm();
        metrics
            .document(noon())
            .count_by(SEEN, &Kind::Whatsapp, 1)
            .count_by(REFUSED, &Cause, 2)
            .count(QUEUED, 1)
            .millis(ANSWER_TIME, Duration::from_micros(12_500))
            .write();
        let counts = |name| (name, "Count");
        let expected = json!({
            "_aws": {
                "Timestamp": 1_795_348_800_123_u64,
                "CloudWatchMetrics": [
                    directive(&json!([]), &[("AnswerTime", "Milliseconds"), counts("Queued"), counts("Refused"), counts("Seen")]),
                    directive(&json!(["Cause"]), &[counts("Refused")]),
                    directive(&json!(["Kind"]), &[counts("Seen")]),
                ],
            },
            "Cause": "NoToken", "Kind": "whatsapp", "AnswerTime": 12.5, "Queued": 1, "Refused": 2, "Seen": 1,
        });
        assert_eq!(output.lines(), [expected]);
    }

    #[test]
    fn a_dimension_with_several_values_has_a_line_for_each_beside_the_one_with_all() {
        let (metrics, output) = warm();
        let mut document = metrics.document(noon());
        document.count_by(REFUSED, &Cause, 1).count_by(DROPPED, &Kind::Builder, 1);
        for kind in [Kind::Whatsapp, Kind::Builder, Kind::Whatsapp] {
            document.count_by(SEEN, &kind, 1);
        }
        document.write();
        let aws = |directives: &[Value]| json!({"Timestamp": 1_795_348_800_123_u64, "CloudWatchMetrics": directives});
        let (seen, dropped, refused) = (("Seen", "Count"), ("Dropped", "Count"), ("Refused", "Count"));
        let by_kind = json!(["Kind"]);
        let expected = [
            json!({"_aws": aws(&[directive(&by_kind, &[dropped, seen])]), "Kind": "builder", "Dropped": 1, "Seen": 1}),
            json!({"_aws": aws(&[directive(&by_kind, &[seen])]), "Kind": "whatsapp", "Seen": 2}),
            json!({
                "_aws": aws(&[directive(&json!([]), &[dropped, refused, seen]), directive(&json!(["Cause"]), &[refused])]),
                "Cause": "NoToken", "Dropped": 1, "Refused": 1, "Seen": 3,
            }),
        ];
        assert_eq!(output.lines(), expected);
    }

    #[test]
    fn a_kind_that_the_provider_does_not_document_is_other_whatever_it_is_called() {
        for (name, value) in [("whatsapp", "whatsapp"), ("package", "package"), ("voice", "other"), ("", "other")] {
            assert_eq!(Kind::of(name).value(), value);
        }
    }

    #[test]
    fn only_the_first_document_is_a_cold_start() {
        let output = Output::default();
        let metrics = Metrics::read(&Environment::from([]), output.clone()).unwrap();
        for _ in 0..3 {
            metrics.document(noon()).count(QUEUED, 0).write();
        }
        let cold: Vec<_> = output.lines().iter().map(|line| line["ColdStart"].clone()).collect();
        assert_eq!(cold, [json!(1), Value::Null, Value::Null]);
    }

    #[test]
    fn without_counts_nothing_is_written() {
        let (metrics, output) = warm();
        metrics.document(noon()).write();
        assert_eq!(output.lines(), [] as [Value; 0]);
    }

    #[test]
    fn an_output_that_fails_does_no_harm() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::Error::other("closed"))
            }

            fn flush(&mut self) -> io::Result<()> {
                Err(io::Error::other("closed"))
            }
        }
        Metrics::read(&Environment::from([]), Broken).unwrap().document(noon()).count(QUEUED, 1).write();
    }

    #[test]
    fn the_namespace_is_one_that_cloudwatch_takes_or_the_start_fails() {
        let read = |value: &str| Metrics::read(&Environment::from([(NAMESPACE, value)]), io::sink());
        assert_eq!(Metrics::read(&Environment::from([]), io::sink()).unwrap().namespace, "partner-webhook");
        for good in ["s", "my-stack", "A/b_c.d#1:2", &"x".repeat(255)] {
            assert_eq!(read(good).unwrap().namespace, good);
        }
        for bad in ["my stack", "a\"b", "שלום", ":a", "AWS/Lambda", &"x".repeat(256)] {
            let message = read(bad).unwrap_err().to_string();
            assert!(message.starts_with("environment variable METRICS_NAMESPACE: must be 1 to 255"), "{message}");
            assert!(message.ends_with("for example: partner-webhook"), "{message}");
        }
        assert!(read(" ").unwrap_err().to_string().contains("is empty"));
    }
}
