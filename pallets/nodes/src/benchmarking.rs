//! What is measured for the weights: each call in its most expensive case, with what it makes other pallets do.

// The macro writes public items that it gives no documentation.
#![allow(missing_docs)]

use crate::{
    ActiveRegistries, Call, Config, HoldReason, NodeInfo, NodeParameters, Nodes, OnNodeRemoved, Pallet, Parameters,
    Punished, Successors, Terms, TermsHistory, Unbonding, UnbondingChunk,
    types::{MAX_CHUNKS, MAX_PRICE_PER_GIB, NewNode},
};
use alloc::{boxed::Box, vec, vec::Vec};
use chroom_primitives::{
    AccountId, Balance, CHR, CapacityClass, Endpoint, EthereumSignature, H3Cell, NodeId, NodeStatus, QosEpoch, Role,
    Signable, Signed,
    evidence::RecordEquivocation,
    record::{KeyProof, NodeRecord},
    typed_data::NodeRegistration,
};
use frame_benchmarking::v2::*;
use frame_support::{
    BoundedVec,
    traits::{
        EnsureOrigin, Get,
        fungible::{Mutate, MutateHold},
    },
};
use frame_system::RawOrigin;
use sp_core::ecdsa;
use sp_runtime::{DispatchError, KeyTypeId, Perbill};

const NODE: NodeId = NodeId([1; 20]);
const OTHER: NodeId = NodeId([2; 20]);
/// Where the keystore has the keys that are measured with.
const KEYS: KeyTypeId = KeyTypeId(*b"meas");
/// As long as an endpoint may be.
const ENDPOINT: &str = "a-name-that-is-as-long-as-the-name-of-an-endpoint-may-be.x:65535";
/// A cell of resolution 3, and another one.
const CELLS: [H3Cell; 2] = [H3Cell(0x0831_f8df_ffff_ffff), H3Cell(0x0831_f8cf_ffff_ffff)];

/// An EVM key in the keystore that benchmarks are given.
struct Key(ecdsa::Public);

impl Key {
    fn new() -> Self {
        Self(sp_io::crypto::ecdsa_generate(KEYS, Some(b"//measured".to_vec())))
    }

    fn sign(&self, hash: &[u8; 32]) -> Result<EthereumSignature, BenchmarkError> {
        let signature = sp_io::crypto::ecdsa_sign_prehashed(KEYS, &self.0, hash);
        Ok(EthereumSignature(signature.ok_or("the keystore lacks the key")?.0))
    }

    fn sign_for<T: Config>(&self, payload: &impl Signable) -> Result<EthereumSignature, BenchmarkError> {
        self.sign(&payload.signing_hash(&Pallet::<T>::genesis_hash()))
    }

    fn id(&self) -> Result<NodeId, BenchmarkError> {
        let hash = [7; 32];
        Ok(self.sign(&hash)?.recover_hash(&hash).ok_or("the signature names nobody")?)
    }

    /// Agrees to be registered by `owner`.
    fn prove<T: Config>(
        &self,
        owner: &AccountId,
        role: Role,
    ) -> Result<(NodeId, u32, EthereumSignature), BenchmarkError> {
        let node = self.id()?;
        let (nonce, expires_at) = (Pallet::<T>::key_proof_nonce(node), latest_expiry::<T>());
        let proof = self.sign_for::<T>(&KeyProof { node, owner: owner.clone(), role, nonce, expires_at })?;
        Ok((node, expires_at, proof))
    }
}

fn latest_expiry<T: Config>() -> u32 {
    Pallet::<T>::now().saturating_add(T::KeyProofLifetime::get())
}

fn endow<T: Config>(who: &AccountId) {
    T::Currency::set_balance(who, 1_000_000_000 * CHR);
}

/// An account that can pay for everything here.
fn rich<T: Config>(name: &'static str) -> AccountId {
    let who: AccountId = account(name, 0, 0);
    endow::<T>(&who);
    who
}

