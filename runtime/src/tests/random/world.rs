//! The chain of a run with everybody on it.

use super::{
    super::chain::genesis_storage,
    actors::{Actors, session_keys},
    authors::Authors,
    dice::Dice,
    invariants::Invariants,
    round::Round,
    state::State,
    steps::CELL,
    tally::Tally,
};
use crate::{AccountId, Anchor, Nodes, Qos, Runtime, RuntimeCall, RuntimeOrigin, Session, System, Validators, presets};
use chroom_primitives::{CHR, NodeId, QosEpoch, Role, anchor::FinalSnapshot};
use codec::Encode;
use frame_support::{
    dispatch::GetDispatchInfo,
    storage::{TransactionOutcome, with_transaction},
    traits::GetCallMetadata,
};
use serde_json::{Value, json};
use sp_runtime::{
    DispatchError,
    generic::Era,
    traits::{DispatchTransaction, Dispatchable},
};
use sp_storage::Storage;
use std::collections::BTreeMap;

/// Steps in a block, on average.
const STEPS_PER_BLOCK: u32 = 6;
/// Epochs that claims and reports may be about: a few more than the chain remembers.
const REMEMBERED: usize = 68;
/// About what a signature and the rest of a transaction have besides its call, in bytes.
const ENVELOPE: usize = 110;

/// When the invariants are checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Checks {
    /// After each block whose number is a multiple of this.
    Blocks(u32),
    /// After each step.
    Steps,
}

impl Checks {
    fn are_due(self, block: u32) -> bool {
        match self {
            Self::Blocks(every) => block.is_multiple_of(every),
            Self::Steps => true,
        }
    }
}

/// A chain, and what its users know.
pub struct World {
    pub dice: Dice,
    pub actors: Actors,
    /// What was measured in each epoch.
    pub rounds: BTreeMap<QosEpoch, Round>,
    /// The nodes that were registered when the block began, whatever their status.
    pub registered: Vec<NodeId>,
    pub tally: Tally,
    pub authors: Authors,
    seed: u64,
    taken: u64,
    latest: Option<FinalSnapshot>,
    snapshots: u64,
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}, step {}", self.seed, self.taken);
        }
    }
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            actors: Actors::new(),
            rounds: BTreeMap::new(),
            registered: Vec::new(),
            tally: Tally::default(),
            authors: Authors::new(),
            seed,
            taken: 0,
            latest: None,
            snapshots: 0,
        }
    }

    /// The `local` network with short periods: four validators and two more with keys, three registry nodes, four media nodes and an orchestrator.
    fn genesis(&self) -> Value {
        let people = &self.actors.people;
        let node = |index: usize, role: &str, owner: usize| {
            json!({
                "node": self.actors.nodes[index],
                "owner": people[owner],
                "role": role,
                "class": "small",
                "cell": CELL,
                "endpoint": "127.0.0.1:7100",
                "price_per_gib": if role == "media" { json!(1_000_000_000u64) } else { json!(0) },
            })
        };
        let nodes: Vec<Value> = (0..3)
            .map(|index| node(index, "registry", index))
            .chain((3..7).map(|index| node(index, "media", index - 3)))
            .chain([node(7, "orchestrator", 5)])
            .collect();
        let rich = people.iter().map(|who| json!([who, 10_000_000u64 * CHR as u64]));
        let keys = self.actors.nodes.iter().map(|node| json!([node.account(), 2_000 * CHR as u64]));
        let sessions: Vec<Value> =
            people.iter().enumerate().map(|(place, who)| json!([who, who, session_keys(place)])).collect();
        let candidates: Vec<Value> = people[..4].iter().map(|who| json!([who, 5_000 * CHR as u64])).collect();
        json!({
            "balances": { "balances": rich.chain(keys).collect::<Vec<_>>() },
            "nodes": { "nodes": nodes },
            "qos": { "parameters": { "length": 5, "submit_window": 3, "committee_size": 3 } },
            "session": { "keys": sessions },
            "validators": {
                "validators": candidates,
                "parameters": { "validators": 4, "minimumValidators": 2, "minimumExpectedBlocks": 1 },
                "sessionLength": 8,
            },
        })
    }

    fn storage(&self) -> Storage {
        genesis_storage(presets::LOCAL, Some(self.genesis())).unwrap()
    }

    /// Takes so many steps, and checks the invariants now and then. Gives all that is stored then.
    pub fn run(&mut self, steps: u64, checks: Checks) -> Stored {
        State::new(self.storage()).execute_with(|| {
            let mut invariants = Invariants::new();
            while self.taken < steps {
                self.block(steps, checks, &mut invariants);
            }
            println!("{}{}", self.tally, self.passed());
            stored()
        })
    }

    /// The same on a trie, which is committed after each block as on a node.
    pub fn run_on_trie(&mut self, steps: u64, checks: Checks) -> Stored {
        let mut chain = sp_io::TestExternalities::from(self.storage());
        let mut invariants = chain.execute_with(Invariants::new);
        while self.taken < steps {
            chain.execute_with(|| self.block(steps, checks, &mut invariants));
            chain.commit_all().unwrap();
        }
        chain.execute_with(stored)
    }

    /// How much time went by on the chain.
    fn passed(&self) -> String {
        let (blocks, epochs, sessions) =
            (System::block_number(), Qos::epoch_info().current.0, Session::current_index());
        let (eras, snapshots) = (Validators::era_info().active.index, self.snapshots);
        let (seed, taken, calls, stored) = (self.seed, self.taken, self.tally.all(), stored().len());
        format!(
            "seed {seed}: {taken} steps, {calls} calls that succeeded, {blocks} blocks, {epochs} QoS epochs, \
             {snapshots} final snapshots, {sessions} sessions, {eras} eras, {stored} entries in storage"
        )
    }

    fn block(&mut self, steps: u64, checks: Checks, invariants: &mut Invariants) {
        self.authors.open(&mut self.dice);
        self.measure();
        self.registered = pallet_chroom_nodes::Nodes::<Runtime>::iter_keys().collect();
        for _ in 0..1 + self.dice.below(2 * STEPS_PER_BLOCK) {
            if self.taken >= steps {
                break;
            }
            self.taken += 1;
            self.step();
            if checks == Checks::Steps {
                invariants.check().unwrap();
            }
        }
        self.authors.close();
        if checks.are_due(System::block_number()) {
            invariants.check().unwrap();
        }
        let latest = Anchor::latest_snapshot();
        if latest != self.latest {
            self.latest = latest;
            self.snapshots += 1;
        }
    }

    /// Notes what the attestors measured in an epoch that has just ended.
    fn measure(&mut self) {
        let Some(ended) = Qos::epoch_info().current.previous() else { return };
        if self.rounds.contains_key(&ended) {
            return;
        }
        let orchestrators: Vec<NodeId> =
            self.registered.iter().filter(|node| Self::has_role(node, Role::Orchestrator)).copied().collect();
        let round = Round::new(ended, &mut self.dice, self.actors.applications(), &orchestrators);
        self.rounds.insert(ended, round);
        while self.rounds.len() > REMEMBERED {
            self.rounds.pop_first();
        }
    }

    pub fn has_role(node: &NodeId, role: Role) -> bool {
        Nodes::registration(*node).is_some_and(|registration| registration.role == role)
    }

    /// Sends a call as a transaction, with its fee. Gives whether it succeeded.
    pub fn send(&mut self, who: AccountId, call: impl Into<RuntimeCall>) -> bool {
        let call = call.into();
        let name = name(&call);
        let outcome = transact(who, call);
        self.tally.note(&name, outcome);
        outcome.is_ok()
    }

    /// Does what root may do.
    pub fn command(&mut self, call: impl Into<RuntimeCall>) {
        let call = call.into();
        let name = name(&call);
        let outcome = call.dispatch(RuntimeOrigin::root()).map(|_| ()).map_err(|refusal| refusal.error);
        self.tally.note(&name, outcome);
    }
}

