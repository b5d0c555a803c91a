//! The set that two registries compare: one item per node, ordered by place, named by the hash of its current record.

use super::{merge::Book, place::PlaceKey};
use chroom_primitives::{Hash, NodeId};
use negentropy::{Id, NegentropyStorageBase, NegentropyStorageVector};
use std::collections::BTreeMap;

/// A sealed copy of the set at one moment.
#[derive(Debug)]
pub struct RecordSet {
    storage: NegentropyStorageVector,
    owners: BTreeMap<Hash, NodeId>,
}

impl RecordSet {
    /// Takes the current records of `book`.
    pub fn of(book: &Book) -> Result<Self, negentropy::Error> {
        let mut storage = NegentropyStorageVector::with_capacity(book.len());
        let mut owners = BTreeMap::new();
        for (node, versions) in book.iter() {
            let Some(current) = versions.current() else { continue };
            storage.insert(PlaceKey::from(current.signed.payload.cell).0, Id::from_byte_array(current.hash.0))?;
            owners.insert(current.hash, *node);
        }
        storage.seal()?;
        Ok(Self { storage, owners })
    }

    /// What the reconciliation protocol reads.
    pub fn storage(&self) -> &NegentropyStorageVector {
        &self.storage
    }

    /// The node whose current record had this hash.
    pub fn owner(&self, hash: &Hash) -> Option<&NodeId> {
        self.owners.get(hash)
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.storage.size().unwrap_or(0)
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
