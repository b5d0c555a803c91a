//! What needs the media themselves and not only their packets: mixing, recording, transcoding, thumbnails.
//!
//! It runs on threads of its own at the lowest priority, and is budgeted: a job that would cost more than is left is refused with a
//! reason, and forwarding never waits for it. docs/processing.md has the data flow.

pub mod audio;
pub mod bridge;
pub mod budget;
pub mod cost;
pub mod job;
pub mod metrics;
pub mod mix;
pub mod recording;
pub mod reorder;
pub mod studio;
pub mod thumbnail;
pub mod video;
pub mod worker;
