//! Callers' receipts on their way to the committees.
//!
//! A receipt is acknowledged to its client once it is on disk, together with the orchestrator's signed grant for its session.
//! It then goes to each member of the committee of its media node in its epoch, and is dropped when all have it, or when
//! the epoch is closed. Members tell receipts apart by session and sequence number, so one that comes twice does no harm.

mod deliver;
mod queue;

pub use deliver::deliver;
pub use queue::{Batch, MAX_WAITING, Queue, QueueError, ReceiptKey, Waiting};
