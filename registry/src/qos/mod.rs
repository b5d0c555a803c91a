//! Quality: receipts, reports and probes in; one scored and signed-for tree per epoch out.
//!
//! [`receipt`], [`scoring`], [`capacity`] and [`epoch`] are cores without I/O; [`intake`], [`prober`] and [`attestor`] are the shells.

pub mod attestation;
pub mod attestor;
pub mod capacity;
pub mod epoch;
pub mod intake;
pub mod probe;
pub mod prober;
pub mod proof;
pub mod receipt;
pub mod scoring;
pub mod session;
