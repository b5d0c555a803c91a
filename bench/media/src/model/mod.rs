//! What the load is like: sources of media and properties of lines. State machines that take time and randomness as arguments.

pub mod audio;
pub mod bottleneck;
pub mod delay;
pub mod line;
pub mod video;
