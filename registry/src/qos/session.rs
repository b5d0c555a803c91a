//! Sessions, as orchestrators vouch for them.

use chroom_primitives::{AccountId, Signed, UnixMs, record::SessionGrant};
use codec::{Decode, Encode};

/// A session that receipts came for, and how far they got.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Session {
    /// The orchestrator's word, by which the receipts are checked.
    pub grant: Signed<SessionGrant>,
    /// Owner of the orchestrator: scores are weighed by operator, so that one operator with many orchestrators counts once.
    pub operator: AccountId,
    /// Sequence number of the newest receipt.
    pub last_seq: u64,
    /// End of its interval, Unix time in milliseconds.
    pub last_to_ms: UnixMs,
}

impl Session {
    /// A session without receipts yet.
    pub fn new(grant: Signed<SessionGrant>, operator: AccountId) -> Self {
        Self { grant, operator, last_seq: 0, last_to_ms: 0 }
    }
}
