//! The control interface over real mutual TLS: who is admitted, what is fenced, what is told.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use chroom_chain_client::Membership;
use chroom_media_node::{
    cascade::{
        gate,
        quic::{Cascade, CascadeConfig},
    },
    health::{Health, Registered},
    processing::{
        budget::Millicores,
        recording::room::RecordingLimits,
        studio::{Studio, StudioConfig},
    },
    rpc::{Admission, MediaService},
    sfu::{Sfu, SfuConfig, event::CloseReason},
};
use chroom_primitives::{
    AccountId, CapacityClass, Endpoint, H3Cell, Hash, NodeId, NodeStatus, QosEpoch, Role, epoch::EpochInfo,
    record::Registration,
};
use chroom_rpc::{
    channel,
    media::MediaClient,
    server,
    tls::Identity,
    v1::{self, media_event},
};
use chroom_wallet::Wallet;
use std::{sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Streaming, transport::Channel};

struct Node {
    sfu: Arc<Sfu>,
    cascade: Arc<Cascade>,
    health: Arc<Health>,
    endpoint: Endpoint,
    id: NodeId,
    membership: watch::Sender<Arc<Membership>>,
    stop: CancellationToken,
    /// Of recordings.
    folder: tempfile::TempDir,
}

fn registration(node: NodeId, role: Role, status: NodeStatus) -> Registration {
    Registration {
        node,
        owner: AccountId::new([9; 32]),
        role,
        status,
        cell: H3Cell(0),
        class: CapacityClass::Small,
        endpoint: "127.0.0.1:1".parse().unwrap(),
        bond: 1,
        price_per_gib: 0,
    }
}

fn membership(nodes: &[Registration]) -> Arc<Membership> {
    Arc::new(Membership {
        block: 1,
        block_hash: Hash::zero(),
        epoch: EpochInfo {
            current: QosEpoch(0),
            started_at: 1,
            started_ms: 0,
            length: 8,
            submit_window: 4,
            committee_size: 3,
        },
        generation: 0,
        nodes: nodes.iter().map(|node| (node.node, node.clone())).collect(),
    })
}

impl Node {
    async fn start(nodes: &[Registration]) -> Self {
        let wallet = Wallet::generate();
        let config = SfuConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            tcp: true,
            advertise: None,
            shards: 1,
            egress_loss: None,
        };
        let identity = Identity::new(&wallet).unwrap();
        let (membership, receiver) = watch::channel(membership(nodes));
        let pipes = CascadeConfig { listen: "127.0.0.1:0".parse().unwrap(), advertise: None };
        let prepared = Cascade::prepare(&pipes, &identity, gate::of(receiver.clone())).unwrap();
        let sfu = Arc::new(Sfu::start_with(&config, Some(prepared.room_end())).unwrap());
        let cascade = Arc::new(prepared.start(sfu.rooms()).unwrap());
        let health = Arc::new(Health::new(Registered::Active, 1_000_000, 10));
        let stop = CancellationToken::new();
        let folder = tempfile::tempdir().unwrap();
        let studio = StudioConfig {
            threads: 1,
            budget: Millicores(100),
            recordings: Some(folder.path().to_owned()),
            limits: RecordingLimits { duration: Duration::from_secs(60), bytes: 1_000_000 },
        };
        let studio = Arc::new(Studio::start(sfu.clone(), studio).unwrap());
        let service = MediaService::new(sfu.clone(), health.clone(), Admission::new(receiver), stop.clone())
            .with_cascade(cascade.clone())
            .with_studio(studio);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = listener.local_addr().unwrap().to_string().parse().unwrap();
        let stopped = stop.clone();
        tokio::spawn(async move {
            server::serve(listener, &identity, service.routes(), async move { stopped.cancelled().await })
                .await
                .unwrap();
        });
        Self { sfu, cascade, health, endpoint, id: wallet.node_id(), membership, stop, folder }
    }

    fn client(&self, wallet: &Wallet) -> MediaClient<Channel> {
        let identity = Identity::new(wallet).unwrap();
        MediaClient::new(channel::connect(&identity, &self.endpoint, Some(self.id)).unwrap())
    }
}

fn open(room: &str, fence: u64, session: u8) -> v1::OpenSessionRequest {
    v1::OpenSessionRequest {
        room: room.into(),
        fence,
        session: vec![session; 16],
        participant: format!("p{session}"),
        can_publish: true,
        can_subscribe: true,
        max_uplink_kbps: 0,
    }
}

fn close(session: u8, fence: u64) -> v1::CloseSessionRequest {
    v1::CloseSessionRequest { session: vec![session; 16], fence, reason: "enough".into() }
}

