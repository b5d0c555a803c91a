//! The media servers under test: how each is started, and how a participant joins it.

pub mod chroom;
pub mod janus;
pub mod participant;
pub mod process;

use crate::{client::Plan, wire::sdp::SdpError};
use participant::{Participant, Staff};
use std::io;

/// A server can't do what is asked.
#[derive(Debug, thiserror::Error)]
pub enum SfuError {
    /// Its program can't be run.
    #[error("{0} can't be run: {1}")]
    Program(String, io::Error),
    /// It can't be talked to.
    #[error("talking to the SFU failed: {0}")]
    Io(#[from] io::Error),
    /// It didn't answer in time.
    #[error("the SFU didn't answer within {0:?}")]
    Silent(std::time::Duration),
    /// It ended.
    #[error("the SFU ended")]
    Ended,
    /// It refuses.
    #[error("the SFU refuses: {0}")]
    Refused(String),
    /// Its description is of no use.
    #[error("{0}")]
    Description(#[from] SdpError),
    /// No certificate, candidate or the like.
    #[error("the SFU's answer has no {0}")]
    Missing(&'static str),
}

/// A running media server.
pub trait Sfu {
    /// Its name and version.
    fn version(&self) -> &str;

    /// Its process.
    fn pid(&self) -> u32;

    /// Has a participant come in; the client to connect comes back, if there is one yet. A server whose clients have one connection for
    /// both directions makes it here.
    fn enter(&mut self, staff: &mut Staff, participant: &Participant) -> Result<Option<Plan>, SfuError>;

    /// Has a participant ask for what it wants, once all who publish that came in; a client per connection that this takes comes back.
    fn attend(&mut self, staff: &mut Staff, participant: &Participant) -> Result<Option<Plan>, SfuError>;

    /// Has a participant leave.
    fn leave(&mut self, participant: &Participant) -> Result<(), SfuError>;
}
