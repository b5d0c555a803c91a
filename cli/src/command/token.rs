//! `chroom token`: access tokens for participants.

use crate::{
    failure::Failure,
    output::Output,
    token::{self, Grants},
    up::process::unix_ms,
};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;

/// Access tokens for participants
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Sign a token as an application's back end would
    Create(Create),
}

/// Arguments of `create`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  chroom token create --key demo --secret-file .chroom/local/apps/demo.secret --room lobby --identity ann --publish --subscribe
  chroom token create --key demo --secret-file demo.secret --room talk --identity guest-7 --subscribe --ttl 600 --json")]
pub struct Create {
    /// Key id of the application, as the orchestrator knows it
    #[arg(long)]
    key: String,
    /// File with the application's secret
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,
    /// The room
    #[arg(long)]
    room: String,
    /// The participant's identity, at most 64 bytes
    #[arg(long)]
    identity: String,
    /// Display name; the identity if absent
    #[arg(long)]
    name: Option<String>,
    /// May publish
    #[arg(long)]
    publish: bool,
    /// May subscribe
    #[arg(long)]
    subscribe: bool,
    /// May remove others from the room
    #[arg(long)]
    admin: bool,
    /// Seconds that the token is valid, at most 86,400
    #[arg(long, default_value_t = 3_600, value_name = "SECONDS")]
    ttl: u64,
}

/// Runs the command.
pub fn run(command: &Command, output: Output) -> Result<(), Failure> {
    let Command::Create(create) = command;
    let secret = token::read_secret(&create.secret_file)?;
    let grants = Grants {
        room: create.room.clone(),
        join: true,
        publish: create.publish,
        subscribe: create.subscribe,
        admin: create.admin,
        name: create.name.clone().unwrap_or_else(|| create.identity.clone()),
    };
    let now = unix_ms() / 1_000;
    let token = token::sign(&create.key, &secret, &create.identity, &grants, now, create.ttl)?;
    output.show(&json!({ "token": token, "expires": now + create.ttl, "grants": grants }), |_| token.clone());
    Ok(())
}
