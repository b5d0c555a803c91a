//! The node's own account: what it measures of itself, its record in the registry, and its reports to the committee.

pub mod cpu;
pub mod epoch;
pub mod load;
pub mod publisher;
pub mod record;
pub mod report;
pub mod reporter;
pub mod scores;
