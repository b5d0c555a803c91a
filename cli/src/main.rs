//! The `chroom` program: reads the arguments, runs the command, gives the exit code.

use chroom_cli::{
    command::{self, Cli},
    output::Output,
};
use clap::Parser;
use std::{io::IsTerminal, process::ExitCode};
use tracing_subscriber::EnvFilter;

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_env("CHROOM_LOG").unwrap_or_else(|_| EnvFilter::new("error,chroom_cli=warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .init();
    let output = if cli.json { Output::Json } else { Output::Text };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // The main thread runs the command itself: `up` ties its children to this thread.
    let result = runtime.block_on(command::run(&cli, output));
    runtime.shutdown_background();
    Ok(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            match output {
                Output::Json => eprintln!("{}", serde_json::to_string(&failure)?),
                Output::Text => eprintln!("error: {failure}"),
            }
            ExitCode::from(failure.exit_code())
        }
    })
}
