use super::{CELL, TestChain, TestRegistry};
use chroom_orchestrator::{chain::Chain, time::now_ms};
use chroom_primitives::{
    CapacityClass, NodeId, Role, Signed,
    record::{LoadReport, NodeRecord, next_seq},
};
use chroom_rpc::{
    media::{Media, MediaServer},
    server,
    tls::{Identity, Peer},
    v1::*,
};
use chroom_wallet::Wallet;
use codec::Encode;
use parking_lot::Mutex;
use std::{collections::BTreeMap, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::broadcast, task::JoinHandle};
use tokio_stream::{Stream, StreamExt, wrappers::BroadcastStream};
use tonic::{Request, Response, Status, service::Routes};

#[derive(Default)]
pub struct State {
    /// Sessions with their rooms and participants.
    pub sessions: BTreeMap<Vec<u8>, OpenSessionRequest>,
    fences: BTreeMap<String, u64>,
    pub negotiated: Vec<NegotiateRequest>,
    pub subscribed: Vec<SubscribeRequest>,
    /// Its places in rooms' trees.
    pub routes: BTreeMap<String, SetRouteRequest>,
    /// Whether its load reports say that it takes no more.
    pub is_full: bool,
}

#[derive(Clone)]
struct Service {
    state: Arc<Mutex<State>>,
    events: broadcast::Sender<MediaEvent>,
    /// Where its pipes would be.
    pipes: SocketAddr,
}

