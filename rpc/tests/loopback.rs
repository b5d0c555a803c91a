//! Both ends of the protocol over real sockets on loopback.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use chroom_primitives::{Endpoint, NodeId};
use chroom_rpc::{
    MAX_MESSAGE,
    channel::{self, ConnectError},
    registry::{QosClient, QosServer, RegistryClient, RegistryServer},
    server::{self, Limits},
    tls::{Identity, Peer},
    v1,
};
use chroom_wallet::Wallet;
use futures::{Stream, StreamExt};
use std::{pin::Pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};
use tonic::{Code, Request, Response, Status, service::Routes};

/// Answers with the caller's identity.
#[derive(Clone)]
struct Echo;

type Events = Pin<Box<dyn Stream<Item = Result<v1::WatchEvent, Status>> + Send>>;

#[tonic::async_trait]
impl chroom_rpc::registry::Qos for Echo {
    async fn submit_receipts(
        &self,
        _: Request<v1::SubmitReceiptsRequest>,
    ) -> Result<Response<v1::SubmitReceiptsResponse>, Status> {
        Ok(Response::new(v1::SubmitReceiptsResponse { refused: vec![] }))
    }

    async fn submit_node_reports(
        &self,
        _: Request<v1::SubmitNodeReportsRequest>,
    ) -> Result<Response<v1::SubmitNodeReportsResponse>, Status> {
        // Longer than any test lasts.
        std::future::pending().await
    }

    async fn get_proof(&self, request: Request<v1::GetProofRequest>) -> Result<Response<v1::GetProofResponse>, Status> {
        let peer = Peer::of(&request)?;
        Ok(Response::new(v1::GetProofResponse { member_proof: peer.0.to_vec(), signed_statement: Vec::new() }))
    }
}

#[tonic::async_trait]
impl chroom_rpc::registry::Registry for Echo {
    type WatchStream = Events;

    async fn join(&self, request: Request<v1::JoinRequest>) -> Result<Response<v1::JoinResponse>, Status> {
        Ok(Response::new(v1::JoinResponse { seq: request.into_inner().signed_record.len() as u64, peers: vec![] }))
    }

    async fn leave(&self, _: Request<v1::LeaveRequest>) -> Result<Response<v1::LeaveResponse>, Status> {
        Err(Status::permission_denied("not registered"))
    }

    async fn report_load(&self, _: Request<v1::ReportLoadRequest>) -> Result<Response<v1::ReportLoadResponse>, Status> {
        Ok(Response::new(v1::ReportLoadResponse {}))
    }

    async fn get(&self, _: Request<v1::GetRequest>) -> Result<Response<v1::Entry>, Status> {
        Err(Status::not_found("no such node"))
    }

    async fn query_near(&self, _: Request<v1::QueryNearRequest>) -> Result<Response<v1::QueryNearResponse>, Status> {
        Ok(Response::new(v1::QueryNearResponse { entries: vec![] }))
    }

    async fn watch(&self, _: Request<v1::WatchRequest>) -> Result<Response<Events>, Status> {
        let synced = v1::WatchEvent { event: Some(v1::watch_event::Event::Synced(true)) };
        Ok(Response::new(Box::pin(futures::stream::iter([Ok(synced)]).chain(futures::stream::pending()))))
    }
}

struct Running {
    endpoint: Endpoint,
    node: NodeId,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    async fn start() -> Self {
        Self::start_as(&Wallet::generate(), "127.0.0.1:0", Limits::default()).await
    }

    async fn start_as(wallet: &Wallet, address: &str, limits: Limits) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let endpoint = listener.local_addr().unwrap().to_string().parse().unwrap();
        let identity = Identity::new(wallet).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let routes = Routes::new(QosServer::new(Echo)).add_service(RegistryServer::new(Echo));
        let task = tokio::spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            server::serve_with(listener, &identity, routes, limits, shutdown).await.unwrap();
        });
        Self { endpoint, node: wallet.node_id(), stop: Some(stop), task }
    }

    async fn end(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        (&mut self.task).await.unwrap();
    }
}

/// A connection to the server from an address of one's choice.
async fn from(address: &str, server: &Running) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(address.parse().unwrap()).unwrap();
    socket.connect(server.endpoint.as_str().parse().unwrap()).await.unwrap()
}

fn proof_request() -> v1::GetProofRequest {
    v1::GetProofRequest { epoch: 0, node: vec![] }
}

#[tokio::test]
async fn each_end_knows_the_other() {
    let server = Running::start().await;
    let wallet = Wallet::generate();
    let identity = Identity::new(&wallet).unwrap();
    assert_eq!(channel::identify(&identity, &server.endpoint).await.unwrap(), server.node);
    let channel = channel::connect(&identity, &server.endpoint, Some(server.node)).unwrap();
    let answer = QosClient::new(channel).get_proof(proof_request()).await.unwrap().into_inner();
    assert_eq!(answer.member_proof, wallet.node_id().0);
    server.end().await;
}