/// Keys with their values.
type Stored = Vec<(Vec<u8>, Vec<u8>)>;

/// All that is stored, but for the Wasm's place.
fn stored() -> Stored {
    let keys = std::iter::successors(sp_io::storage::next_key(&[]), |key| sp_io::storage::next_key(key));
    keys.filter(|key| key != sp_storage::well_known_keys::CODE)
        .map(|key| {
            let value = sp_io::storage::get(&key).unwrap_or_default();
            (key, value.to_vec())
        })
        .collect()
}

fn name(call: &RuntimeCall) -> String {
    let metadata = call.get_call_metadata();
    format!("{}::{}", metadata.pallet_name, metadata.function_name)
}

/// All that a block does with a transaction, but for its signature.
fn transact(who: AccountId, call: RuntimeCall) -> Result<(), DispatchError> {
    let extension: crate::TxExtension = (
        frame_system::CheckNonZeroSender::new(),
        frame_system::CheckSpecVersion::new(),
        frame_system::CheckTxVersion::new(),
        frame_system::CheckGenesis::new(),
        frame_system::CheckEra::from(Era::Immortal),
        frame_system::CheckNonce::from(System::account_nonce(&who)),
        frame_system::CheckWeight::new(),
        pallet_transaction_payment::ChargeTransactionPayment::from(0),
        frame_metadata_hash_extension::CheckMetadataHash::new(false),
        frame_system::WeightReclaim::new(),
    );
    let (info, length) = (call.get_dispatch_info(), call.encoded_size() + ENVELOPE);
    with_transaction(|| match extension.dispatch_transaction(RuntimeOrigin::signed(who), call, &info, length, 0) {
        Ok(outcome) => TransactionOutcome::Commit(outcome.map(|_| ()).map_err(|refusal| refusal.error)),
        // No author takes it in.
        Err(invalid) => TransactionOutcome::Rollback(Err(DispatchError::Other(invalid.into()))),
    })
}
