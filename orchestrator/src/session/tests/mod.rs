//! The core in a simulated network.

mod histories;
mod joining;
mod limits;
mod moving;
mod placing;
mod reopening;
mod restarting;
mod spanning;
mod world;
