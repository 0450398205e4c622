//! `hooks inspect`: the page on this machine for looking at what arrives.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::{
    inspector::Inspector,
    interrupt::interrupted,
    output::print,
    target::{Target, TargetArgs},
};

/// The port of the page, unless another is asked for.
pub const PORT: u16 = 9010;

/// About what, and where.
#[derive(Args)]
pub struct Inspect {
    #[command(flatten)]
    target: TargetArgs,
    /// The port on 127.0.0.1; a free one if this is taken.
    #[arg(long, default_value_t = PORT)]
    port: u16,
}

/// Serves the page until Ctrl-C.
///
/// # Errors
/// When what it is about cannot be found, or no port is free.
pub async fn run(Inspect { target, port }: Inspect) -> Result<ExitCode> {
    let inspector = Inspector::start(Target::find(target).await?, port).await?;
    print(&format!(
        "{}\n\nOpen it in a browser on this machine. Whoever has the address can read along. It ends with Ctrl-C.\n",
        inspector.url()
    ))?;
    interrupted().await;
    Ok(ExitCode::SUCCESS)
}
