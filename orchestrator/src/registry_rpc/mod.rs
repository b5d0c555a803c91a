//! The orchestrator's side of the registry's gRPC interface: following the register, publishing its own record, handing
//! over receipts.

mod follow;
mod peers;
mod publish;

pub use follow::follow;
pub use peers::{PeerError, Peers};
pub use publish::{PublishError, Publisher};
