//! Which registry entries are believed.

use crate::chain::{ChainState, Outsider};
use chroom_primitives::{
    Hash, NodeId, Signed, UnixMs,
    record::{LoadReport, NodeRecord, seq_time},
};
use codec::DecodeAll;

/// How far a record's time may be ahead of this clock, in milliseconds.
const MAX_AHEAD_MS: u64 = 60_000;

/// Why an entry is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// It cannot be decoded.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// It is about another node than the registry says.
    #[error("the record is of {0}")]
    OtherNode(NodeId),
    /// It is not signed by the node's key.
    #[error("the {what} is signed by {signer:?}, not by the node's own key")]
    WrongKey {
        /// What was signed.
        what: &'static str,
        /// Who signed, if anybody.
        signer: Option<NodeId>,
    },
    /// Its node is no member.
    #[error("{0}")]
    Outsider(#[from] Outsider),
    /// It is void.
    #[error("its record expired")]
    Expired,
    /// It lives longer than records may.
    #[error("its record lives too long or is of the future")]
    Times,
    /// It says farewell.
    #[error("it left")]
    Left,
    /// Its endpoint is none.
    #[error("its endpoint is malformed")]
    Endpoint,
}

/// Decodes a record and checks that its node signed it.
pub fn signed_record(node: &NodeId, bytes: &[u8], genesis: &Hash) -> Result<NodeRecord, Refused> {
    let signed = Signed::<NodeRecord>::decode_all(&mut &bytes[..]).map_err(|_| Refused::Malformed("record"))?;
    if signed.payload.node != *node {
        return Err(Refused::OtherNode(signed.payload.node));
    }
    match signed.signer(genesis) {
        Some(signer) if signer == *node => Ok(signed.payload),
        signer => Err(Refused::WrongKey { what: "record", signer }),
    }
}

/// Decodes a load report and checks that its node signed it.
pub fn signed_load(node: &NodeId, bytes: &[u8], genesis: &Hash) -> Result<LoadReport, Refused> {
    let signed = Signed::<LoadReport>::decode_all(&mut &bytes[..]).map_err(|_| Refused::Malformed("load report"))?;
    if signed.payload.node != *node {
        return Err(Refused::OtherNode(signed.payload.node));
    }
    match signed.signer(genesis) {
        Some(signer) if signer == *node => Ok(signed.payload),
        signer => Err(Refused::WrongKey { what: "load report", signer }),
    }
}

/// Whether a record of good signature holds against the chain and the clock.
pub fn admit(record: &NodeRecord, chain: &ChainState, now: UnixMs) -> Result<(), Refused> {
    chain.member(&record.node, record.role)?;
    if record.left {
        return Err(Refused::Left);
    }
    if record.expires_ms <= now {
        return Err(Refused::Expired);
    }
    let made = seq_time(record.seq);
    if made > now + MAX_AHEAD_MS || record.expires_ms.saturating_sub(made) > NodeRecord::MAX_LIFETIME_MS {
        return Err(Refused::Times);
    }
    if !record.rpc.is_well_formed() {
        return Err(Refused::Endpoint);
    }
    Ok(())
}
