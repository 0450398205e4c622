//! A stand-in for CloudWatch: takes a function's standard output, and reads the metrics from it.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    str::Utf8Error,
    sync::{Arc, Mutex, PoisonError},
};

use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

/// The output written so far. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct CloudWatch(Arc<Mutex<Vec<u8>>>);

/// One value of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Datum {
    /// The namespace of the metric.
    pub namespace: String,
    /// The name of the metric.
    pub name: String,
    /// The dimensions of this value. Without any it is the total.
    pub dimensions: BTreeMap<String, String>,
    /// Such as `Count` or `Milliseconds`.
    pub unit: String,
    /// The value in that unit.
    pub value: f64,
    /// The time of the document, in milliseconds since 1970.
    pub timestamp: i64,
}

/// The reason why metrics cannot be read. CloudWatch itself silently skips such a line.
#[derive(Debug, Error)]
pub enum Unreadable {
    /// The output is not text.
    #[error("not UTF-8")]
    Encoding(#[from] Utf8Error),
    /// A line is not in the embedded metric format.
    #[error("line {line}: {fault}")]
    Line {
        /// The line's number, from 1.
        line: usize,
        /// The fault in it.
        fault: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Metadata {
    timestamp: i64,
    cloud_watch_metrics: Vec<Directive>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Directive {
    namespace: String,
    dimensions: Vec<Vec<String>>,
    metrics: Vec<Definition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Definition {
    name: String,
    unit: String,
}

impl CloudWatch {
    /// Returns the output, line by line.
    ///
    /// # Errors
    /// Fails if it is not text.
    pub fn lines(&self) -> Result<Vec<String>, Unreadable> {
        let written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::str::from_utf8(&written)?.lines().map(str::to_owned).collect())
    }

    /// Returns every value of every metric, in the order of the output. Lines without a member `_aws` are log lines, and are
    /// skipped.
    ///
    /// # Errors
    /// Fails if a line with that member is not in the embedded metric format, or names a metric or a dimension that it does not
    /// have.
    pub fn data(&self) -> Result<Vec<Datum>, Unreadable> {
        let mut data = Vec::new();
        for (line, text) in (1..).zip(self.lines()?) {
            let Ok(mut members) = serde_json::from_str::<Map<String, Value>>(&text) else { continue };
            let Some(metadata) = members.remove("_aws") else { continue };
            let read = serde_json::from_value(metadata).map_err(|error| error.to_string());
            let read = read.and_then(|metadata| read_document(&metadata, &members));
            data.extend(read.map_err(|fault| Unreadable::Line { line, fault })?);
        }
        Ok(data)
    }

    /// Returns the sum of a metric: the total, or for one value of a dimension. Without values it is 0.
    ///
    /// # Errors
    /// As [`CloudWatch::data`].
    pub fn sum(&self, metric: &str, dimension: Option<(&str, &str)>) -> Result<f64, Unreadable> {
        let dimensions = dimension.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
        let all = self.data()?.into_iter().filter(|datum| datum.name == metric && datum.dimensions == dimensions);
        Ok(all.map(|datum| datum.value).sum())
    }
}

impl Write for CloudWatch {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn read_document(metadata: &Metadata, members: &Map<String, Value>) -> Result<Vec<Datum>, String> {
    let mut data = Vec::new();
    for Directive { namespace, dimensions, metrics } in &metadata.cloud_watch_metrics {
        for set in dimensions {
            let member = |name: &String| match members.get(name) {
                Some(Value::String(value)) => Ok((name.clone(), value.clone())),
                _ => Err(format!("the dimension {name} has no value")),
            };
            let dimensions = set.iter().map(member).collect::<Result<BTreeMap<_, _>, _>>()?;
            for Definition { name, unit } in metrics {
                let value = members.get(name).and_then(Value::as_f64);
                data.push(Datum {
                    namespace: namespace.clone(),
                    name: name.clone(),
                    dimensions: dimensions.clone(),
                    unit: unit.clone(),
                    value: value.ok_or_else(|| format!("the metric {name} has no value"))?,
                    timestamp: metadata.timestamp,
                });
            }
        }
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> CloudWatch {
        let mut cloudwatch = CloudWatch::default();
        cloudwatch.write_all(text.as_bytes()).unwrap();
        cloudwatch
    }

    #[test]
    fn metrics_are_read_as_a_whole_and_by_dimension_and_other_lines_are_passed_over() {
        let cloudwatch = written(concat!(
            "a line of a log\n{\"message\":\"another\"}\n",
            r#"{"_aws":{"Timestamp":7,"CloudWatchMetrics":[{"Namespace":"n","Dimensions":[[],["Kind"]],"#,
            r#""Metrics":[{"Name":"Seen","Unit":"Count"}]}]},"Kind":"builder","Seen":2}"#,
        ));
        assert_eq!(cloudwatch.data().unwrap().len(), 2);
        assert_eq!(cloudwatch.sum("Seen", None).unwrap(), 2.0);
        assert_eq!(cloudwatch.sum("Seen", Some(("Kind", "builder"))).unwrap(), 2.0);
        assert_eq!(cloudwatch.sum("Seen", Some(("Kind", "online"))).unwrap(), 0.0);
    }

    #[test]
    fn a_document_without_a_member_that_it_names_is_refused() {
        for (members, fault) in [
            (r#""Kind":"builder""#, "line 1: the metric Seen has no value"),
            (r#""Seen":2"#, "line 1: the dimension Kind has no value"),
            (r#""Kind":"builder","Seen":"2""#, "line 1: the metric Seen has no value"),
        ] {
            let directive = r#"{"Namespace":"n","Dimensions":[["Kind"]],"Metrics":[{"Name":"Seen","Unit":"Count"}]}"#;
            let line = format!(r#"{{"_aws":{{"Timestamp":7,"CloudWatchMetrics":[{directive}]}},{members}}}"#);
            assert_eq!(written(&line).data().unwrap_err().to_string(), fault);
        }
        assert!(written(r#"{"_aws":{"CloudWatchMetrics":[]}}"#).data().is_err());
    }
}
