//! Every benchmark of our pallets runs on the developers' genesis, at both ends of its components' ranges.

use super::chain::genesis_storage;
use crate::{
    benchmarks::{list, run},
    presets,
};
use frame_benchmarking::{BenchmarkConfig, BenchmarkList};
use sp_core::{
    H256,
    storage::{ChildInfo, StateVersion, TrackedStorageKey},
};
use sp_externalities::{Extensions, set_and_run_with_externalities};
use sp_keystore::{KeystoreExt, testing::MemoryKeystore};
use sp_runtime::traits::BlakeTwo256;
use sp_state_machine::{
    Backend, BackendTransaction, ChildStorageCollection, Ext, IterArgs, MemoryDB, OverlayedChanges, StateMachineStats,
    StorageCollection, StorageIterator, UsageInfo,
};
use sp_trie::MerkleValue;
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;
type Keys = BTreeSet<Vec<u8>>;

/// A state that benchmarks can write to and wipe, and that counts as a database does. Root and trie are of no interest.
#[derive(Debug)]
struct State {
    genesis: Pairs,
    pairs: RefCell<Pairs>,
    whitelist: RefCell<Vec<TrackedStorageKey>>,
    reads: RefCell<Keys>,
    writes: RefCell<Keys>,
}

impl State {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.reads.borrow_mut().insert(key.to_vec());
        self.pairs.borrow().get(key).cloned()
    }

    fn next(&self, key: &[u8]) -> Option<Vec<u8>> {
        let from = (Bound::Excluded(key.to_vec()), Bound::Unbounded);
        self.pairs.borrow().range::<Vec<u8>, _>(from).next().map(|(key, _)| key.clone())
    }

    /// How many of these keys count.
    fn counted(&self, keys: &RefCell<Keys>) -> u32 {
        let listed = self.whitelist.borrow();
        keys.borrow().iter().filter(|key| !listed.iter().any(|tracked| tracked.key == **key)).count() as u32
    }
}

/// Iterates over what begins with a prefix.
struct Iter {
    prefix: Vec<u8>,
    at: Vec<u8>,
    exclusive: bool,
}

impl StorageIterator<BlakeTwo256> for Iter {
    type Backend = State;
    type Error = String;

    fn next_key(&mut self, state: &State) -> Option<Result<Vec<u8>, String>> {
        self.next_pair(state).map(|pair| pair.map(|(key, _)| key))
    }

    fn next_pair(&mut self, state: &State) -> Option<Result<(Vec<u8>, Vec<u8>), String>> {
        let from = if self.exclusive { Bound::Excluded(self.at.clone()) } else { Bound::Included(self.at.clone()) };
        let pairs = state.pairs.borrow();
        let (key, value) = pairs.range::<Vec<u8>, _>((from, Bound::Unbounded)).next()?;
        if !key.starts_with(&self.prefix) {
            return None;
        }
        (self.at, self.exclusive) = (key.clone(), true);
        Some(Ok((key.clone(), value.clone())))
    }

    fn was_complete(&self) -> bool {
        true
    }
}

impl Backend<BlakeTwo256> for State {
    type Error = String;
    type TrieBackendStorage = MemoryDB<BlakeTwo256>;
    type RawIter = Iter;

    fn storage(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        Ok(self.get(key))
    }

    fn storage_hash(&self, key: &[u8]) -> Result<Option<H256>, String> {
        Ok(self.get(key).map(|value| sp_io::hashing::blake2_256(&value).into()))
    }

    fn closest_merkle_value(&self, _: &[u8]) -> Result<Option<MerkleValue<H256>>, String> {
        Err("no trie".into())
    }

    fn child_closest_merkle_value(&self, _: &ChildInfo, _: &[u8]) -> Result<Option<MerkleValue<H256>>, String> {
        Err("no trie".into())
    }

    fn child_storage(&self, _: &ChildInfo, _: &[u8]) -> Result<Option<Vec<u8>>, String> {
        Err("no child tries".into())
    }

    fn child_storage_hash(&self, _: &ChildInfo, _: &[u8]) -> Result<Option<H256>, String> {
        Err("no child tries".into())
    }

    fn next_storage_key(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        Ok(self.next(key))
    }

    fn next_child_storage_key(&self, _: &ChildInfo, _: &[u8]) -> Result<Option<Vec<u8>>, String> {
        Err("no child tries".into())
    }

