//! A small network around a real orchestrator: a chain that says what it is told, media nodes and registry nodes that speak
//! gRPC over real mutual TLS, and clients on raw WebSockets.

mod chain;
mod client;
mod media;
mod registry;

pub use chain::TestChain;
pub use client::{Client, Failure};
pub use media::{TestMedia, entry as media_entry, record as media_record};
pub use registry::TestRegistry;

use chroom_orchestrator::{
    access::{Apps, Claims, Grants},
    chain::Chain,
    ice::{IceServers, TurnSecret},
    service::{Setup, StartError, run},
    signalling::ServerLimits,
    time::now_ms,
};
use chroom_primitives::{AccountId, H3Cell, Role};
use chroom_rpc::NodeAddress;
use chroom_wallet::Wallet;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, runtime::Runtime, sync::oneshot};
use tokio_util::sync::CancellationToken;

pub const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
pub const CELL: H3Cell = H3Cell(0x0851_f8d5_bfff_ffff);

/// The application's account.
pub fn account() -> AccountId {
    AccountId::new([5; 32])
}

/// A STUN and a TURN server that nobody asks.
pub fn ice_servers() -> IceServers {
    let secret = TurnSecret::new(SECRET.to_vec()).unwrap();
    let (stun, turn) = ("stun:stun.example.org".parse().unwrap(), "turn:turn.example.org".parse().unwrap());
    IceServers::new(vec![stun], vec![turn], Some(secret), 600).unwrap()
}

/// Waits until `condition` holds.
pub async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..400 {
        if let Some(value) = condition().await {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it never happened: {what}");
}

pub struct World {
    pub chain: Arc<TestChain>,
    pub registries: Vec<TestRegistry>,
    pub media: Vec<TestMedia>,
    pub wallet: Wallet,
    pub address: SocketAddr,
    limits: ServerLimits,
    data: tempfile::TempDir,
    process: Option<Runtime>,
    stop: CancellationToken,
}

impl World {
    /// A network with so many media nodes, each registered and in the register, and a running orchestrator.
    pub async fn start(media: usize) -> Self {
        Self::start_with(media, ServerLimits { requests_per_s: 50, ..Default::default() }).await
    }

    /// The same with bounds of one's own.
    pub async fn start_with(media: usize, limits: ServerLimits) -> Self {
        let _ = tracing_subscriber::fmt().with_env_filter("chroom_orchestrator=debug").with_test_writer().try_init();
        let chain = Arc::new(TestChain::new());
        let wallet = Wallet::generate();
        chain.register(wallet.node_id(), Role::Orchestrator, "127.0.0.1:1");
        let mut registries = Vec::new();
        for _ in 0..2 {
            registries.push(TestRegistry::start(&chain).await);
        }
        let mut nodes = Vec::new();
        for _ in 0..media {
            nodes.push(TestMedia::start(&chain, &registries).await);
        }
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let mut world = Self {
            chain,
            registries,
            media: nodes,
            wallet,
            address,
            limits,
            data: tempfile::tempdir().unwrap(),
            process: None,
            stop: CancellationToken::new(),
        };
        world.boot().await;
        world
    }

    /// Starts the orchestrator in a runtime of its own, so that it can be killed.
    pub async fn boot(&mut self) {
        self.stop = CancellationToken::new();
        let setup = self.setup();
        let (address, stop) = (self.address, self.stop.clone());
        let process = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        process.spawn(async move {
            let listener = TcpListener::bind(address).await.unwrap();
            run(setup, listener, stop).await.unwrap();
        });
        self.process = Some(process);
        let expected = self.media.iter().filter(|media| media.is_up()).count();
        let address = self.address;
        until("the orchestrator knows its media nodes", async || {
            let health = get(address, "/health").await?;
            (health["mediaNodes"] == expected).then_some(())
        })
        .await;
    }

    pub fn setup(&self) -> Setup {
        let registries = self
            .registries
            .iter()
            .map(|registry| NodeAddress { node: registry.node(), endpoint: registry.endpoint() })
            .collect();
        Setup {
            wallet: self.wallet.clone(),
            chain: self.chain.clone() as Arc<dyn Chain>,
            registries,
            apps: Apps::single("demo", SECRET, account()),
            data: self.data.path().to_owned(),
            cell: None,
            public_url: format!("ws://{}", self.address),
            ice: ice_servers(),
            limits: self.limits,
            registry: Default::default(),
            metrics: None,
        }
    }

    /// As `kill -9`: nothing is said to anybody.
    pub async fn kill(&mut self) {
        let process = self.process.take().unwrap();
        let (done, is_done) = oneshot::channel();
        std::thread::spawn(move || {
            process.shutdown_timeout(Duration::from_secs(5));
            let _ = done.send(());
        });
        is_done.await.unwrap();
    }

    /// As SIGTERM.
    pub async fn terminate(&mut self) {
        self.stop.cancel();
        let address = self.address;
        until("the orchestrator ended", async || tokio::net::TcpStream::connect(address).await.err()).await;
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// The media node that has sessions.
    pub fn serving(&self) -> &TestMedia {
        self.media.iter().find(|media| media.is_up() && !media.sessions().is_empty()).expect("a node with sessions")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // To the end: a store that is still being closed when the test's process ends would abort it. A runtime may not
        // be shut down from within another, so a thread does it.
        if let Some(process) = self.process.take() {
            let ending = std::thread::spawn(move || process.shutdown_timeout(Duration::from_secs(5)));
            let _ = ending.join();
        }
    }
}

/// Starting an orchestrator that the chain does not know.
pub async fn start_unregistered() -> StartError {
    let world = World::start(0).await;
    let setup = Setup { wallet: Wallet::generate(), ..world.setup() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    run(setup, listener, CancellationToken::new()).await.unwrap_err()
}

/// `GET` of a JSON document.
pub async fn get(address: SocketAddr, path: &str) -> Option<serde_json::Value> {
    serde_json::from_str(&get_text(address, path).await?).ok()
}

/// `GET` of a text.
pub async fn get_text(address: SocketAddr, path: &str) -> Option<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nOrigin: http://explorer\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    assert!(head.to_lowercase().contains("access-control-allow-origin: *"), "{head}");
    Some(body.to_owned())
}

pub fn claims(identity: &str) -> Claims {
    let now = now_ms() / 1_000;
    Claims {
        iss: "demo".into(),
        sub: identity.into(),
        nbf: Some(now - 5),
        exp: now + 600,
        jti: None,
        chroom: Grants {
            room: "hall".into(),
            join: true,
            publish: true,
            subscribe: true,
            admin: false,
            name: String::new(),
        },
    }
}

pub fn token(claims: &Claims, secret: &[u8]) -> String {
    let header = Header { kid: Some("demo".into()), ..Header::new(Algorithm::HS256) };
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret)).unwrap()
}
