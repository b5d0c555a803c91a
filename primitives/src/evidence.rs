//! Objective evidence of misbehaviour: two statements of one signer that cannot both be honest.

use crate::{Hash, NodeId, Signed, record::NodeRecord};
use codec::{Decode, DecodeWithMemTracking, Encode};
use scale_info::TypeInfo;

/// Two records of one node with one sequence number and different contents.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct RecordEquivocation {
    /// One of the records.
    pub first: Signed<NodeRecord>,
    /// The other.
    pub second: Signed<NodeRecord>,
}

impl RecordEquivocation {
    /// The node that signed both, if they contradict each other.
    pub fn offender(&self, genesis: &Hash) -> Option<NodeId> {
        let (first, second) = (&self.first.payload, &self.second.payload);
        if first.seq != second.seq || first.node != second.node || first == second {
            return None;
        }
        let signer = self.first.signer(genesis)?;
        (signer == first.node && self.second.signer(genesis) == Some(signer)).then_some(signer)
    }
}