#[tokio::test]
async fn another_node_than_the_expected_is_refused_by_name() {
    let server = Running::start().await;
    let identity = Identity::new(&Wallet::generate()).unwrap();
    let expected = Wallet::generate().node_id();
    let channel = channel::connect(&identity, &server.endpoint, Some(expected)).unwrap();
    let status = QosClient::new(channel).get_proof(proof_request()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.message(), format!("at {}: {} answers there, not {expected}", server.endpoint, server.node));
    server.end().await;
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let server = Running::start().await;
    // TLS as a browser or curl speaks it: any server certificate, none of its own.
    #[derive(Debug)]
    struct AnyServer;
    impl rustls::client::danger::ServerCertVerifier for AnyServer {
        fn verify_server_cert(
            &self,
            _: &rustls::pki_types::CertificateDer<'_>,
            _: &[rustls::pki_types::CertificateDer<'_>],
            _: &rustls::pki_types::ServerName<'_>,
            _: &[u8],
            _: rustls::pki_types::UnixTime,
        ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
            Ok(rustls::client::danger::ServerCertVerified::assertion())
        }
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &rustls::pki_types::CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
        }
        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &rustls::pki_types::CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
        }
        fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
            vec![rustls::SignatureScheme::ECDSA_NISTP256_SHA256]
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(server.endpoint.as_str()).await.unwrap();
    let name = rustls::pki_types::ServerName::IpAddress(std::net::Ipv4Addr::LOCALHOST.into());
    // In TLS 1.3 the client's side of the handshake is over before the server has judged it, so the refusal comes on reading.
    let mut stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let refusal = stream.read_u8().await.unwrap_err();
    assert!(refusal.to_string().contains("CertificateRequired"), "{refusal}");
    server.end().await;
}

