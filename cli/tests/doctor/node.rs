//! A media node in this process: its SFU, its control port, its HTTP interface.

use chroom_chain_client::Membership;
use chroom_media_node::{
    api::{self, ApiState},
    cascade::{
        gate,
        quic::{Cascade, CascadeConfig},
    },
    health::{Health, Registered},
    place::Place,
    qos::publisher::Presence,
    rpc::{Admission, MediaService},
    sfu::{Sfu, SfuConfig, event::CloseReason},
};
use chroom_primitives::{CapacityClass, H3Cell, Hash, QosEpoch, epoch::EpochInfo};
use chroom_rpc::{server, tls::Identity};
use chroom_wallet::Wallet;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

pub struct Node {
    pub id: String,
    pub endpoint: String,
    pub http: String,
    sfu: Arc<Sfu>,
    cascade: Arc<Cascade>,
    stop: CancellationToken,
    ended: tokio::task::JoinHandle<()>,
    _membership: watch::Sender<Arc<Membership>>,
}

impl Node {
    pub async fn start() -> Self {
        let wallet = Wallet::generate();
        let identity = Identity::new(&wallet).unwrap();
        let epoch = EpochInfo {
            current: QosEpoch(0),
            started_at: 1,
            started_ms: 0,
            length: 8,
            submit_window: 4,
            committee_size: 3,
        };
        let nobody = Membership { block: 1, block_hash: Hash::zero(), epoch, generation: 0, nodes: BTreeMap::new() };
        let (sender, membership) = watch::channel(Arc::new(nobody));
        let config = SfuConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            tcp: true,
            advertise: None,
            shards: 1,
            egress_loss: None,
        };
        let pipes = CascadeConfig { listen: "127.0.0.1:0".parse().unwrap(), advertise: None };
        let prepared = Cascade::prepare(&pipes, &identity, gate::of(membership.clone())).unwrap();
        let sfu = Arc::new(Sfu::start_with(&config, Some(prepared.room_end())).unwrap());
        let cascade = Arc::new(prepared.start(sfu.rooms()).unwrap());
        let health = Arc::new(Health::new(Registered::Active, 1_000_000, 10));
        let stop = CancellationToken::new();
        let service = MediaService::new(sfu.clone(), health.clone(), Admission::new(membership.clone()), stop.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = listener.local_addr().unwrap().to_string();
        let stopped = stop.clone();
        let routes = service.routes();
        let ended = tokio::spawn(async move {
            server::serve(listener, &identity, routes, async move { stopped.cancelled().await }).await.unwrap();
        });
        let state = ApiState {
            node: wallet.node_id(),
            place: Place::of(H3Cell(0x0851_fae0_7fff_ffff)),
            class: CapacityClass::Small,
            rpc: endpoint.clone(),
            media: sfu.candidate(),
            pipes: cascade.address(),
            health,
            presence: Arc::new(parking_lot::Mutex::new(Presence::default())),
            membership,
            scores: Default::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = format!("http://{}", listener.local_addr().unwrap());
        let routes = api::router(state, Arc::new(Registry::default()));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { id: wallet.node_id().to_string(), endpoint, http, sfu, cascade, stop, ended, _membership: sender }
    }

    /// Its entry in the register, with this endpoint.
    pub fn entry(&self, endpoint: &str) -> Value {
        json!({
            "node": self.id, "role": "media", "status": "active", "rpc": endpoint, "publicUrl": self.http,
            "expiresMs": u64::MAX, "version": "0.1.0",
        })
    }

    /// Its status document.
    pub async fn status(&self) -> Value {
        let body = chroom_cli::fetch::get(&format!("{}/v1/status", self.http), Duration::from_secs(20)).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.ended.await.unwrap();
        self.cascade.stop().await;
        self.sfu.stop(CloseReason::Draining).await;
    }
}