/// A media node without media: its control interface over real mutual TLS.
pub struct TestMedia {
    pub wallet: Wallet,
    address: SocketAddr,
    service: Service,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl TestMedia {
    pub async fn start(chain: &Arc<TestChain>, registries: &[TestRegistry]) -> Self {
        let wallet = Wallet::generate();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        chain.register(wallet.node_id(), Role::Media, &address.to_string());
        let pipes = SocketAddr::new(address.ip(), address.port() ^ 1);
        let service = Service { state: Arc::default(), events: broadcast::Sender::new(256), pipes };
        let media = Self { wallet, address, service, tasks: Mutex::default() };
        media.serve(listener, chain, registries);
        media
    }

    fn serve(&self, listener: TcpListener, chain: &Arc<TestChain>, registries: &[TestRegistry]) {
        let identity = Identity::new(&self.wallet).unwrap();
        let routes = Routes::new(MediaServer::new(self.service.clone()));
        let serving = tokio::spawn(async move {
            server::serve(listener, &identity, routes, std::future::pending()).await.unwrap();
        });
        let (wallet, address, chain) = (self.wallet.clone(), self.address, chain.clone());
        let registries: Vec<_> = registries.iter().map(TestRegistry::publisher).collect();
        let record = record(&wallet, &chain, address);
        let state = self.service.state.clone();
        let reporting = tokio::spawn(async move {
            loop {
                let is_full = state.lock().is_full;
                for publish in &registries {
                    publish(entry(&wallet, &chain, &record, is_full));
                }
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        });
        let events = self.service.events.clone();
        let beating = tokio::spawn(async move {
            loop {
                let heartbeat = Heartbeat { unix_ms: now_ms(), accepting: true };
                let _ = events
                    .send(MediaEvent { event: Some(media_event::Event::Heartbeat(heartbeat)), ..Default::default() });
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        });
        *self.tasks.lock() = vec![serving, reporting, beating];
    }

    /// As `kill -9`.
    pub fn kill(&self) {
        for task in self.tasks.lock().drain(..) {
            task.abort();
        }
        *self.service.state.lock() = State::default();
    }

    pub async fn restart(&self, chain: &Arc<TestChain>, registries: &[TestRegistry]) {
        let listener = super::until("the port is free", async || TcpListener::bind(self.address).await.ok()).await;
        self.serve(listener, chain, registries);
    }

    pub fn is_up(&self) -> bool {
        !self.tasks.lock().is_empty()
    }

    pub fn node(&self) -> NodeId {
        self.wallet.node_id()
    }

    pub fn sessions(&self) -> Vec<OpenSessionRequest> {
        self.service.state.lock().sessions.values().cloned().collect()
    }

    pub fn state(&self) -> parking_lot::MutexGuard<'_, State> {
        self.service.state.lock()
    }

    /// Its place in the one room's tree: who is above, who stands by, who is below.
    pub fn place(&self) -> Option<(Option<NodeId>, Option<NodeId>, Vec<NodeId>)> {
        let node = |id: &[u8]| NodeId(id.try_into().unwrap());
        let state = self.service.state.lock();
        let route = state.routes.values().next()?;
        let end = |end: &Option<PipeEnd>| end.as_ref().map(|end| node(&end.node));
        Some((end(&route.parent), end(&route.standby), route.children.iter().map(|child| node(child)).collect()))
    }

    /// Where its pipes are, as it tells.
    pub fn pipes(&self) -> String {
        self.service.pipes.to_string()
    }

    /// Where its parent's pipes are, as it was told.
    pub fn parent_address(&self) -> Option<String> {
        let state = self.service.state.lock();
        state.routes.values().next()?.parent.as_ref().map(|parent| parent.address.clone())
    }

    /// Tells the orchestrator that a room's parent is lost.
    pub fn say_parent_lost(&self, lost: NodeId) {
        let Some(room) = self.service.state.lock().routes.keys().next().cloned() else { return };
        let event = media_event::Event::ParentLost(ParentLost { node: lost.0.to_vec(), standby: Vec::new() });
        let _ = self.service.events.send(MediaEvent { room, session: Vec::new(), event: Some(event) });
    }

    /// Tells the orchestrator something of a session.
    pub fn say(&self, session: &[u8], event: media_event::Event) {
        let room = self.service.state.lock().sessions.get(session).map(|s| s.room.clone()).unwrap_or_default();
        let _ = self.service.events.send(MediaEvent { room, session: session.to_vec(), event: Some(event) });
    }
}

/// A record as `wallet` would publish it.
pub fn record(wallet: &Wallet, chain: &Arc<TestChain>, address: SocketAddr) -> Signed<NodeRecord> {
    let now = now_ms();
    let record = NodeRecord {
        node: wallet.node_id(),
        seq: next_seq(0, now),
        expires_ms: now + 600_000,
        role: Role::Media,
        cell: CELL,
        rpc: address.to_string().parse().unwrap(),
        public_url: b"http://127.0.0.1:7600".to_vec().try_into().unwrap(),
        p2p: Default::default(),
        class: CapacityClass::Medium,
        version: b"0.1.0".to_vec().try_into().unwrap(),
        left: false,
    };
    wallet.sign(record, &chain.genesis())
}

pub fn entry(wallet: &Wallet, chain: &Arc<TestChain>, record: &Signed<NodeRecord>, is_full: bool) -> Entry {
    let report = LoadReport {
        node: record.payload.node,
        seq: next_seq(0, now_ms()),
        cpu: if is_full { 9_900 } else { 500 },
        ingress_kbps: 0,
        egress_kbps: 10,
        egress_limit_kbps: 1_000_000,
        rooms: 0,
        sessions: 0,
        loss: 0,
        rtt_ms: 1,
        accepting: !is_full,
    };
    Entry {
        node: record.payload.node.0.to_vec(),
        signed_record: record.encode(),
        signed_load: wallet.sign(report, &chain.genesis()).encode(),
        status: "active".into(),
        score: 9_150,
        scored: true,
        load_age_ms: 0,
    }
}

impl Service {
    fn fence(&self, room: &str, fence: u64) -> Result<(), Status> {
        let mut state = self.state.lock();
        let greatest = state.fences.entry(room.to_owned()).or_default();
        if fence < *greatest {
            return Err(Status::failed_precondition("a greater fencing epoch was seen"));
        }
        *greatest = fence;
        Ok(())
    }
}

#[tonic::async_trait]
impl Media for Service {
    async fn open_session(
        &self,
        request: Request<OpenSessionRequest>,
    ) -> Result<Response<OpenSessionResponse>, Status> {
        Peer::of(&request)?;
        let request = request.into_inner();
        self.fence(&request.room, request.fence)?;
        let mut state = self.state.lock();
        if state.sessions.contains_key(&request.session) {
            return Err(Status::already_exists("the session is open"));
        }
        state.sessions.insert(request.session.clone(), request);
        Ok(Response::new(OpenSessionResponse { candidates: vec!["127.0.0.1:7500".into()] }))
    }

    async fn negotiate(&self, request: Request<NegotiateRequest>) -> Result<Response<NegotiateResponse>, Status> {
        let request = request.into_inner();
        let mut state = self.state.lock();
        if !state.sessions.contains_key(&request.session) {
            return Err(Status::not_found("no such session"));
        }
        let answer_sdp = format!("answer to {}", request.offer_sdp);
        state.negotiated.push(request);
        Ok(Response::new(NegotiateResponse { answer_sdp }))
    }

    async fn subscribe(&self, request: Request<SubscribeRequest>) -> Result<Response<SubscribeResponse>, Status> {
        self.state.lock().subscribed.push(request.into_inner());
        Ok(Response::new(SubscribeResponse {}))
    }

    async fn close_session(
        &self,
        request: Request<CloseSessionRequest>,
    ) -> Result<Response<CloseSessionResponse>, Status> {
        self.state.lock().sessions.remove(&request.into_inner().session);
        Ok(Response::new(CloseSessionResponse {}))
    }

    async fn close_room(&self, request: Request<CloseRoomRequest>) -> Result<Response<CloseRoomResponse>, Status> {
        let request = request.into_inner();
        self.fence(&request.room, request.fence)?;
        let mut state = self.state.lock();
        state.sessions.retain(|_, session| session.room != request.room);
        state.routes.remove(&request.room);
        Ok(Response::new(CloseRoomResponse {}))
    }

    type EventsStream = Pin<Box<dyn Stream<Item = Result<MediaEvent, Status>> + Send>>;

    async fn events(&self, _: Request<EventsRequest>) -> Result<Response<Self::EventsStream>, Status> {
        let events = BroadcastStream::new(self.events.subscribe());
        Ok(Response::new(Box::pin(events.map(|event| event.map_err(|_| Status::data_loss("too slow"))))))
    }

    async fn stats(&self, _: Request<StatsRequest>) -> Result<Response<StatsResponse>, Status> {
        let state = self.state.lock();
        let session_stats = state
            .sessions
            .values()
            .map(|session| SessionStats {
                session: session.session.clone(),
                room: session.room.clone(),
                ..Default::default()
            })
            .collect();
        Ok(Response::new(StatsResponse { session_stats, ..Default::default() }))
    }

    async fn set_route(&self, request: Request<SetRouteRequest>) -> Result<Response<SetRouteResponse>, Status> {
        Peer::of(&request)?;
        let request = request.into_inner();
        self.fence(&request.room, request.fence)?;
        self.state.lock().routes.insert(request.room.clone(), request);
        Ok(Response::new(SetRouteResponse { address: self.pipes.to_string() }))
    }

    async fn clear_route(&self, request: Request<ClearRouteRequest>) -> Result<Response<ClearRouteResponse>, Status> {
        let request = request.into_inner();
        self.fence(&request.room, request.fence)?;
        self.state.lock().routes.remove(&request.room);
        Ok(Response::new(ClearRouteResponse {}))
    }

    async fn pipes(&self, _: Request<PipesRequest>) -> Result<Response<PipesResponse>, Status> {
        Err(Status::unimplemented("this stand-in has no pipes"))
    }

    async fn start_recording(
        &self,
        _: Request<StartRecordingRequest>,
    ) -> Result<Response<StartRecordingResponse>, Status> {
        Err(Status::unimplemented("this stand-in records nothing"))
    }

    async fn stop_recording(
        &self,
        _: Request<StopRecordingRequest>,
    ) -> Result<Response<StopRecordingResponse>, Status> {
        Err(Status::unimplemented("this stand-in records nothing"))
    }

    async fn thumbnail(&self, _: Request<ThumbnailRequest>) -> Result<Response<ThumbnailResponse>, Status> {
        Err(Status::unimplemented("this stand-in has no pictures"))
    }
}