#[tokio::test]
async fn a_channel_connects_anew_after_a_restart() {
    let wallet = Wallet::generate();
    let server = Running::start_as(&wallet, "127.0.0.1:0", Limits::default()).await;
    let endpoint = server.endpoint.clone();
    let identity = Identity::new(&Wallet::generate()).unwrap();
    let channel = channel::connect(&identity, &endpoint, Some(wallet.node_id())).unwrap();
    let mut client = QosClient::new(channel);
    client.get_proof(proof_request()).await.unwrap();
    server.end().await;
    let status = client.get_proof(proof_request()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    // The new process has another certificate, but the same node's key vouches for it.
    let server = Running::start_as(&wallet, endpoint.as_str(), Limits::default()).await;
    client.get_proof(proof_request()).await.unwrap();
    server.end().await;
}

#[tokio::test]
async fn nobody_there_is_said_clearly() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint: Endpoint = listener.local_addr().unwrap().to_string().parse().unwrap();
    drop(listener);
    let identity = Identity::new(&Wallet::generate()).unwrap();
    assert!(matches!(channel::identify(&identity, &endpoint).await, Err(ConnectError::Unreachable { .. })));
    let channel = channel::connect(&identity, &endpoint, None).unwrap();
    let status = QosClient::new(channel).get_proof(proof_request()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().starts_with(&format!("cannot reach {endpoint}: ")), "{status:?}");
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_with_the_limit() {
    let server = Running::start().await;
    let identity = Identity::new(&Wallet::generate()).unwrap();
    let channel = channel::connect(&identity, &server.endpoint, Some(server.node)).unwrap();
    let mut client = RegistryClient::new(channel);
    let fits = client.join(v1::JoinRequest { signed_record: vec![0; MAX_MESSAGE - 16] }).await.unwrap();
    assert_eq!(fits.into_inner().seq, MAX_MESSAGE as u64 - 16);
    let status = client.join(v1::JoinRequest { signed_record: vec![0; MAX_MESSAGE] }).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert!(status.message().contains(&MAX_MESSAGE.to_string()), "{status:?}");
    // The connection serves on.
    client.join(v1::JoinRequest { signed_record: vec![0; 3] }).await.unwrap();
    server.end().await;
}

#[tokio::test]
async fn an_open_stream_does_not_hold_up_the_end() {
    let limits = Limits { drain: Duration::from_millis(50), ..Limits::default() };
    let server = Running::start_as(&Wallet::generate(), "127.0.0.1:0", limits).await;
    let identity = Identity::new(&Wallet::generate()).unwrap();
    let channel = channel::connect(&identity, &server.endpoint, Some(server.node)).unwrap();
    let mut events = RegistryClient::new(channel).watch(v1::WatchRequest { roles: vec![] }).await.unwrap().into_inner();
    let first = events.next().await.unwrap().unwrap();
    assert_eq!(first.event, Some(v1::watch_event::Event::Synced(true)));
    server.end().await;
    // The client learns of it.
    assert!(events.next().await.is_none_or(|event| event.is_err()));
}

#[tokio::test]
async fn a_silent_connection_holds_nobody_up() {
    let limits = Limits { handshakes: 1, handshake: Duration::from_millis(100), ..Limits::default() };
    let server = Running::start_as(&Wallet::generate(), "127.0.0.1:0", limits).await;
    // Takes the only place for a handshake and says nothing, then nonsense.
    let mut silent = TcpStream::connect(server.endpoint.as_str()).await.unwrap();
    let mut nonsense = TcpStream::connect(server.endpoint.as_str()).await.unwrap();
    nonsense.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let identity = Identity::new(&Wallet::generate()).unwrap();
    let channel = channel::connect(&identity, &server.endpoint, Some(server.node)).unwrap();
    QosClient::new(channel).get_proof(proof_request()).await.unwrap();
    // The silent one was shown the door.
    assert_eq!(silent.read(&mut [0; 16]).await.unwrap_or(0), 0);
    server.end().await;
}

#[tokio::test]
async fn silent_connections_of_one_address_leave_places_to_others() {
    // Nobody is shown the door for being slow while this test runs: only shares are at work.
    let patience = Duration::from_secs(600);
    let limits = Limits { handshakes: 4, handshakes_per_address: 2, handshake: patience, ..Limits::default() };
    let server = Running::start_as(&Wallet::generate(), "127.0.0.1:0", limits).await;
    let mut silent = Vec::new();
    for _ in 0..10 {
        silent.push(from("127.0.0.2:0", &server).await);
    }
    // A node elsewhere comes in though ten others were before it.
    let identity = Identity::new(&Wallet::generate()).unwrap();
    let channel = channel::connect(&identity, &server.endpoint, Some(server.node)).unwrap();
    QosClient::new(channel).get_proof(proof_request()).await.unwrap();
    // Two of them are still waited for, the others were closed.
    let (held, closed) = silent.split_at_mut(2);
    for stream in closed {
        assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0);
    }
    for stream in held.iter() {
        assert_eq!(stream.try_read(&mut [0; 16]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
    // Once they are gone, their address has its share back.
    drop(silent);
    let mut answered = false;
    for _ in 0..100 {
        let mut stream = from("127.0.0.2:0", &server).await;
        // No TLS: the answer is an alert, where a connection beyond the share gets none.
        let _ = stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await;
        answered = stream.read(&mut [0; 16]).await.is_ok_and(|size| size > 0);
        if answered {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(answered, "the share never came back");
    server.end().await;
}

#[tokio::test]
async fn one_node_cannot_take_all_places() {
    let limits = Limits { connections_per_node: 1, ..Limits::default() };
    let server = Running::start_as(&Wallet::generate(), "127.0.0.1:0", limits).await;
    let greedy = Identity::new(&Wallet::generate()).unwrap();
    let mut first = QosClient::new(channel::connect(&greedy, &server.endpoint, None).unwrap());
    first.get_proof(proof_request()).await.unwrap();
    let mut second = QosClient::new(channel::connect(&greedy, &server.endpoint, None).unwrap());
    second.get_proof(proof_request()).await.unwrap_err();
    let other = Identity::new(&Wallet::generate()).unwrap();
    QosClient::new(channel::connect(&other, &server.endpoint, None).unwrap()).get_proof(proof_request()).await.unwrap();
    first.get_proof(proof_request()).await.unwrap();
    server.end().await;
}

#[tokio::test]
async fn a_call_that_takes_too_long_ends() {
    let limits = Limits { answer: Duration::from_millis(100), ..Limits::default() };
    let server = Running::start_as(&Wallet::generate(), "127.0.0.1:0", limits).await;
    let identity = Identity::new(&Wallet::generate()).unwrap();
    let channel = channel::connect(&identity, &server.endpoint, Some(server.node)).unwrap();
    let request = v1::SubmitNodeReportsRequest { signed_reports: vec![] };
    let status = QosClient::new(channel).submit_node_reports(request).await.unwrap_err();
    assert!(matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded), "{status:?}");
    server.end().await;
}

#[tokio::test]
async fn logs_and_metrics_are_served() {
    use prometheus_client::{metrics::counter::Counter, registry::Registry};
    let mut registry = Registry::default();
    let calls = Counter::<u64>::default();
    registry.register("calls", "Calls answered", calls.clone());
    calls.inc_by(3);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(chroom_rpc::telemetry::serve_metrics(listener, Arc::new(registry), async {
        let _ = stopped.await;
    }));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("calls_total 3"), "{answer}");
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
}
