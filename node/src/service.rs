//! Puts the node together: database, network, transaction pool, block production, finality, RPC.

use crate::rpc;
use chroom_runtime::{RuntimeApi, SLOT_MS};
use futures::{FutureExt, StreamExt, future};
use sc_client_api::Backend;
use sc_consensus_babe::{BabeLink, BabeWorkerHandle, SlotProportion};
use sc_consensus_grandpa::{
    FinalityProofProvider, SharedVoterState, ThreeQuartersOfTheUnfinalizedChain, VotingRulesBuilder,
};
use sc_consensus_slots::BackoffAuthoringOnFinalizedHeadLagging;
use sc_network::{Event, NetworkBackend, NetworkEventStream, service::traits::NetworkService};
use sc_service::{Configuration, PartialComponents, TaskManager, WarpSyncConfig, error::Error as ServiceError};
use sc_storage_monitor::{StorageMonitorParams, StorageMonitorService};
use sc_telemetry::{Telemetry, TelemetryWorker};
use sc_transaction_pool_api::OffchainTransactionPoolFactory;
use sp_consensus_babe::{SlotDuration, inherents::InherentDataProvider as BabeInherent};
use sp_runtime::traits::Block as BlockT;
use sp_timestamp::InherentDataProvider as TimestampInherent;
use std::{error::Error, sync::Arc, time::Duration};

/// A block as the node handles it: its transactions are bytes, which only the runtime understands. So the node outlives
/// changes of their format, and its RPC gives them as hex.
pub type Block = sp_runtime::generic::Block<chroom_runtime::Header, sp_runtime::OpaqueExtrinsic>;

type Hash = <Block as BlockT>::Hash;

/// Runs the runtime's Wasm.
type Executor = sc_executor::WasmExecutor<sp_io::SubstrateHostFunctions>;
/// Reads and writes the chain.
pub type FullClient = sc_service::TFullClient<Block, RuntimeApi, Executor>;
/// The database.
pub type FullBackend = sc_service::TFullBackend<Block>;
/// The longest chain is the best.
pub type FullSelectChain = sc_consensus::LongestChain<FullBackend, Block>;

type TransactionPool = sc_transaction_pool::TransactionPoolHandle<Block, FullClient>;
type GrandpaImport = sc_consensus_grandpa::GrandpaBlockImport<FullBackend, Block, FullClient, FullSelectChain>;
type GrandpaLink = sc_consensus_grandpa::LinkHalf<Block, FullClient, FullSelectChain>;
/// The slot and the time of a block.
type Inherents = Result<(BabeInherent, TimestampInherent), Box<dyn Error + Send + Sync>>;
/// Makes the inherents of a block from the clock.
type MakeInherents = fn(Hash, ()) -> future::Ready<Inherents>;
type BabeImport = sc_consensus_babe::BabeBlockImport<Block, FullClient, GrandpaImport, MakeInherents, FullSelectChain>;

/// A justification is kept at least for each so many blocks: what warp sync begins from.
const JUSTIFICATION_PERIOD: u32 = 512;
/// How long a GRANDPA message takes to reach everybody; a round's length follows from it.
const GOSSIP_DURATION: Duration = Duration::from_millis(333);

/// The inherents of a block that is made or checked now.
fn inherents(_parent: Hash, (): ()) -> future::Ready<Inherents> {
    let timestamp = TimestampInherent::from_system_time();
    let slot = BabeInherent::from_timestamp_and_slot_duration(*timestamp, SlotDuration::from_millis(SLOT_MS));
    future::ready(Ok((slot, timestamp)))
}

/// What consensus needs besides the parts that each node has.
pub struct Consensus {
    block_import: BabeImport,
    grandpa_link: GrandpaLink,
    babe_link: BabeLink<Block>,
    babe_worker: BabeWorkerHandle<Block>,
    telemetry: Option<Telemetry>,
}

/// The parts of a node that work without a network.
pub type Partial = PartialComponents<
    FullClient,
    FullBackend,
    FullSelectChain,
    sc_consensus::DefaultImportQueue<Block>,
    TransactionPool,
    Consensus,
