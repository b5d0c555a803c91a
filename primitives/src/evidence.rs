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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CapacityClass, Endpoint, EthereumSignature, H3Cell, Role, Signable};
    use sp_core::{Pair, ecdsa};
    use sp_runtime::BoundedVec;

    const GENESIS: Hash = Hash::repeat_byte(1);

    fn signed(seed: u8, node: NodeId, seq: u64, left: bool) -> Signed<NodeRecord> {
        let payload = NodeRecord {
            node,
            seq,
            expires_ms: 0,
            role: Role::Media,
            cell: H3Cell(0),
            rpc: Endpoint::default(),
            public_url: BoundedVec::default(),
            p2p: BoundedVec::default(),
            class: CapacityClass::Small,
            version: BoundedVec::default(),
            left,
        };
        let signature = ecdsa::Pair::from_seed(&[seed; 32]).sign_prehashed(&payload.signing_hash(&GENESIS));
        Signed { payload, signature: EthereumSignature(signature.0) }
    }

    #[test]
    fn only_two_different_records_of_one_signer_and_number_contradict() {
        let hash = [7; 32];
        let node =
            EthereumSignature(ecdsa::Pair::from_seed(&[1; 32]).sign_prehashed(&hash).0).recover_hash(&hash).unwrap();
        let offender = |first, second| RecordEquivocation { first, second }.offender(&GENESIS);
        assert_eq!(offender(signed(1, node, 5, false), signed(1, node, 5, true)), Some(node));
        assert_eq!(offender(signed(1, node, 5, false), signed(1, node, 5, false)), None);
        assert_eq!(offender(signed(1, node, 5, false), signed(1, node, 6, true)), None);
        assert_eq!(offender(signed(2, node, 5, false), signed(2, node, 5, true)), None);
        assert_eq!(offender(signed(1, node, 5, false), signed(2, node, 5, true)), None);
        let evidence = RecordEquivocation { first: signed(1, node, 5, false), second: signed(1, node, 5, true) };
        assert_eq!(evidence.offender(&Hash::zero()), None);
    }
}
