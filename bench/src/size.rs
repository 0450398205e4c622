//! The size of a deployment.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use flate2::{Compression, write::DeflateEncoder};
use serde::Serialize;

/// Bytes of a zip file for each file besides its name, twice, and its data: a local header and a directory entry.
const PER_FILE: u64 = 30 + 46;
/// Bytes at the end of a zip file.
const END: u64 = 22;

/// The size of a deployment, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Size {
    /// Size of the files.
    pub unpacked: u64,
    /// Size as a zip file with maximum compression (`zip -9`).
    pub zip: u64,
}

/// Returns the size of files and folders.
///
/// # Errors
/// Fails when one cannot be read.
pub fn of(deployed: &[PathBuf]) -> Result<Size> {
    let mut size = Size { unpacked: 0, zip: END };
    for path in deployed {
        add(path, path.parent().unwrap_or(path), &mut size)
            .with_context(|| format!("{} cannot be read", path.display()))?;
    }
    Ok(size)
}

fn add(path: &Path, root: &Path, size: &mut Size) -> io::Result<()> {
    if path.is_dir() {
        // The interpreter's cache is not deployed.
        if path.ends_with("__pycache__") {
            return Ok(());
        }
        for entry in fs::read_dir(path)? {
            add(&entry?.path(), root, size)?;
        }
        return Ok(());
    }
    let bytes = fs::read(path)?;
    let mut deflated = DeflateEncoder::new(Counter(0), Compression::best());
    deflated.write_all(&bytes)?;
    let name = path.strip_prefix(root).unwrap_or(path).as_os_str().len() as u64;
    size.unpacked += bytes.len() as u64;
    size.zip += deflated.finish()?.0 + PER_FILE + 2 * name;
    Ok(())
}

/// Counts bytes, and keeps none.
struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
