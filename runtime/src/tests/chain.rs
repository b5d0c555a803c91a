//! A chain in memory, which authors blocks as the node does, and what must come of it.

use crate::{
    Executive, Header, Nonce, Qos, Runtime, RuntimeCall, RuntimeGenesisConfig, SLOT_MS, Session, System,
    UncheckedExtrinsic, Validators, presets,
};
use chroom_primitives::{BlockNumber, QosEpoch};
use codec::Encode;
use sp_consensus_babe::{
    BABE_ENGINE_ID,
    digests::{PreDigest, SecondaryPlainPreDigest},
};
use sp_keyring::Sr25519Keyring;
use sp_runtime::{BuildStorage, Digest, DigestItem, traits::Header as _};

/// The genesis of a preset, with an optional patch over it.
pub fn genesis_storage(preset: &str, patch: Option<serde_json::Value>) -> Result<sp_core::storage::Storage, String> {
    let mut config = serde_json::to_value(RuntimeGenesisConfig::default()).map_err(|e| e.to_string())?;
    let preset = presets::preset(&preset.into()).ok_or("no such preset")?;
    merge(&mut config, serde_json::from_slice(&preset).map_err(|e| e.to_string())?);
    if let Some(patch) = patch {
        merge(&mut config, patch);
    }
    let config: RuntimeGenesisConfig = serde_json::from_value(config).map_err(|e| e.to_string())?;
    config.build_storage()
}

/// JSON merge patch (RFC 7386), as the node applies presets.
fn merge(into: &mut serde_json::Value, patch: serde_json::Value) {
    use serde_json::Value::{Null, Object};
    match (into, patch) {
        (Object(target), Object(patch)) => {
            for (key, value) in patch {
                if value == Null {
                    target.remove(&key);
                } else {
                    merge(target.entry(key).or_insert(Null), value);
                }
            }
        }
        (target, patch) => *target = patch,
    }
}

/// The chain of the `local` preset.
pub fn local_chain() -> sp_io::TestExternalities {
    genesis_storage(presets::LOCAL, None).unwrap().into()
}

/// Slot of the first block.
const FIRST_SLOT: u64 = 300_000_000;

/// The slot of a block of [`author`].
pub fn slot_of(number: BlockNumber) -> u64 {
    FIRST_SLOT + u64::from(number)
}

/// Opens block `number`, by the two validators in turn, sets its time, runs `inside`, closes it.
pub fn author<R>(number: BlockNumber, inside: impl FnOnce() -> R) -> R {
    let slot = slot_of(number);
    let pre_digest =
        PreDigest::SecondaryPlain(SecondaryPlainPreDigest { slot: slot.into(), authority_index: number % 2 });
    let digest = Digest { logs: vec![DigestItem::PreRuntime(BABE_ENGINE_ID, pre_digest.encode())] };
    let parent = System::parent_hash();
    Executive::initialize_block(&Header::new(number, Default::default(), Default::default(), parent, digest));
    let set_time = RuntimeCall::Timestamp(pallet_timestamp::Call::set { now: slot * SLOT_MS });
    Executive::apply_extrinsic(UncheckedExtrinsic::new_bare(set_time)).unwrap().unwrap();
    let result = inside();
    Executive::finalize_block();
    result
}

/// Authors empty blocks up to and including `last`.
pub fn author_up_to(last: BlockNumber) {
    while System::block_number() < last {
        author(System::block_number() + 1, || ());
    }
}

/// The nonce of an account's next transaction.
pub fn nonce(account: &crate::AccountId) -> Nonce {
    System::account_nonce(account)
}

#[test]
fn qos_epochs_follow_each_other_with_the_times_of_their_first_blocks() {
    local_chain().execute_with(|| {
        let length = Qos::epoch_info().length;
        assert!(u64::from(length) * SLOT_MS <= 60_000, "a local network's epoch takes a minute at most");
        author_up_to(2 * length + 3);
        let info = Qos::epoch_info();
        assert_eq!((info.current, info.started_at), (QosEpoch(2), 2 * length + 1));
        assert_eq!(info.started_ms, slot_of(2 * length + 1) * SLOT_MS);
        assert_eq!(Qos::epoch_start_ms(QosEpoch(1)), Some(slot_of(length + 1) * SLOT_MS));
        assert_eq!(info.committee_size, 3);
    });
}

#[test]
fn sessions_and_eras_change_as_the_genesis_says() {
    local_chain().execute_with(|| {
        assert_eq!(Session::validators().len(), 2);
        // BABE's first epoch begins with the first block; each has 20 slots, an era has two sessions.
        author_up_to(20);
        assert_eq!(Session::current_index(), 0);
        author_up_to(21);
        assert_eq!(Session::current_index(), 1);
        author_up_to(41);
        assert_eq!(Session::current_index(), 2);
        assert_eq!(pallet_chroom_validators::ActiveEra::<Runtime>::get().index, 1);
        let authors = [Sr25519Keyring::Alice, Sr25519Keyring::Bob].map(|key| key.to_account_id());
        assert_eq!(Session::validators(), {
            let mut sorted = authors.to_vec();
            sorted.sort();
            sorted
        });
        author_up_to(43);
        // The block in which the era begins still counts for the one before: its author was elected for that.
        assert_eq!(pallet_chroom_validators::TotalPoints::<Runtime>::get(0), 41);
        assert_eq!(pallet_chroom_validators::TotalPoints::<Runtime>::get(1), 2);
        for author in &authors {
            assert!((20..=21).contains(&pallet_chroom_validators::Points::<Runtime>::get(0, author)));
            assert_eq!(pallet_chroom_validators::Points::<Runtime>::get(1, author), 1);
        }
        assert_eq!(Validators::reporting_sessions(), 4);
    });
}
