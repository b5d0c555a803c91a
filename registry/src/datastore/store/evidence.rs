//! Evidence against nodes, on disk.

use super::{Durability, EVIDENCE, Store, StoreError, decode};
use chroom_primitives::{NodeId, evidence::RecordEquivocation};
use codec::Encode;
use rocksdb::WriteBatch;
use std::str::FromStr;

/// Most pieces of evidence kept per node.
pub const MAX_PER_NODE: usize = 16;
/// Bytes of a place as text's digits stand for.
const PLACE_BYTES: usize = 28;

/// Where a piece of evidence stands among all: by node, then by sequence number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct EvidencePlace {
    /// The offender.
    pub node: NodeId,
    /// Sequence number of its two records.
    pub seq: u64,
}

/// A text is not the place of a piece of evidence.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not 0x and {} hex digits: a node, and a sequence number (big-endian)", PLACE_BYTES * 2)]
pub struct MalformedPlace;

impl EvidencePlace {
    /// The place of a piece of evidence.
    pub fn of(evidence: &RecordEquivocation) -> Self {
        let record = &evidence.first.payload;
        Self { node: record.node, seq: record.seq }
    }

    fn key(&self) -> Vec<u8> {
        let mut key = self.node.0.to_vec();
        key.extend_from_slice(&self.seq.to_be_bytes());
        key
    }

    fn from_key(key: &[u8]) -> Option<Self> {
        let (node, seq) = key.split_first_chunk::<20>()?;
        Some(Self { node: NodeId(*node), seq: u64::from_be_bytes(seq.try_into().ok()?) })
    }
}

impl FromStr for EvidencePlace {
    type Err = MalformedPlace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let mut key = [0; PLACE_BYTES];
        hex::decode_to_slice(digits, &mut key).map_err(|_| MalformedPlace)?;
        Self::from_key(&key).ok_or(MalformedPlace)
    }
}

impl Store {
    /// Keeps evidence of two contradicting records, one pair per sequence number. Says whether it is new.
    ///
    /// Of one node the newest [`MAX_PER_NODE`] are kept: once the chain punished for a number, nothing up to it counts any more.
    pub fn put_evidence(&self, evidence: &RecordEquivocation) -> Result<bool, StoreError> {
        let place = EvidencePlace::of(evidence);
        let kept = self.evidence_places(&place.node)?;
        let oldest = kept.first().filter(|_| kept.len() >= MAX_PER_NODE);
        if kept.contains(&place) || oldest.is_some_and(|oldest| place < *oldest) {
            return Ok(false);
        }
        let family = self.family(EVIDENCE)?;
        let mut batch = WriteBatch::default();
        if let Some(oldest) = oldest {
            batch.delete_cf(&family, oldest.key());
        }
        batch.put_cf(&family, place.key(), evidence.encode());
        self.write(batch, Durability::Synced)?;
        Ok(true)
    }

    fn evidence_places(&self, node: &NodeId) -> Result<Vec<EvidencePlace>, StoreError> {
        let mut places = Vec::new();
        self.scan(EVIDENCE, &node.0, |key, _| {
            let place = EvidencePlace::from_key(key).ok_or(StoreError::Corrupt { family: EVIDENCE })?;
            if place.node == *node {
                places.push(place);
            }
            Ok(place.node == *node)
        })?;
        Ok(places)
    }

    /// Evidence in the order of its places, from the one after `after` on, at most `limit`; against one node, if it is named.
    pub fn evidence(
        &self,
        node: Option<&NodeId>,
        after: Option<EvidencePlace>,
        limit: usize,
    ) -> Result<Vec<RecordEquivocation>, StoreError> {
        // Nothing comes between a key and the same key with a zero behind it.
        let behind = after.map(|after| [after.key(), vec![0]].concat()).unwrap_or_default();
        let from = behind.max(node.map(|node| node.0.to_vec()).unwrap_or_default());
        let mut all = Vec::new();
        self.scan(EVIDENCE, &from, |key, value| {
            if all.len() >= limit || node.is_some_and(|node| !key.starts_with(&node.0)) {
                return Ok(false);
            }
            all.push(decode(EVIDENCE, value)?);
            Ok(true)
        })?;
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{GENESIS, draft, resign, wallet};
    use chroom_primitives::Role;

    const NOW: u64 = 1_800_000_000_000;

    fn pair(who: u8, age: u64) -> RecordEquivocation {
        let wallet = wallet(who);
        let record = draft(&wallet, Role::Media, NOW - age);
        let mut other = record.clone();
        other.left = true;
        RecordEquivocation { first: resign(&wallet, record), second: resign(&wallet, other) }
    }

    #[test]
    fn the_newest_evidence_against_a_node_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &GENESIS).unwrap();
        for age in (10..30).rev() {
            assert!(store.put_evidence(&pair(1, age)).unwrap());
            assert!(!store.put_evidence(&pair(1, age)).unwrap(), "twice");
        }
        // Older than all that is kept: it counts for less than any of them.
        assert!(!store.put_evidence(&pair(1, 40)).unwrap());
        let node = wallet(1).node_id();
        let kept = store.evidence(Some(&node), None, 100).unwrap();
        assert_eq!(kept, (10..26).rev().map(|age| pair(1, age)).collect::<Vec<_>>());
        assert!(kept.iter().all(|pair| pair.offender(&GENESIS) == Some(node)));
    }

    #[test]
    fn evidence_is_read_page_by_page() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &GENESIS).unwrap();
        for who in 1..=3 {
            for age in 1..=3 {
                store.put_evidence(&pair(who, age)).unwrap();
            }
        }
        let all = store.evidence(None, None, 100).unwrap();
        assert_eq!(all.len(), 9);
        let mut pages = Vec::new();
        let mut after = None;
        loop {
            let page = store.evidence(None, after, 2).unwrap();
            let Some(last) = page.last() else { break };
            after = Some(EvidencePlace::of(last));
            pages.extend(page);
        }
        assert_eq!(pages, all);
        let node = wallet(2).node_id();
        let own = store.evidence(Some(&node), None, 100).unwrap();
        assert_eq!(own.len(), 3);
        let rest = store.evidence(Some(&node), Some(EvidencePlace::of(&own[0])), 100).unwrap();
        assert_eq!(rest, own[1..]);
        // A place of another node hides nothing and shows nothing of others.
        let beyond = EvidencePlace { node: NodeId([0xFF; 20]), seq: 0 };
        assert!(store.evidence(Some(&node), Some(beyond), 100).unwrap().is_empty());
        let before = EvidencePlace { node: NodeId([0; 20]), seq: 0 };
        assert_eq!(store.evidence(Some(&node), Some(before), 100).unwrap(), own);
    }

    #[test]
    fn places_are_read_from_text() {
        let place = EvidencePlace { node: NodeId([0xAB; 20]), seq: 258 };
        assert_eq!(format!("0x{}{}", "ab".repeat(20), "0000000000000102").parse(), Ok(place));
        for wrong in ["", "0x", "0xzz", "0x00", &"ab".repeat(29)] {
            assert_eq!(wrong.parse::<EvidencePlace>(), Err(MalformedPlace), "{wrong}");
        }
    }
}
