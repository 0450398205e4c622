use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use shared::text::plain;

use crate::project::{Project, from_here};

/// The token in the paths of events/receiver. The local run accepts it, so these files can be invoked as they are.
pub const TOKEN: &str = "local-sample-token-0123456789abcdef";

/// The secret with which the local run signs the events that it hands on.
pub const FORWARD_SECRET: &str = "whsec_bG9jYWwtc2FtcGxlLWZvcndhcmQtc2VjcmV0LTAx";

/// The events that the provider documents, in the order of its page.
pub const DOCUMENTED: [&str; 3] = ["whatsapp", "builder", "online"];

/// The samples in events/bodies.
pub const NAMES: [&str; 8] =
    ["builder", "impossible-types", "online", "other-types", "package", "partners", "unknown-kind", "whatsapp"];

/// Returns the body of a sample in events/bodies, or of a file.
///
/// # Errors
/// Fails if there is no such file, or it is a request of a gateway rather than a body.
pub fn body(project: &Project, event: &str) -> Result<Vec<u8>> {
    let folder = project.root().join("events/bodies");
    let sample = folder.join(format!("{event}.json"));
    let file = if sample.is_file() { sample } else { PathBuf::from(event) };
    if !file.exists() {
        let names = names(project);
        let close = names.iter().find(|name| strsim::osa_distance(name, event) <= 2);
        let close = close.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
        bail!("{} is neither a file nor one of the samples: {}{close}", plain(event), names.join(", "));
    }
    let body = fs::read(&file).with_context(|| file.display().to_string())?;
    if serde_json::from_slice::<serde_json::Value>(&body).is_ok_and(|json| json.get("requestContext").is_some()) {
        let file = from_here(&file);
        bail!(
            "{0} is a request as a gateway hands it to Lambda, not a body; try: cargo lambda invoke -A 127.0.0.1 receiver --data-file {0}",
            file.display()
        );
    }
    Ok(body)
}

/// Returns the names of the samples in events/bodies.
pub fn names(project: &Project) -> Vec<String> {
    let files = fs::read_dir(project.root().join("events/bodies")).into_iter().flatten().flatten();
    let mut names: Vec<String> = files.filter_map(|file| Some(file.path().file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_sample_is_named() {
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../events/bodies")).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, super::NAMES.map(|name| format!("{name}.json")));
    }
}
