use chroom_orchestrator::{
    allocation::Budget,
    chain::{Chain, ChainError, ChainState},
    time::now_ms,
};
use chroom_primitives::{
    AccountId, Balance, CapacityClass, Hash, NodeId, NodeStatus, QosEpoch, Role, anchor::FinalSnapshot,
    epoch::EpochInfo, merkle::Root, record::Registration,
};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::watch;

/// A chain that says what it is told.
pub struct TestChain {
    state: watch::Sender<Arc<ChainState>>,
    /// What every application can pay.
    pub budget: Mutex<Budget>,
}

impl TestChain {
    pub fn new() -> Self {
        let epoch = EpochInfo {
            current: QosEpoch(7),
            started_at: 57,
            started_ms: now_ms() - 20_000,
            length: 8,
            submit_window: 4,
            committee_size: 3,
        };
        let state = ChainState { block: 60, epoch, nodes: BTreeMap::new() };
        let budget = Mutex::new(Budget::Known { limit: 1, escrow: 1 });
        Self { state: watch::Sender::new(Arc::new(state)), budget }
    }

    pub fn change(&self, change: impl FnOnce(&mut ChainState)) {
        self.state.send_modify(|state| {
            let mut new = (**state).clone();
            new.block += 1;
            change(&mut new);
            *state = Arc::new(new);
        });
    }

    pub fn register(&self, node: NodeId, role: Role, endpoint: &str) {
        let registration = Registration {
            node,
            owner: node.account(),
            role,
            status: NodeStatus::Active,
            cell: super::CELL,
            class: CapacityClass::Medium,
            endpoint: endpoint.parse().unwrap(),
            bond: 5_000_000,
            price_per_gib: 1,
        };
        self.change(|state| {
            state.nodes.insert(node, registration);
        });
    }

    pub fn status(&self, node: NodeId, status: NodeStatus) {
        self.change(|state| state.nodes.get_mut(&node).unwrap().status = status);
    }

    /// The next epoch begins now.
    pub fn next_epoch(&self) {
        self.change(|state| {
            state.epoch.current = state.epoch.current.next();
            state.epoch.started_ms = now_ms();
        });
    }
}

#[tonic::async_trait]
impl Chain for TestChain {
    fn genesis(&self) -> Hash {
        Hash::repeat_byte(3)
    }

    fn state(&self) -> watch::Receiver<Arc<ChainState>> {
        self.state.subscribe()
    }

    async fn committee(&self, _epoch: QosEpoch, _node: NodeId) -> Result<Vec<NodeId>, ChainError> {
        let state = self.state.borrow();
        Ok(state.nodes.values().filter(|r| r.role == Role::Registry).map(|r| r.node).collect())
    }

    async fn epoch_start_ms(&self, epoch: QosEpoch) -> Result<Option<u64>, ChainError> {
        let state = self.state.borrow();
        Ok((epoch == state.epoch.current).then_some(state.epoch.started_ms))
    }

    async fn last_reward(&self, _node: NodeId) -> Result<Option<(QosEpoch, Balance)>, ChainError> {
        Ok(Some((QosEpoch(6), 1_234)))
    }

    async fn budget(&self, _: &AccountId, _: NodeId, _: QosEpoch) -> Result<Budget, ChainError> {
        Ok(*self.budget.lock())
    }

    async fn latest_snapshot(&self) -> Result<Option<FinalSnapshot>, ChainError> {
        Ok(Some(FinalSnapshot { epoch: QosEpoch(6), root: Root { hash: Hash::repeat_byte(8), leaves: 3 }, votes: 2 }))
    }
}
