//! What a worker runs: a resident of a room with something to do. A state machine without threads or queues: deliveries and the time
//! come in, what it asks for goes out through a [`Desk`].

use crate::sfu::resident::{Asked, Told};
use std::time::{Duration, Instant};

/// How often [`Job::tick`] is called: a frame of sound.
pub const TICK: Duration = Duration::from_millis(20);

/// Where a job puts what it asks for.
#[derive(Debug, Default)]
pub struct Desk {
    asked: Vec<Asked>,
}

impl Desk {
    /// Asks for something.
    pub fn ask(&mut self, asked: Asked) {
        self.asked.push(asked);
    }

    /// What was asked for since the last time.
    pub fn take(&mut self) -> Vec<Asked> {
        std::mem::take(&mut self.asked)
    }
}

/// Whether a job goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// It does.
    On,
    /// It is done.
    Done,
}

/// Why a job is ended from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// It was asked to.
    Requested,
    /// Its room is over.
    RoomOver,
    /// The node stops.
    Stopping,
}

/// A job.
pub trait Job {
    /// Takes in what its resident is told.
    fn told(&mut self, now: Instant, told: Told, desk: &mut Desk);

    /// Lets time pass. `late` is how far the worker is behind: a job that can do with less should then.
    fn tick(&mut self, now: Instant, late: Duration, desk: &mut Desk) -> Progress;

    /// Ends it. Nothing is called after.
    fn end(&mut self, reason: Ending);
}