fn endpoint() -> Endpoint {
    ENDPOINT.parse().unwrap_or_default()
}

/// Twice the greatest bond that a role asks for.
fn bond<T: Config>(role: Role) -> Balance {
    Pallet::<T>::minimum_bond(role, CapacityClass::Large).saturating_mul(2)
}

/// Registers a node without its key's proof, with all that other pallets may keep of one.
fn registered<T: Config>(node: NodeId, role: Role) -> Result<(AccountId, NodeInfo), BenchmarkError> {
    let owner = rich::<T>("owner");
    let price_per_gib = if role == Role::Media { MAX_PRICE_PER_GIB } else { 0 };
    let (class, [cell, _], bond) = (CapacityClass::Small, CELLS, bond::<T>(role));
    let new = NewNode { role, class, cell, endpoint: endpoint(), price_per_gib, bond };
    Pallet::<T>::do_register(node, owner.clone(), new)?;
    T::OnRemoved::prepare_worst_case(&node);
    Ok((owner, info::<T>(&node)?))
}

fn info<T: Config>(node: &NodeId) -> Result<NodeInfo, BenchmarkError> {
    Ok(Nodes::<T>::get(node).ok_or("the node is registered")?)
}

/// A media node with as many terms as there may be.
fn media<T: Config>() -> Result<(AccountId, NodeInfo), BenchmarkError> {
    let registered = registered::<T>(NODE, Role::Media)?;
    // None of them is to be forgotten, so that the list is long before and after.
    let terms = Terms { from: QosEpoch(u32::MAX), weight: 0, price_per_gib: 0 };
    TermsHistory::<T>::insert(NODE, BoundedVec::truncate_from(vec![terms; T::EpochRing::get() as usize + 1]));
    Ok(registered)
}

/// Fills the list of active registry nodes with `count` of them.
fn list<T: Config>(count: u32) {
    let node = |index: u32| {
        let mut id = [0xFF; 20];
        if let Some(head) = id.first_chunk_mut() {
            *head = index.to_be_bytes();
        }
        NodeId(id)
    };
    ActiveRegistries::<T>::put(BoundedVec::truncate_from((0..count).map(node).collect::<Vec<_>>()));
}

/// Lets so many parts of a node's bond unbond, all of them free.
fn unbonding<T: Config>(node: NodeId, owner: &AccountId, count: u32) -> Result<(), DispatchError> {
    T::Currency::hold(&HoldReason::Bond.into(), owner, Balance::from(count) * CHR)?;
    let chunk = UnbondingChunk { amount: CHR, until: 0 };
    Unbonding::<T>::insert(node, BoundedVec::truncate_from(vec![chunk; count as usize]));
    Ok(())
}

fn status<T: Config>(node: &NodeId) -> Option<NodeStatus> {
    Nodes::<T>::get(node).map(|info| info.status)
}

/// A record with the longest texts.
fn record(node: NodeId, left: bool) -> NodeRecord {
    NodeRecord {
        node,
        seq: 1,
        expires_ms: 1,
        role: Role::Registry,
        cell: CELLS[0],
        rpc: endpoint(),
        public_url: BoundedVec::truncate_from(vec![b'u'; 64]),
        p2p: BoundedVec::truncate_from(vec![b'p'; 96]),
        class: CapacityClass::Large,
        version: BoundedVec::truncate_from(vec![b'v'; 64]),
        left,
    }
}

// `r` is the number of active registry nodes, the one that the call is about included. A media node's terms are as many storage
// accesses as the list of registry nodes, and less to read when that is full.
#[benchmarks]
mod benchmarks {
    use super::*;

