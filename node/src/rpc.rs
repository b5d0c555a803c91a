//! What the node serves over RPC beyond what every Substrate node does.

use crate::service::{Block, FullBackend, FullClient, FullSelectChain};
use chroom_primitives::{AccountId, Balance, Nonce};
use jsonrpsee::RpcModule;
use sc_consensus_babe::BabeWorkerHandle;
use sc_consensus_grandpa::{FinalityProofProvider, GrandpaJustificationStream, SharedAuthoritySet, SharedVoterState};
use sc_rpc::SubscriptionTaskExecutor;
use sc_transaction_pool_api::TransactionPool;
use sp_keystore::KeystorePtr;
use std::sync::Arc;

/// What BABE's methods need.
pub struct BabeDeps {
    /// Asks the import queue's worker.
    pub worker: BabeWorkerHandle<Block>,
    /// The session keys.
    pub keystore: KeystorePtr,
}

/// What GRANDPA's methods need.
pub struct GrandpaDeps {
    /// State of the voter's round.
    pub voter_state: SharedVoterState,
    /// Who votes.
    pub authority_set: SharedAuthoritySet<chroom_primitives::Hash, chroom_primitives::BlockNumber>,
    /// New justifications.
    pub justifications: GrandpaJustificationStream<Block>,
    /// Proofs for old blocks.
    pub proofs: Arc<FinalityProofProvider<FullBackend, Block>>,
    /// Runs subscriptions.
    pub executor: SubscriptionTaskExecutor,
}

/// What all methods need.
pub struct Deps<P> {
    /// The chain.
    pub client: Arc<FullClient>,
    /// The transactions that wait.
    pub pool: Arc<P>,
    /// The rule for the best chain.
    pub select_chain: FullSelectChain,
    /// The network's specification.
    pub chain_spec: Box<dyn sc_chain_spec::ChainSpec>,
    /// BABE's.
    pub babe: BabeDeps,
    /// GRANDPA's.
    pub grandpa: GrandpaDeps,
}

/// Puts the methods together.
pub fn create<P>(deps: Deps<P>) -> Result<RpcModule<()>, Box<dyn std::error::Error + Send + Sync>>
where
    P: TransactionPool<Block = Block> + 'static,
{
    use pallet_transaction_payment_rpc::{TransactionPayment, TransactionPaymentApiServer};
    use sc_consensus_babe_rpc::{Babe, BabeApiServer};
    use sc_consensus_grandpa_rpc::{Grandpa, GrandpaApiServer};
    use sc_sync_state_rpc::{SyncState, SyncStateApiServer};
    use substrate_frame_rpc_system::{System, SystemApiServer};

    // The runtime APIs that the methods call must exist with these types.
    fn assert_apis<C>(_: &C)
    where
        C: sp_api::ProvideRuntimeApi<Block>,
        C::Api: substrate_frame_rpc_system::AccountNonceApi<Block, AccountId, Nonce>
            + pallet_transaction_payment_rpc::TransactionPaymentRuntimeApi<Block, Balance>,
    {
    }
    assert_apis(&*deps.client);

    let Deps { client, pool, select_chain, chain_spec, babe, grandpa } = deps;
    let mut module = RpcModule::new(());
    module.merge(System::new(client.clone(), pool).into_rpc())?;
    module.merge(TransactionPayment::new(client.clone()).into_rpc())?;
    module.merge(Babe::new(client.clone(), babe.worker.clone(), babe.keystore, select_chain).into_rpc())?;
    module.merge(
        Grandpa::new(
            grandpa.executor,
            grandpa.authority_set.clone(),
            grandpa.voter_state,
            grandpa.justifications,
            grandpa.proofs,
        )
        .into_rpc(),
    )?;
    module.merge(SyncState::new(chain_spec, client, grandpa.authority_set, babe.worker)?.into_rpc())?;
    Ok(module)
}
