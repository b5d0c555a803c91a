//! Why something is not done.

use super::{super::budget::OverBudget, WorkerBusy, recordings::MAX_RECORDINGS};
use crate::sfu::{router::RouteError, shard::ShardError};
use std::io;

/// A job can't begin.
#[derive(Debug, thiserror::Error)]
pub enum StudioError {
    /// This node has no processing.
    #[error("this node processes no media (--processing-threads 0): use another node")]
    Off,
    /// This node has nowhere to put it.
    #[error("this node records nothing (it has no --recordings folder): use another node")]
    NoFolder,
    /// The id can't be one.
    #[error("{0:?} is not a recording's id: 1 to 64 letters, digits, _ and -")]
    BadId(String),
    /// The id is taken.
    #[error("recording {0} is there already")]
    Taken(String),
    /// There is none.
    #[error("no recording {0} of this room on this node")]
    Unknown(String),
    /// Too many.
    #[error("the node has {MAX_RECORDINGS} recordings going on")]
    TooMany,
    /// The budget.
    #[error(transparent)]
    Budget(#[from] OverBudget),
    /// A worker.
    #[error(transparent)]
    Worker(#[from] WorkerBusy),
    /// A shard.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// The room.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The disk.
    #[error("the folder can't be made: {0}")]
    Storage(#[from] io::Error),
    /// No picture came.
    #[error("no picture of this track came in time")]
    NoPicture,
    /// It takes too long.
    #[error("the job doesn't answer in time; try again")]
    Late,
}
