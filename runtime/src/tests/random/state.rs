//! The chain's state as a map without a trie: the runtime finds the same in it, in a fraction of the time.

use codec::{Encode, EncodeAppend, EncodeLike};
use sp_externalities::{Error, Extension, ExtensionStore, Externalities, MultiRemovalResults};
use sp_runtime::traits::{BlakeTwo256, Hash};
use sp_storage::{ChildInfo, StateVersion, Storage, TrackedStorageKey};
use std::{
    any::{Any, TypeId},
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
};

type Key = Vec<u8>;
type Value = Vec<u8>;

/// A state, with what its open transactions replaced.
pub struct State {
    entries: BTreeMap<Key, Value>,
    transactions: Vec<Vec<(Key, Option<Value>)>>,
}

impl State {
    pub fn new(storage: Storage) -> Self {
        assert!(storage.children_default.is_empty(), "no pallet keeps a child trie");
        Self { entries: storage.top, transactions: Vec::new() }
    }

    /// Runs a part of the chain on this state.
    pub fn execute_with<R>(&mut self, execute: impl FnOnce() -> R) -> R {
        sp_externalities::set_and_run_with_externalities(self, execute)
    }

    fn set(&mut self, key: Key, value: Option<Value>) -> Option<Value> {
        match value {
            Some(value) => self.entries.insert(key, value),
            None => self.entries.remove(&key),
        }
    }
}

/// An item of a list that is encoded already.
struct Encoded(Vec<u8>);

impl Encode for Encoded {
    fn using_encoded<R, F: FnOnce(&[u8]) -> R>(&self, f: F) -> R {
        f(&self.0)
    }
}

impl EncodeLike for Encoded {}

impl Externalities for State {
    fn storage(&mut self, key: &[u8]) -> Option<Value> {
        self.entries.get(key).cloned()
    }

    fn storage_hash(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        self.entries.get(key).map(|value| BlakeTwo256::hash(value).as_bytes().to_vec())
    }

    fn exists_storage(&mut self, key: &[u8]) -> bool {
        self.entries.contains_key(key)
    }

    fn next_storage_key(&mut self, key: &[u8]) -> Option<Key> {
        self.entries.range::<[u8], _>((Excluded(key), Unbounded)).next().map(|(key, _)| key.clone())
    }

    fn place_storage(&mut self, key: Key, value: Option<Value>) {
        if self.transactions.is_empty() {
            self.set(key, value);
            return;
        }
        let before = self.set(key.clone(), value);
        if let Some(transaction) = self.transactions.last_mut() {
            transaction.push((key, before));
        }
    }

    fn storage_append(&mut self, key: Key, item: Vec<u8>) {
        let list = self.entries.get(&key).cloned().unwrap_or_default();
        let list = Vec::<Encoded>::append_or_new(list, [Encoded(item)]).unwrap();
        self.place_storage(key, Some(list));
    }

    fn clear_prefix(&mut self, prefix: &[u8], limit: Option<u32>, cursor: Option<&[u8]>) -> MultiRemovalResults {
        let limit = limit.map_or(usize::MAX - 1, |limit| limit as usize);
        let from = cursor.unwrap_or(prefix).to_vec();
        let within = self.entries.range(from..).map(|(key, _)| key).take_while(|key| key.starts_with(prefix));
        let mut keys: Vec<Key> = within.take(limit + 1).cloned().collect();
        let maybe_cursor = if keys.len() > limit { keys.pop() } else { None };
        let removed = keys.len() as u32;
        for key in keys {
            self.place_storage(key, None);
        }
        MultiRemovalResults { maybe_cursor, backend: removed, unique: removed, loops: removed }
    }

    fn storage_root(&mut self, _: StateVersion) -> Vec<u8> {
        // Of no interest here, and the dearest part of a block.
        [0; 32].to_vec()
    }

    fn storage_start_transaction(&mut self) {
        self.transactions.push(Vec::new());
    }

    fn storage_rollback_transaction(&mut self) -> Result<(), ()> {
        for (key, before) in self.transactions.pop().ok_or(())?.into_iter().rev() {
            self.set(key, before);
        }
        Ok(())
    }

    fn storage_commit_transaction(&mut self) -> Result<(), ()> {
        let done = self.transactions.pop().ok_or(())?;
        if let Some(outer) = self.transactions.last_mut() {
            outer.extend(done);
        }
        Ok(())
    }

    fn set_offchain_storage(&mut self, _: &[u8], _: Option<&[u8]>) {}

    fn child_storage(&mut self, _: &ChildInfo, _: &[u8]) -> Option<Value> {
        unimplemented!("no pallet keeps a child trie")
    }

    fn child_storage_hash(&mut self, _: &ChildInfo, _: &[u8]) -> Option<Vec<u8>> {
        unimplemented!("no pallet keeps a child trie")
    }

    fn next_child_storage_key(&mut self, _: &ChildInfo, _: &[u8]) -> Option<Key> {
        unimplemented!("no pallet keeps a child trie")
    }

    fn kill_child_storage(&mut self, _: &ChildInfo, _: Option<u32>, _: Option<&[u8]>) -> MultiRemovalResults {
        unimplemented!("no pallet keeps a child trie")
    }

    fn clear_child_prefix(&mut self, _: &ChildInfo, _: &[u8], _: Option<u32>, _: Option<&[u8]>) -> MultiRemovalResults {
        unimplemented!("no pallet keeps a child trie")
    }

    fn place_child_storage(&mut self, _: &ChildInfo, _: Key, _: Option<Value>) {
        unimplemented!("no pallet keeps a child trie")
    }

    fn child_storage_root(&mut self, _: &ChildInfo, _: StateVersion) -> Vec<u8> {
        unimplemented!("no pallet keeps a child trie")
    }

    fn wipe(&mut self) {
        unimplemented!("for benchmarks only")
    }

    fn commit(&mut self) {
        unimplemented!("for benchmarks only")
    }

    fn read_write_count(&self) -> (u32, u32, u32, u32) {
        unimplemented!("for benchmarks only")
    }

    fn reset_read_write_count(&mut self) {
        unimplemented!("for benchmarks only")
    }

    fn get_whitelist(&self) -> Vec<TrackedStorageKey> {
        unimplemented!("for benchmarks only")
    }

    fn set_whitelist(&mut self, _: Vec<TrackedStorageKey>) {
        unimplemented!("for benchmarks only")
    }

    fn get_read_and_written_keys(&self) -> Vec<(Vec<u8>, u32, u32, bool)> {
        unimplemented!("for benchmarks only")
    }
}

/// There are none.
impl ExtensionStore for State {
    fn extension_by_type_id(&mut self, _: TypeId) -> Option<&mut dyn Any> {
        None
    }

    fn register_extension_with_type_id(&mut self, _: TypeId, _: Box<dyn Extension>) -> Result<(), Error> {
        Err(Error::ExtensionsAreNotSupported)
    }

    fn deregister_extension_by_type_id(&mut self, _: TypeId) -> Result<(), Error> {
        Err(Error::ExtensionsAreNotSupported)
    }
}