    #[benchmark]
    fn register(r: Linear<1, { T::MaxRegistries::get() }>) -> Result<(), BenchmarkError> {
        list::<T>(r - 1);
        let owner = rich::<T>("owner");
        let (node, expires_at, proof) = Key::new().prove::<T>(&owner, Role::Registry)?;
        let (class, [cell, _], bond) = (CapacityClass::Small, CELLS, bond::<T>(Role::Registry));

        #[extrinsic_call]
        _(RawOrigin::Signed(owner), node, Role::Registry, class, cell, endpoint(), 0, bond, expires_at, proof);

        assert_eq!(ActiveRegistries::<T>::get().len(), r as usize);
        assert_eq!(status::<T>(&node), Some(NodeStatus::Active));
        Ok(())
    }

    #[benchmark]
    fn update() -> Result<(), BenchmarkError> {
        let (owner, _) = media::<T>()?;
        let (class, [_, cell], endpoint, price) = (CapacityClass::Large, CELLS, endpoint(), 0);

        #[extrinsic_call]
        _(RawOrigin::Signed(owner), NODE, Some(class), Some(cell), Some(endpoint), Some(price));

        assert_eq!(info::<T>(&NODE)?.class, class);
        Ok(())
    }

    #[benchmark]
    fn add_bond() -> Result<(), BenchmarkError> {
        let (owner, before) = media::<T>()?;

        #[extrinsic_call]
        _(RawOrigin::Signed(owner), NODE, CHR);

        assert_eq!(info::<T>(&NODE)?.bond, before.bond + CHR);
        Ok(())
    }

    #[benchmark]
    fn drain(r: Linear<1, { T::MaxRegistries::get() }>) -> Result<(), BenchmarkError> {
        list::<T>(r - 1);
        let (owner, _) = registered::<T>(NODE, Role::Registry)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(owner), NODE);

