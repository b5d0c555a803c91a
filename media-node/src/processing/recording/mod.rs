//! Recordings of rooms in files.

pub mod clock;
pub mod composite;
pub mod format;
pub mod job;
pub mod manifest;
pub mod room;
pub mod storage;
pub mod track;
pub mod webm;