/// The next event that isn't a heartbeat.
async fn next(stream: &mut Streaming<v1::MediaEvent>) -> v1::MediaEvent {
    let told = async {
        loop {
            let event = stream.message().await.unwrap().unwrap();
            if !matches!(event.event, Some(media_event::Event::Heartbeat(_))) {
                return event;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), told).await.unwrap()
}

async fn heartbeat(stream: &mut Streaming<v1::MediaEvent>) -> v1::Heartbeat {
    let told = async {
        loop {
            if let Some(media_event::Event::Heartbeat(beat)) = stream.message().await.unwrap().unwrap().event {
                return beat;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), told).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_orchestrators_in_service_are_served() {
    let (known, stranger, registry) = (Wallet::generate(), Wallet::generate(), Wallet::generate());
    let registry_entry = registration(registry.node_id(), Role::Registry, NodeStatus::Active);
    let active = registration(known.node_id(), Role::Orchestrator, NodeStatus::Active);
    let node = Node::start(&[active.clone(), registry_entry.clone()]).await;
    for (wallet, word) in [(&stranger, "not registered"), (&registry, "not an orchestrator")] {
        let status = node.client(wallet).open_session(open("r", 1, 1)).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied);
        assert!(status.message().contains(word), "{status}");
        assert_eq!(node.client(wallet).events(v1::EventsRequest {}).await.unwrap_err().code(), Code::PermissionDenied);
    }
    let mut client = node.client(&known);
    let candidates = client.open_session(open("r", 1, 1)).await.unwrap().into_inner().candidates;
    assert_eq!(candidates, [node.sfu.candidate().to_string()]);

    node.membership.send_replace(membership(&[Registration { status: NodeStatus::Draining, ..active.clone() }]));
    assert_eq!(client.open_session(open("r", 1, 2)).await.unwrap_err().code(), Code::PermissionDenied);
    client.close_session(close(1, 1)).await.unwrap();
    let mut told = client.events(v1::EventsRequest {}).await.unwrap().into_inner();
    heartbeat(&mut told).await;
    node.membership.send_replace(membership(&[]));
    let end = loop {
        if let Err(status) = told.message().await {
            break status;
        }
    };
    assert_eq!(end.code(), Code::PermissionDenied, "its stream ends with its service");
    assert_eq!(client.stats(v1::StatsRequest::default()).await.unwrap_err().code(), Code::PermissionDenied);

    // An identity that is another's is refused before anything is said.
    let wrong = channel::connect(&Identity::new(&known).unwrap(), &node.endpoint, Some(NodeId([1; 20]))).unwrap();
    let status = MediaClient::new(wrong).stats(v1::StatsRequest::default()).await.unwrap_err();
    assert!(status.message().contains("answers there, not"), "{status}");
    node.stop.cancel();
    node.sfu.stop(CloseReason::Draining).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_room_is_fenced_and_events_go_to_who_has_it() {
    let (first, second) = (Wallet::generate(), Wallet::generate());
    let entry = |wallet: &Wallet| registration(wallet.node_id(), Role::Orchestrator, NodeStatus::Active);
    let node = Node::start(&[entry(&first), entry(&second)]).await;
    let (mut one, mut two) = (node.client(&first), node.client(&second));
    let mut told_one = one.events(v1::EventsRequest {}).await.unwrap().into_inner();
    let mut told_two = two.events(v1::EventsRequest {}).await.unwrap().into_inner();
    one.open_session(open("r", 5, 1)).await.unwrap();
    one.open_session(open("r", 5, 2)).await.unwrap();
    one.open_session(open("r", 5, 1)).await.expect("a retry does no harm");
    one.close_session(close(2, 5)).await.unwrap();
    let closed = next(&mut told_one).await;
    assert_eq!((closed.room.as_str(), closed.session.as_slice()), ("r", [2; 16].as_slice()));
    assert_eq!(closed.event, Some(media_event::Event::Closed(v1::SessionClosed { reason: "enough".into() })));

    two.open_session(open("r", 6, 3)).await.unwrap();
    for status in [
        one.open_session(open("r", 5, 4)).await.unwrap_err(),
        one.close_session(close(1, 5)).await.unwrap_err(),
        one.close_room(v1::CloseRoomRequest { room: "r".into(), fence: 5, reason: String::new() }).await.unwrap_err(),
    ] {
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert!(status.message().contains("behind 6"), "{status}");
    }
    let stats = two.stats(v1::StatsRequest::default()).await.unwrap().into_inner();
    assert_eq!((stats.rooms, stats.sessions, stats.session_stats.len()), (1, 2, 2));
    two.close_room(v1::CloseRoomRequest { room: "r".into(), fence: 6, reason: "over".into() }).await.unwrap();
    let mut closed = vec![next(&mut told_two).await.session, next(&mut told_two).await.session];
    closed.sort();
    assert_eq!(closed, [vec![1; 16], vec![3; 16]]);
    assert_eq!(two.close_session(close(3, 6)).await.unwrap_err().code(), Code::NotFound);
    node.stop.cancel();
    node.sfu.stop(CloseReason::Draining).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_node_says_so_and_takes_nothing_new() {
    let wallet = Wallet::generate();
    let node = Node::start(&[registration(wallet.node_id(), Role::Orchestrator, NodeStatus::Active)]).await;
    let mut client = node.client(&wallet);
    let mut told = client.events(v1::EventsRequest {}).await.unwrap().into_inner();
    assert!(heartbeat(&mut told).await.accepting);
    client.open_session(open("r", 1, 1)).await.unwrap();
    node.health.stop();
    assert!(!heartbeat(&mut told).await.accepting);
    let status = client.open_session(open("r", 1, 2)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("stopping"), "{status}");
    node.sfu.stop(CloseReason::Draining).await;
    let closed = next(&mut told).await;
    assert_eq!(closed.event, Some(media_event::Event::Closed(v1::SessionClosed { reason: "draining".into() })));
    node.stop.cancel();
    let end = loop {
        match told.message().await {
            Ok(Some(_)) => {}
            end => break end,
        }
    };
    assert!(end.is_err() || end.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_refused_with_a_reason() {
    let wallet = Wallet::generate();
    let node = Node::start(&[registration(wallet.node_id(), Role::Orchestrator, NodeStatus::Active)]).await;
    let mut client = node.client(&wallet);
    let invalid = |request: v1::OpenSessionRequest| {
        let mut client = client.clone();
        async move { client.open_session(request).await.unwrap_err() }
    };
    for request in [
        v1::OpenSessionRequest { room: "r".repeat(200), ..open("r", 1, 1) },
        v1::OpenSessionRequest { session: vec![1; 3], ..open("r", 1, 1) },
        v1::OpenSessionRequest { participant: String::new(), ..open("r", 1, 1) },
    ] {
        assert_eq!(invalid(request).await.code(), Code::InvalidArgument);
    }
    client.open_session(open("r", 1, 1)).await.unwrap();
    let negotiate = v1::NegotiateRequest {
        session: vec![1; 16],
        fence: 1,
        offer_sdp: "v=0\r\n".into(),
        publish: vec![],
        subscribe: vec![],
    };
    let status = client.negotiate(negotiate.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("no m-lines"), "{status}");
    let large = v1::NegotiateRequest { offer_sdp: "x".repeat(70_000), ..negotiate };
    assert!(client.negotiate(large).await.unwrap_err().message().contains("70000 bytes"));
    // The session is as it was.
    client.close_session(close(1, 1)).await.unwrap();
    node.stop.cancel();
    node.sfu.stop(CloseReason::Draining).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orchestrators_lay_pipes_between_nodes_that_the_register_has() {
    let orchestrator = Wallet::generate();
    let active = registration(orchestrator.node_id(), Role::Orchestrator, NodeStatus::Active);
    let nodes = [active.clone()];
    let (above, below) = (Node::start(&nodes).await, Node::start(&nodes).await);
    let (mut upper, mut lower) = (above.client(&orchestrator), below.client(&orchestrator));
    let route = |fence: u64, parent: Option<v1::PipeEnd>, children: Vec<Vec<u8>>| v1::SetRouteRequest {
        room: "room".into(),
        fence,
        parent,
        standby: None,
        children,
    };
    let root = route(5, None, vec![below.id.0.to_vec()]);
    let address = upper.set_route(root.clone()).await.unwrap().into_inner().address;
    assert_eq!(address, above.cascade.address().to_string());
    let parent = v1::PipeEnd { node: above.id.0.to_vec(), address };
    lower.set_route(route(5, Some(parent.clone()), Vec::new())).await.unwrap();

    // Neither is in the register: no pipe. Then both are.
    let refused = async {
        while above.cascade.figures().await.unwrap().refused + below.cascade.figures().await.unwrap().refused == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), refused).await.unwrap();
    let media = |node: &Node, status| registration(node.id, Role::Media, status);
    let nodes = |status| membership(&[active.clone(), media(&above, NodeStatus::Active), media(&below, status)]);
    for node in [&above, &below] {
        node.membership.send(nodes(NodeStatus::Active)).unwrap();
    }
    let wait_for = async |client: &mut MediaClient<Channel>, rooms: u32, up: bool| {
        let met = async {
            loop {
                let pipes = client.pipes(v1::PipesRequest {}).await.unwrap().into_inner().pipes;
                if pipes.iter().any(|pipe| (pipe.rooms, pipe.up) == (rooms, up)) {
                    return pipes;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), met).await.unwrap()
    };
    let pipes = wait_for(&mut upper, 1, true).await;
    assert_eq!(pipes[0].node, below.id.0.to_vec());
    wait_for(&mut lower, 1, true).await;

    let refused = |status: tonic::Status, code, text: &str| {
        assert_eq!(status.code(), code, "{status}");
        assert!(status.message().contains(text), "{status}");
    };
    let old = upper.set_route(route(4, None, Vec::new())).await.unwrap_err();
    refused(old, Code::FailedPrecondition, "fencing epoch");
    let own = upper.set_route(route(6, None, vec![above.id.0.to_vec()])).await.unwrap_err();
    refused(own, Code::InvalidArgument, "this node itself");
    let stranger = above.client(&Wallet::generate()).set_route(root).await.unwrap_err();
    refused(stranger, Code::PermissionDenied, "not registered");

    // A node that is jailed loses its pipes at once; one that is back has them again.
    above.membership.send(nodes(NodeStatus::Jailed)).unwrap();
    wait_for(&mut upper, 0, false).await;
    above.membership.send(nodes(NodeStatus::Active)).unwrap();
    wait_for(&mut upper, 1, true).await;

    let closing = v1::CloseRoomRequest { room: "room".into(), fence: 6, reason: "over".into() };
    lower.close_room(closing).await.unwrap();
    wait_for(&mut upper, 0, true).await;
    for node in [above, below] {
        node.cascade.stop().await;
        node.stop.cancel();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn recordings_are_fenced_bounded_and_told() {
    let (first, second) = (Wallet::generate(), Wallet::generate());
    let entry = |wallet: &Wallet| registration(wallet.node_id(), Role::Orchestrator, NodeStatus::Active);
    let node = Node::start(&[entry(&first), entry(&second)]).await;
    let (mut one, mut two) = (node.client(&first), node.client(&second));
    let start = |room: &str, fence: u64, recording: &str| v1::StartRecordingRequest {
        room: room.into(),
        fence,
        recording: recording.into(),
        ..v1::StartRecordingRequest::default()
    };
    let refused = |status: tonic::Status, code, text: &str| {
        assert_eq!(status.code(), code, "{status}");
        assert!(status.message().contains(text), "{status}");
    };
    refused(one.start_recording(start("r", 5, "rec")).await.unwrap_err(), Code::NotFound, "no such room");
    one.open_session(open("r", 5, 1)).await.unwrap();
    let folder = one.start_recording(start("r", 5, "rec")).await.unwrap().into_inner().folder;
    assert_eq!(std::path::Path::new(&folder), node.folder.path().join("rec"));
    for (request, code, text) in [
        (start("r", 5, "rec"), Code::AlreadyExists, "there already"),
        (start("r", 5, "../rec"), Code::InvalidArgument, "not a recording's id"),
        (start("r", 4, "other"), Code::FailedPrecondition, "fencing epoch"),
        (v1::StartRecordingRequest { kind: 9, ..start("r", 5, "other") }, Code::InvalidArgument, "kind"),
        (v1::StartRecordingRequest { kind: 1, ..start("r", 5, "other") }, Code::ResourceExhausted, "another node"),
    ] {
        refused(one.start_recording(request).await.unwrap_err(), code, text);
    }
    let thumbnail = v1::ThumbnailRequest { room: "r".into(), fence: 4, track: "t".into(), max_height: 0 };
    refused(one.thumbnail(thumbnail).await.unwrap_err(), Code::FailedPrecondition, "fencing epoch");

    let stop = |fence: u64| v1::StopRecordingRequest { room: "r".into(), fence, recording: "rec".into() };
    two.open_session(open("r", 6, 2)).await.unwrap();
    refused(one.stop_recording(stop(5)).await.unwrap_err(), Code::FailedPrecondition, "behind 6");
    let ended = two.stop_recording(stop(6)).await.unwrap().into_inner();
    assert_eq!((ended.ended.as_str(), ended.files.len()), ("requested", 0));
    refused(two.stop_recording(stop(6)).await.unwrap_err(), Code::NotFound, "no recording");

    // One that ends by itself is an event.
    let mut told = two.events(v1::EventsRequest {}).await.unwrap().into_inner();
    two.start_recording(start("r", 6, "second")).await.unwrap();
    two.close_room(v1::CloseRoomRequest { room: "r".into(), fence: 6, reason: "over".into() }).await.unwrap();
    let ended = loop {
        if let Some(media_event::Event::RecordingEnded(ended)) = next(&mut told).await.event {
            break ended;
        }
    };
    assert_eq!((ended.recording.as_str(), ended.reason.as_str()), ("second", "room-over"));
    node.stop.cancel();
    node.sfu.stop(CloseReason::Draining).await;
}