        assert_eq!(status::<T>(&NODE), Some(NodeStatus::Draining));
        Ok(())
    }

    #[benchmark]
    fn resume(r: Linear<1, { T::MaxRegistries::get() }>) -> Result<(), BenchmarkError> {
        list::<T>(r - 1);
        let (owner, before) = registered::<T>(NODE, Role::Registry)?;
        let after = NodeInfo { status: NodeStatus::Draining, ..before.clone() };
        Pallet::<T>::change_status(NODE, before, after)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(owner), NODE);

        assert_eq!(status::<T>(&NODE), Some(NodeStatus::Active));
        Ok(())
    }

    #[benchmark]
    fn unbond(r: Linear<1, { T::MaxRegistries::get() }>) -> Result<(), BenchmarkError> {
        list::<T>(r - 1);
        let (owner, _) = registered::<T>(NODE, Role::Registry)?;
        unbonding::<T>(NODE, &owner, MAX_CHUNKS)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(owner), NODE);

        assert_eq!(status::<T>(&NODE), Some(NodeStatus::Unbonding));
        Ok(())
    }

    /// All that there may be to a withdrawal, though no node has both a bond and a successor.
    #[benchmark]
    fn withdraw() -> Result<(), BenchmarkError> {
        registered::<T>(OTHER, Role::Media)?;
        let (owner, before) = media::<T>()?;
        unbonding::<T>(NODE, &owner, MAX_CHUNKS)?;
        let after = NodeInfo { status: NodeStatus::Unbonding, ..before.clone() };
        Pallet::<T>::change_status(NODE, before, after)?;
        Successors::<T>::insert(NODE, OTHER);

        #[extrinsic_call]
        _(RawOrigin::Signed(owner), NODE);

        assert_eq!(status::<T>(&NODE), None);
        Ok(())
    }

    /// A registry node whose key was rotated: its successor bears the slash, and both are jailed.
    #[benchmark]
    fn report_equivocation(r: Linear<1, { T::MaxRegistries::get() }>) -> Result<(), BenchmarkError> {
        // Nothing is left of the bond, nor of what is delegated to it.
        Parameters::<T>::mutate(|parameters| parameters.equivocation_slash = Perbill::one());
        list::<T>(r - 1);
        let key = Key::new();
        let node = key.id()?;
        let (owner, before) = registered::<T>(node, Role::Registry)?;
        unbonding::<T>(node, &owner, MAX_CHUNKS)?;
        Pallet::<T>::do_rotate_key(node, before, NODE)?;
        let signed = |left| {
            let payload = record(node, left);
            let signature = key.sign_for::<T>(&payload)?;
            Ok::<_, BenchmarkError>(Signed { payload, signature })
        };
        let evidence = Box::new(RecordEquivocation { first: signed(false)?, second: signed(true)? });
        let reporter: AccountId = account("reporter", 0, 0);

        #[extrinsic_call]
        _(RawOrigin::Signed(reporter), evidence);

        assert_eq!(Punished::<T>::get(node), Some(1));
        assert_eq!(status::<T>(&NODE), Some(NodeStatus::Jailed));
        Ok(())
    }

    #[benchmark]
    fn set_parameters() -> Result<(), BenchmarkError> {
        let origin = T::AdminOrigin::try_successful_origin().map_err(|()| BenchmarkError::Weightless)?;
        let parameters = NodeParameters::default();

        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, parameters.clone());

        assert_eq!(Parameters::<T>::get(), parameters);
        Ok(())
    }

    #[benchmark]
    fn register_authorized(r: Linear<1, { T::MaxRegistries::get() }>) -> Result<(), BenchmarkError> {
        list::<T>(r - 1);
        let wallet = Key::new();
        let owner = wallet.id()?;
        endow::<T>(&owner.account());
        let (role, class, bond, expires_at) =
            (Role::Registry, CapacityClass::Small, bond::<T>(Role::Registry), latest_expiry::<T>());
        let nonce = Pallet::<T>::authorization_nonce(owner);
        let authorized = NodeRegistration { node: NODE, role, class, bond, nonce, expires_at };
        let authorization = wallet.sign(&authorized.signing_hash(&Pallet::<T>::genesis_hash()))?;
        let (origin, cell) = (RawOrigin::Signed(NODE.account()), CELLS[0]);

        #[extrinsic_call]
        _(origin, owner, role, class, cell, endpoint(), 0, bond, expires_at, authorization);

        assert_eq!(info::<T>(&NODE)?.owner, owner.account());
        Ok(())
    }

    #[benchmark]
    fn reduce_bond() -> Result<(), BenchmarkError> {
        let (owner, before) = media::<T>()?;
        unbonding::<T>(NODE, &owner, MAX_CHUNKS - 1)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(owner), NODE, 1);

        assert_eq!(info::<T>(&NODE)?.bond, before.bond - 1);
        assert_eq!(Unbonding::<T>::get(NODE).len(), MAX_CHUNKS as usize);
        Ok(())
    }

    #[benchmark]
    fn withdraw_reduced() -> Result<(), BenchmarkError> {
        let (owner, _) = registered::<T>(NODE, Role::Media)?;
        unbonding::<T>(NODE, &owner, MAX_CHUNKS)?;
        // One stays, so that the list has to be written.
        Unbonding::<T>::mutate(NODE, |chunks| {
            if let Some(last) = chunks.last_mut() {
                last.until = u32::MAX;
            }
        });

        #[extrinsic_call]
        _(RawOrigin::Signed(owner), NODE);

        assert_eq!(Unbonding::<T>::get(NODE).len(), 1);
        Ok(())
    }

    #[benchmark]
    fn rotate_key(r: Linear<1, { T::MaxRegistries::get() }>) -> Result<(), BenchmarkError> {
        list::<T>(r - 1);
        let (owner, _) = registered::<T>(NODE, Role::Registry)?;
        unbonding::<T>(NODE, &owner, MAX_CHUNKS)?;
        let (successor, expires_at, proof) = Key::new().prove::<T>(&owner, Role::Registry)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(owner), NODE, successor, expires_at, proof);

        assert_eq!(Successors::<T>::get(NODE), Some(successor));
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::with_keystore(), crate::mock::Test);
}