>;

/// Opens the database and sets up what checks and imports blocks.
pub fn new_partial(config: &Configuration) -> Result<Partial, ServiceError> {
    let telemetry = config
        .telemetry_endpoints
        .clone()
        .filter(|endpoints| !endpoints.is_empty())
        .map(|endpoints| -> Result<_, sc_telemetry::Error> {
            let worker = TelemetryWorker::new(16)?;
            let telemetry = worker.handle().new_telemetry(endpoints);
            Ok((worker, telemetry))
        })
        .transpose()?;

    let executor = sc_service::new_wasm_executor(&config.executor);
    let (client, backend, keystore_container, task_manager) = sc_service::new_full_parts::<Block, RuntimeApi, Executor>(
        config,
        telemetry.as_ref().map(|(_, telemetry)| telemetry.handle()),
        executor,
        Vec::new(),
    )?;
    let client = Arc::new(client);
    let telemetry = telemetry.map(|(worker, telemetry)| {
        task_manager.spawn_handle().spawn("telemetry", None, worker.run());
        telemetry
    });

    let select_chain = FullSelectChain::new(backend.clone());
    let transaction_pool = Arc::new(
        sc_transaction_pool::Builder::new(
            task_manager.spawn_essential_handle(),
            client.clone(),
            config.role.is_authority().into(),
        )
        .with_options(config.transaction_pool.clone())
        .with_prometheus(config.prometheus_registry())
        .build(),
    );

    let (grandpa_import, grandpa_link) = sc_consensus_grandpa::block_import(
        client.clone(),
        JUSTIFICATION_PERIOD,
        &client,
        select_chain.clone(),
        telemetry.as_ref().map(Telemetry::handle),
    )?;
    let justification_import = grandpa_import.clone();
    let (block_import, babe_link) = sc_consensus_babe::block_import(
        sc_consensus_babe::configuration(&*client)?,
        grandpa_import,
        client.clone(),
        inherents as MakeInherents,
        select_chain.clone(),
        OffchainTransactionPoolFactory::new(transaction_pool.clone()),
    )?;
    let (import_queue, babe_worker) = sc_consensus_babe::import_queue(sc_consensus_babe::ImportQueueParams {
        link: babe_link.clone(),
        block_import: block_import.clone(),
        justification_import: Some(Box::new(justification_import)),
        client: client.clone(),
        slot_duration: babe_link.config().slot_duration(),
        spawner: &task_manager.spawn_essential_handle(),
        registry: config.prometheus_registry(),
        telemetry: telemetry.as_ref().map(Telemetry::handle),
    })?;

    Ok(PartialComponents {
        client,
        backend,
        task_manager,
        import_queue,
        keystore_container,
        select_chain,
        transaction_pool,
        other: Consensus { block_import, grandpa_link, babe_link, babe_worker, telemetry },
    })
}

