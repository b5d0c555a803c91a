//! Records of owners that the chain does not know yet, kept for a while in case this node only lags behind.

use chroom_primitives::{NodeId, Signed, UnixMs, record::NodeRecord};
use std::collections::BTreeMap;

/// Most records kept.
pub const CAPACITY: usize = 1_024;
/// How long one is kept, in milliseconds.
pub const KEEP_MS: u64 = 10 * 60 * 1_000;

/// A bounded set of records, one per node: the newest.
#[derive(Debug, Default)]
pub struct Quarantine {
    held: BTreeMap<NodeId, (UnixMs, Signed<NodeRecord>)>,
}

impl Quarantine {
    /// Keeps a record; when full, the one that came first gives way.
    pub fn hold(&mut self, record: Signed<NodeRecord>, now: UnixMs) {
        let node = record.payload.node;
        if let Some((_, held)) = self.held.get(&node)
            && held.payload.seq >= record.payload.seq
        {
            return;
        }
        self.expire(now);
        if self.held.len() >= CAPACITY && !self.held.contains_key(&node) {
            let oldest = self.held.iter().min_by_key(|(_, (since, _))| *since).map(|(node, _)| *node);
            if let Some(oldest) = oldest {
                self.held.remove(&oldest);
            }
        }
        self.held.insert(node, (now, record));
    }

    /// Takes out the records whose owners `ready` names.
    pub fn release(&mut self, ready: impl Fn(&NodeId) -> bool, now: UnixMs) -> Vec<Signed<NodeRecord>> {
        self.expire(now);
        self.held.extract_if(.., |node, _| ready(node)).map(|(_, (_, record))| record).collect()
    }

    /// Number of records held.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none are held.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn expire(&mut self, now: UnixMs) {
        self.held.retain(|_, (since, _)| since.saturating_add(KEEP_MS) > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{draft, resign, wallet};
    use chroom_primitives::Role;

    #[test]
    fn keeps_the_newest_and_stays_bounded() {
        let node = wallet(1);
        let mut quarantine = Quarantine::default();
        let new = resign(&node, draft(&node, Role::Media, 2_000));
        quarantine.hold(new.clone(), 0);
        quarantine.hold(resign(&node, draft(&node, Role::Media, 1_000)), 0);
        for n in 0..CAPACITY + 10 {
            let mut record = new.clone();
            record.payload.node.0[..4].copy_from_slice(&(n as u32).to_le_bytes());
            quarantine.hold(record, 1 + n as u64);
        }
        assert_eq!(quarantine.len(), CAPACITY);
        quarantine.hold(new.clone(), 5_000);
        assert_eq!(quarantine.release(|id| *id == node.node_id(), 5_000), vec![new]);
        assert!(quarantine.release(|_| true, 5_000 + KEEP_MS + 1).is_empty());
    }
}