    fn storage_root<'a>(
        &self,
        _: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
        _: StateVersion,
    ) -> (H256, BackendTransaction<BlakeTwo256>) {
        (H256::zero(), BackendTransaction::with_hasher(Default::default()))
    }

    fn child_storage_root<'a>(
        &self,
        _: &ChildInfo,
        _: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
        _: StateVersion,
    ) -> (H256, bool, BackendTransaction<BlakeTwo256>) {
        (H256::zero(), true, BackendTransaction::with_hasher(Default::default()))
    }

    fn raw_iter(&self, args: IterArgs) -> Result<Iter, String> {
        let prefix = args.prefix.unwrap_or_default().to_vec();
        let at = args.start_at.map_or_else(|| prefix.clone(), <[u8]>::to_vec);
        Ok(Iter { prefix, at, exclusive: args.start_at_exclusive })
    }

    fn register_overlay_stats(&self, _: &StateMachineStats) {}

    fn usage_info(&self) -> UsageInfo {
        UsageInfo::empty()
    }

    fn wipe(&self) -> Result<(), String> {
        *self.pairs.borrow_mut() = self.genesis.clone();
        Ok(())
    }

    fn commit(
        &self,
        _: H256,
        _: BackendTransaction<BlakeTwo256>,
        changes: StorageCollection,
        _: ChildStorageCollection,
    ) -> Result<(), String> {
        let mut pairs = self.pairs.borrow_mut();
        for (key, value) in changes {
            self.writes.borrow_mut().insert(key.clone());
            match value {
                Some(value) => drop(pairs.insert(key, value)),
                None => drop(pairs.remove(&key)),
            }
        }
        Ok(())
    }

    fn read_write_count(&self) -> (u32, u32, u32, u32) {
        (self.counted(&self.reads), 0, self.counted(&self.writes), 0)
    }

    fn reset_read_write_count(&self) {
        self.reads.borrow_mut().clear();
        self.writes.borrow_mut().clear();
    }

    fn get_whitelist(&self) -> Vec<TrackedStorageKey> {
        self.whitelist.borrow().clone()
    }

    fn set_whitelist(&self, new: Vec<TrackedStorageKey>) {
        *self.whitelist.borrow_mut() = new;
    }

    fn proof_size(&self) -> Option<u32> {
        None
    }

    fn get_read_and_written_keys(&self) -> Vec<(Vec<u8>, u32, u32, bool)> {
        Vec::new()
    }
}

/// Runs a benchmark on the genesis, and checks what it left.
fn measure(genesis: &Pairs, config: BenchmarkConfig) -> Result<(), String> {
    let state = State {
        genesis: genesis.clone(),
        pairs: genesis.clone().into(),
        whitelist: Default::default(),
        reads: Default::default(),
        writes: Default::default(),
    };
    let mut overlay = OverlayedChanges::default();
    overlay.enter_runtime().map_err(|_| "a new overlay is in the runtime")?;
    let mut extensions = Extensions::default();
    extensions.register(KeystoreExt::new(MemoryKeystore::new()));
    let mut ext = Ext::new(&mut overlay, &state, Some(&mut extensions));
    let batches = set_and_run_with_externalities(&mut ext, || run(config))?;
    for result in batches.iter().flat_map(|batch| &batch.results) {
        println!("  {} reads and {} writes", result.reads, result.writes);
    }
    if batches.is_empty() { Err("no such benchmark".into()) } else { Ok(()) }
}

#[test]
fn every_benchmark_runs_on_the_developers_genesis() {
    let genesis: Pairs = genesis_storage(presets::DEV, None).unwrap().top.into_iter().collect();
    for BenchmarkList { pallet, instance, benchmarks } in list(true).0 {
        if !pallet.starts_with(b"pallet_chroom_") {
            continue;
        }
        for benchmark in benchmarks {
            let low = |(parameter, low, _): &(_, _, _)| (*parameter, *low);
            let high = |(parameter, _, high): &(_, _, _)| (*parameter, *high);
            let components = &benchmark.components;
            for selected_components in [components.iter().map(low).collect(), components.iter().map(high).collect()] {
                let name = [pallet.as_slice(), &benchmark.name].map(String::from_utf8_lossy).join("::");
                println!("{name} {selected_components:?}");
                let (pallet, instance, benchmark) = (pallet.clone(), instance.clone(), benchmark.name.clone());
                let (verify, internal_repeats) = (true, 1);
                let config =
                    BenchmarkConfig { pallet, instance, benchmark, selected_components, verify, internal_repeats };
                measure(&genesis, config).unwrap();
            }
        }
    }
}
