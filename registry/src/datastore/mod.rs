//! The register: signed records of nodes, merged, indexed by place and kept on disk.
//!
//! [`merge::Book`] is the merge core without I/O, [`store::Store`] the disk, [`register::Register`] joins the two and tells
//! watchers of changes.

pub mod load;
pub mod merge;
pub mod offer;
pub mod place;
pub mod quarantine;
pub mod record_set;
pub mod register;
pub mod snapshot;
pub mod store;

pub use merge::{Book, Standing, Verdict};
pub use register::{Change, Register};
pub use store::Store;
