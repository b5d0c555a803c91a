use super::TestChain;
use chroom_orchestrator::chain::Chain;
use chroom_primitives::{
    Endpoint, Hash, NodeId, Role, Signed,
    record::{NodeRecord, SessionGrant},
};
use chroom_rpc::{
    receipt,
    registry::{Qos, QosServer, Registry, RegistryServer},
    server,
    tls::{Identity, Peer},
    v1::*,
};
use chroom_wallet::Wallet;
use codec::DecodeAll;
use parking_lot::Mutex;
use std::{collections::BTreeMap, net::SocketAddr, pin::Pin, sync::Arc};
use tokio::{net::TcpListener, sync::broadcast, task::JoinHandle};
use tokio_stream::{Stream, StreamExt, wrappers::BroadcastStream};
use tonic::{Request, Response, Status, service::Routes};

#[derive(Default)]
struct State {
    entries: BTreeMap<Vec<u8>, Entry>,
    joined: Vec<NodeRecord>,
    receipts: Vec<receipt::ReceiptBody>,
}

#[derive(Clone)]
struct Service {
    state: Arc<Mutex<State>>,
    events: broadcast::Sender<WatchEvent>,
    genesis: Hash,
}

/// A registry node without gossip: its gRPC interface over real mutual TLS.
pub struct TestRegistry {
    wallet: Wallet,
    address: SocketAddr,
    service: Service,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl TestRegistry {
    pub async fn start(chain: &Arc<TestChain>) -> Self {
        let wallet = Wallet::generate();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        chain.register(wallet.node_id(), Role::Registry, &address.to_string());
        let service = Service { state: Arc::default(), events: broadcast::Sender::new(256), genesis: chain.genesis() };
        let registry = Self { wallet, address, service, task: Mutex::default() };
        registry.serve(listener);
        registry
    }

    fn serve(&self, listener: TcpListener) {
        let identity = Identity::new(&self.wallet).unwrap();
        let mut routes = Routes::new(RegistryServer::new(self.service.clone()));
        routes = routes.add_service(QosServer::new(self.service.clone()));
        *self.task.lock() = Some(tokio::spawn(async move {
            server::serve(listener, &identity, routes, std::future::pending()).await.unwrap();
        }));
    }

    /// As `kill -9`; what it had on disk stays.
    pub fn kill(&self) {
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
    }

    pub async fn restart(&self) {
        let listener = super::until("the port is free", async || TcpListener::bind(self.address).await.ok()).await;
        self.serve(listener);
    }

    pub fn node(&self) -> NodeId {
        self.wallet.node_id()
    }

    pub fn endpoint(&self) -> Endpoint {
        self.address.to_string().parse().unwrap()
    }

    /// Puts an entry into the register.
    pub fn publisher(&self) -> impl Fn(Entry) + Send + 'static + use<> {
        let service = self.service.clone();
        move |entry| {
            service.state.lock().entries.insert(entry.node.clone(), entry.clone());
            let _ = service.events.send(WatchEvent { event: Some(watch_event::Event::Upsert(entry)) });
        }
    }

    pub fn joined(&self) -> Vec<NodeRecord> {
        self.service.state.lock().joined.clone()
    }

    pub fn receipts(&self) -> Vec<receipt::ReceiptBody> {
        self.service.state.lock().receipts.clone()
    }
}

impl Service {
    fn record(&self, caller: NodeId, bytes: &[u8]) -> Result<NodeRecord, Status> {
        let signed =
            Signed::<NodeRecord>::decode_all(&mut &bytes[..]).map_err(|e| Status::invalid_argument(e.to_string()))?;
        if signed.signer(&self.genesis) != Some(caller) || signed.payload.node != caller {
            return Err(Status::invalid_argument("not signed by the caller"));
        }
        Ok(signed.payload)
    }
}

#[tonic::async_trait]
impl Registry for Service {
    async fn join(&self, request: Request<JoinRequest>) -> Result<Response<JoinResponse>, Status> {
        let record = self.record(Peer::of(&request)?, &request.get_ref().signed_record)?;
        let seq = record.seq;
        self.state.lock().joined.push(record);
        Ok(Response::new(JoinResponse { seq, peers: Vec::new() }))
    }

    async fn leave(&self, request: Request<LeaveRequest>) -> Result<Response<LeaveResponse>, Status> {
        let record = self.record(Peer::of(&request)?, &request.get_ref().signed_record)?;
        self.state.lock().joined.push(record);
        Ok(Response::new(LeaveResponse {}))
    }

    async fn report_load(&self, _: Request<ReportLoadRequest>) -> Result<Response<ReportLoadResponse>, Status> {
        Err(Status::unimplemented("not in this test"))
    }

    async fn get(&self, _: Request<GetRequest>) -> Result<Response<Entry>, Status> {
        Err(Status::unimplemented("not in this test"))
    }

    async fn query_near(&self, _: Request<QueryNearRequest>) -> Result<Response<QueryNearResponse>, Status> {
        Err(Status::unimplemented("not in this test"))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchEvent, Status>> + Send>>;

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let changes = BroadcastStream::new(self.events.subscribe());
        let changes = changes.map(|event| event.map_err(|_| Status::data_loss("too slow")));
        let mut first: Vec<Result<WatchEvent, Status>> = self
            .state
            .lock()
            .entries
            .values()
            .map(|entry| Ok(WatchEvent { event: Some(watch_event::Event::Upsert(entry.clone())) }))
            .collect();
        first.push(Ok(WatchEvent { event: Some(watch_event::Event::Synced(true)) }));
        Ok(Response::new(Box::pin(tokio_stream::iter(first).chain(changes))))
    }
}

#[tonic::async_trait]
impl Qos for Service {
    async fn submit_receipts(
        &self,
        request: Request<SubmitReceiptsRequest>,
    ) -> Result<Response<SubmitReceiptsResponse>, Status> {
        let caller = Peer::of(&request)?;
        let request = request.into_inner();
        let grant = Signed::<SessionGrant>::decode_all(&mut &request.signed_grant[..])
            .map_err(|e| Status::invalid_argument(e.to_string()))?;
        if grant.signer(&self.genesis) != Some(caller) || grant.payload.orchestrator != caller {
            return Err(Status::permission_denied("the grant is not signed by the caller"));
        }
        let mut refused = Vec::new();
        for (index, receipt) in request.receipts.into_iter().enumerate() {
            let mut refuse = |reason: &str| refused.push(Refusal { index: index as u32, reason: reason.to_owned() });
            match receipt::Receipt::from(receipt).verify(&grant.payload.receipt_key) {
                Ok(body) if body.session.0 == grant.payload.session && body.node == grant.payload.node => {
                    let mut state = self.state.lock();
                    if state.receipts.iter().any(|known| known.session == body.session && known.seq == body.seq) {
                        refuse("replayed");
                    } else {
                        state.receipts.push(body);
                    }
                }
                Ok(_) => refuse("another session's"),
                Err(error) => refuse(&error.to_string()),
            }
        }
        Ok(Response::new(SubmitReceiptsResponse { refused }))
    }

    async fn submit_node_reports(
        &self,
        _: Request<SubmitNodeReportsRequest>,
    ) -> Result<Response<SubmitNodeReportsResponse>, Status> {
        Err(Status::unimplemented("not in this test"))
    }

    async fn get_proof(&self, _: Request<GetProofRequest>) -> Result<Response<GetProofResponse>, Status> {
        Err(Status::unimplemented("not in this test"))
    }
}
