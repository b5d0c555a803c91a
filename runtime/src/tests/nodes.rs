//! Nodes in the runtime: registration by an EVM wallet, evidence against the chain's clock, slashes.

use super::{
    chain::{author, author_up_to, local_chain},
    signature::{EthereumKey, signed, transfer},
};
use crate::{Balances, Executive, Nodes, Runtime, RuntimeCall, RuntimeOrigin, SLOT_MS, economy::TreasuryAccount};
use chroom_primitives::{
    CHR, CapacityClass, H3Cell, NodeId, NodeStatus, Role, Signable, Signed, evidence::RecordEquivocation,
    record::NodeRecord, signed::personal_hash, typed_data::NodeRegistration,
};
use codec::{Decode, Encode};
use frame_support::view_functions::ViewFunction;
use pallet_chroom_nodes::{Call, Error, KeyProofNonceViewFunction};
use sp_keyring::Sr25519Keyring;
use sp_runtime::BoundedVec;

/// Resolution 3.
const CELL: H3Cell = H3Cell(0x0831_f8df_ffff_ffff);

/// Sends both some CHR, and the node's own transaction with its owner's word.
fn register(owner: &EthereumKey, node: &EthereumKey) {
    for (key, amount) in [(owner, 500 * CHR), (node, CHR)] {
        let fill = signed(&Sr25519Keyring::Alice.to_account_id(), transfer(key.account(), amount), |bytes| {
            Sr25519Keyring::Alice.sign(bytes).into()
        });
        Executive::apply_extrinsic(fill).unwrap().unwrap();
    }
    let (role, class, bond, expires_at) = (Role::Media, CapacityClass::Small, 100 * CHR, Nodes::now() + 100);
    let nonce = Nodes::authorization_nonce(owner.address());
    let word = NodeRegistration { node: node.address(), role, class, bond, nonce, expires_at };
    let call = RuntimeCall::Nodes(Call::register_authorized {
        owner: owner.address(),
        role,
        class,
        cell: CELL,
        endpoint: "127.0.0.1:7400".parse().unwrap(),
        price_per_gib: CHR,
        bond,
        expires_at,
        authorization: owner.sign_hash(&word.signing_hash(&Nodes::genesis_hash())),
    });
    let own = signed(&node.account(), call, |bytes| node.sign(&personal_hash(bytes)));
    Executive::apply_extrinsic(own).unwrap().unwrap();
}

pub fn evidence(key: &EthereumKey, made_ms: u64) -> Box<RecordEquivocation> {
    let by = |left: bool| {
        let payload = NodeRecord {
            node: key.address(),
            seq: made_ms << 16,
            expires_ms: made_ms,
            role: Role::Media,
            cell: CELL,
            rpc: "127.0.0.1:7400".parse().unwrap(),
            public_url: BoundedVec::default(),
            p2p: BoundedVec::default(),
            class: CapacityClass::Small,
            version: BoundedVec::default(),
            left,
        };
        let signature = key.sign_hash(&payload.signing_hash(&Nodes::genesis_hash()));
        Signed { payload, signature }
    };
    Box::new(RecordEquivocation { first: by(false), second: by(true) })
}

#[test]
fn a_node_registers_itself_with_its_owners_typed_data() {
    local_chain().execute_with(|| {
        author_up_to(1);
        let (owner, node) = (EthereumKey::new(1), EthereumKey::new(2));
        author(2, || {
            register(&owner, &node);
            let registration = Nodes::registration(node.address()).unwrap();
            assert_eq!((registration.owner, registration.status), (owner.account(), NodeStatus::Active));
            // The owner's account has paid no fee: it lost what is on hold only.
            let deposit = pallet_chroom_nodes::Parameters::<Runtime>::get().deposit;
            assert_eq!(Balances::free_balance(owner.account()), 400 * CHR - deposit);
            assert!(Balances::free_balance(node.account()) < CHR);
            // What clients ask, by the id that the metadata gives them.
            let question = KeyProofNonceViewFunction::<Runtime>::new(node.address());
            let id = KeyProofNonceViewFunction::<Runtime>::id();
            let answer = Runtime::execute_view_function(id, question.encode()).unwrap();
            assert_eq!(u32::decode(&mut &answer[..]), Ok(1));
        });
    });
}

#[test]
fn half_of_a_slash_is_burnt_and_the_clock_is_the_chains() {
    local_chain().execute_with(|| {
        author_up_to(1);
        let (owner, node) = (EthereumKey::new(1), EthereumKey::new(2));
        author(2, || {
            register(&owner, &node);
            let reporter = Sr25519Keyring::Bob.to_account_id();
            let report =
                |made_ms| Nodes::report_equivocation(RuntimeOrigin::signed(reporter.clone()), evidence(&node, made_ms));
            let now = super::chain::slot_of(2) * SLOT_MS;
            let ahead = report(now + 10 * 60 * 1_000 + 1).unwrap_err().error;
            assert_eq!(ahead, Error::<Runtime>::EvidenceAhead.into());
            let before = (Balances::free_balance(&reporter), Balances::free_balance(TreasuryAccount::get()));
            let issuance = Balances::total_issuance();
            report(now).unwrap();
            assert_eq!(Balances::free_balance(&reporter) - before.0, 2 * CHR);
            assert_eq!(Balances::free_balance(TreasuryAccount::get()) - before.1, 3 * CHR);
            assert_eq!(issuance - Balances::total_issuance(), 5 * CHR);
            let node: NodeId = node.address();
            assert_eq!(Nodes::registration(node).unwrap().status, NodeStatus::Jailed);
        });
    });
}