/// Starts a full node or, with the role of an authority, a validator.
pub async fn new_full<N: NetworkBackend<Block, Hash>>(
    config: Configuration,
    storage_monitor: StorageMonitorParams,
) -> Result<TaskManager, ServiceError> {
    let PartialComponents {
        client,
        backend,
        mut task_manager,
        import_queue,
        keystore_container,
        select_chain,
        transaction_pool,
        other: Consensus { block_import, grandpa_link, babe_link, babe_worker, mut telemetry },
    } = new_partial(&config)?;

    let metrics = N::register_notification_metrics(config.prometheus_registry());
    let mut net_config = sc_network::config::FullNetworkConfiguration::<Block, Hash, N>::new(
        &config.network,
        config.prometheus_registry().cloned(),
    );
    let genesis_hash = client.chain_info().genesis_hash;
    let grandpa_protocol = sc_consensus_grandpa::protocol_standard_name(&genesis_hash, &config.chain_spec);
    let (grandpa_config, grandpa_notifications) = sc_consensus_grandpa::grandpa_peers_set_config::<_, N>(
        grandpa_protocol.clone(),
        metrics.clone(),
        net_config.peer_store_handle(),
    );
    net_config.add_notification_protocol(grandpa_config);

    let warp_sync = Arc::new(sc_consensus_grandpa::warp_proof::NetworkProvider::new(
        backend.clone(),
        grandpa_link.shared_authority_set().clone(),
        Vec::new(),
    ));
    let (network, system_rpc_tx, tx_handler_controller, sync_service, _bitswap) =
        sc_service::build_network(sc_service::BuildNetworkParams {
            config: &config,
            net_config,
            client: client.clone(),
            transaction_pool: transaction_pool.clone(),
            spawn_handle: task_manager.spawn_handle(),
            spawn_essential_handle: task_manager.spawn_essential_handle(),
            import_queue,
            block_announce_validator_builder: None,
            warp_sync_config: Some(WarpSyncConfig::WithProvider(warp_sync)),
            block_relay: None,
            metrics,
            gap_sync_body_policy: None,
        })?;

    if config.offchain_worker.enabled {
        let workers = sc_offchain::OffchainWorkers::new(sc_offchain::OffchainWorkerOptions {
            runtime_api_provider: client.clone(),
            keystore: Some(keystore_container.keystore()),
            offchain_db: backend.offchain_storage(),
            transaction_pool: Some(OffchainTransactionPoolFactory::new(transaction_pool.clone())),
            network_provider: Arc::new(network.clone()),
            is_validator: config.role.is_authority(),
            enable_http_requests: false,
            custom_extensions: |_| Vec::new(),
        })?;
        task_manager.spawn_handle().spawn(
            "offchain-workers-runner",
            Some("offchain-worker"),
            workers.run(client.clone(), task_manager.spawn_handle()).boxed(),
        );
    }

    let voter_state = SharedVoterState::empty();
    let rpc_builder = {
        let client = client.clone();
        let pool = transaction_pool.clone();
        let select_chain = select_chain.clone();
        let chain_spec = config.chain_spec.cloned_box();
        let keystore = keystore_container.keystore();
        let voter_state = voter_state.clone();
        let authority_set = grandpa_link.shared_authority_set().clone();
        let justifications = grandpa_link.justification_stream();
        let proofs = FinalityProofProvider::new_for_service(backend.clone(), Some(authority_set.clone()));
        Box::new(move |executor| {
            rpc::create(rpc::Deps {
                client: client.clone(),
                pool: pool.clone(),
                select_chain: select_chain.clone(),
                chain_spec: chain_spec.cloned_box(),
                babe: rpc::BabeDeps { worker: babe_worker.clone(), keystore: keystore.clone() },
                grandpa: rpc::GrandpaDeps {
                    voter_state: voter_state.clone(),
                    authority_set: authority_set.clone(),
                    justifications: justifications.clone(),
                    proofs: proofs.clone(),
                    executor,
                },
            })
            .map_err(ServiceError::Application)
        })
    };

    let role = config.role;
    let name = config.network.node_name.clone();
    let enable_grandpa = !config.disable_grandpa;
    let force_authoring = config.force_authoring;
    let prometheus_registry = config.prometheus_registry().cloned();
    let database_path = config.database.path().map(|path| path.to_path_buf());
    let public_addresses = config.network.public_addresses.clone();
    let discovery_cache = config.network.net_config_path.clone();
    // A node that lets its peers be on a private network also tells them where it is on one.
    let publish_non_global_ips = config.network.allow_non_globals_in_dht;

    sc_service::spawn_tasks(sc_service::SpawnTasksParams {
        config,
        client: client.clone(),
        backend,
        task_manager: &mut task_manager,
        keystore: keystore_container.keystore(),
        transaction_pool: transaction_pool.clone(),
        rpc_builder,
        network: network.clone(),
        system_rpc_tx,
        tx_handler_controller,
        sync_service: sync_service.clone(),
        telemetry: telemetry.as_mut(),
        tracing_execute_block: None,
    })?;

    if let Some(path) = database_path {
        StorageMonitorService::try_spawn(storage_monitor, path, &task_manager.spawn_essential_handle())
            .map_err(|error| ServiceError::Application(error.into()))?;
    }

    if role.is_authority() {
        let proposer = sc_basic_authorship::ProposerFactory::new(
            task_manager.spawn_handle(),
            client.clone(),
            transaction_pool.clone(),
            prometheus_registry.as_ref(),
            telemetry.as_ref().map(Telemetry::handle),
        );
        let babe = sc_consensus_babe::start_babe(sc_consensus_babe::BabeParams {
            keystore: keystore_container.keystore(),
            client: client.clone(),
            select_chain,
            env: proposer,
            block_import,
            sync_oracle: sync_service.clone(),
            justification_sync_link: sync_service.clone(),
            create_inherent_data_providers: inherents as MakeInherents,
            force_authoring,
            // Slows down while blocks do not become final, so that a stalled network does not run far ahead of itself.
            backoff_authoring_blocks: Some(BackoffAuthoringOnFinalizedHeadLagging::default()),
            babe_link,
            block_proposal_slot_portion: SlotProportion::new(0.5),
            max_block_proposal_slot_portion: None,
            telemetry: telemetry.as_ref().map(Telemetry::handle),
        })?;
        task_manager.spawn_essential_handle().spawn_blocking("babe-proposer", Some("block-authoring"), babe);

        spawn_authority_discovery(
            &task_manager,
            client,
            network.clone(),
            sc_authority_discovery::Role::PublishAndDiscover(keystore_container.keystore()),
            prometheus_registry.clone(),
            sc_authority_discovery::WorkerConfig {
                publish_non_global_ips,
                public_addresses,
                // Records that are not signed by the node that they name are refused: no old versions exist to care for.
                strict_record_validation: true,
                persisted_cache_directory: discovery_cache,
                ..Default::default()
            },
        );
    }

    if enable_grandpa {
        let grandpa_config = sc_consensus_grandpa::Config {
            gossip_duration: GOSSIP_DURATION,
            justification_generation_period: JUSTIFICATION_PERIOD,
            name: Some(name),
            observer_enabled: false,
            // Only authorities vote; the others follow their justifications.
            keystore: role.is_authority().then(|| keystore_container.keystore()),
            local_role: role,
            telemetry: telemetry.as_ref().map(Telemetry::handle),
            protocol_name: grandpa_protocol,
        };
        let voter = sc_consensus_grandpa::run_grandpa_voter(sc_consensus_grandpa::GrandpaParams {
            config: grandpa_config,
            link: grandpa_link,
            network,
            sync: sync_service,
            notification_service: grandpa_notifications,
            // The usual rule to stay two blocks behind the best one is left out: votes for different heads still agree
            // on their common ancestors, and clients see their transactions final twelve seconds earlier.
            voting_rule: VotingRulesBuilder::new().add(ThreeQuartersOfTheUnfinalizedChain).build(),
            prometheus_registry,
            shared_voter_state: voter_state,
            telemetry: telemetry.as_ref().map(Telemetry::handle),
            offchain_tx_pool_factory: OffchainTransactionPoolFactory::new(transaction_pool),
        })?;
        task_manager.spawn_essential_handle().spawn_blocking("grandpa-voter", None, voter);
    }

    Ok(task_manager)
}

/// Publishes this validator's addresses and finds the other validators'.
fn spawn_authority_discovery(
    task_manager: &TaskManager,
    client: Arc<FullClient>,
    network: Arc<dyn NetworkService>,
    role: sc_authority_discovery::Role,
    registry: Option<substrate_prometheus_endpoint::Registry>,
    config: sc_authority_discovery::WorkerConfig,
) {
    let dht_events = network.event_stream("authority-discovery").filter_map(|event| async move {
        match event {
            Event::Dht(event) => Some(event),
            _ => None,
        }
    });
    let (worker, _service) = sc_authority_discovery::new_worker_and_service_with_config(
        config,
        client,
        Arc::new(network),
        Box::pin(dht_events),
        role,
        registry,
        task_manager.spawn_handle(),
    );
    task_manager.spawn_handle().spawn("authority-discovery-worker", Some("networking"), worker.run());
}
