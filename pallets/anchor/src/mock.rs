//! A runtime with this pallet.

use crate as pallet_chroom_anchor;
use crate::SnapshotVotes;
use chroom_primitives::{Hash, NodeId, QosEpoch, merkle::Root};
use frame_support::{construct_runtime, derive_impl, traits::ConstU32};
use sp_runtime::BuildStorage;

pub type Block = frame_system::mocking::MockBlock<Test>;

construct_runtime!(
    pub enum Test {
        System: frame_system,
        Anchor: pallet_chroom_anchor,
    }
);

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = Block;
}

impl crate::Config for Test {
    type SnapshotRing = ConstU32<4>;
    type WeightInfo = ();
}

pub fn root(seed: u16) -> Root {
    let mut hash = [0u8; 32];
    hash[..2].copy_from_slice(&seed.to_le_bytes());
    Root { hash: Hash::from(hash), leaves: 3 }
}

pub fn vote(epoch: u32, attestor: u8, attestors: u32, seed: u16) {
    Anchor::vote(QosEpoch(epoch), NodeId([attestor; 20]), attestors, root(seed));
}

pub fn externalities() -> sp_io::TestExternalities {
    frame_system::GenesisConfig::<Test>::default().build_storage().unwrap().into()
}

/// Runs a test and checks the pallet's invariants afterwards.
pub fn run(test: impl FnOnce()) {
    externalities().execute_with(|| {
        System::set_block_number(1);
        test();
        Anchor::do_try_state().unwrap();
    });
}
