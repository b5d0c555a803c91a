//! The calling end: a channel to one node, which connects when first used and again whenever the connection is lost.

use crate::tls::{Identity, WrongNode, node_of_certificates};
use chroom_primitives::{Endpoint, NodeId};
use hyper_util::rt::TokioIo;
use rustls::{CertificateError, pki_types::ServerName};
use std::{io, net::Ipv4Addr, sync::Arc, time::Duration};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Uri};

/// Time that TCP and TLS may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after which an idle connection is pinged, and time that the answer may take: a dead peer is noticed in 10 s.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Time that the head of an answer may take when the caller sets none; a stream of answers may go on.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// A node cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The endpoint has not the form host:port.
    #[error("{0:?} is no endpoint: {error}", error = chroom_primitives::endpoint::EndpointError)]
    Endpoint(String),
    /// TLS cannot be set up on this side.
    #[error("cannot set TLS up: {0}")]
    Tls(#[from] rustls::Error),
    /// Nothing answers.
    #[error("cannot reach {endpoint}: {source}")]
    Unreachable {
        /// Where.
        endpoint: Endpoint,
        /// Why.
        source: io::Error,
    },
    /// It takes too long.
    #[error("{endpoint} does not answer within {} s", CONNECT_TIMEOUT.as_secs())]
    Timeout {
        /// Where.
        endpoint: Endpoint,
    },
    /// What answers is no Chroom node, or it refuses this one.
    #[error("TLS with {endpoint} failed: {source}")]
    Handshake {
        /// Where.
        endpoint: Endpoint,
        /// Why.
        source: io::Error,
    },
    /// Another node answers.
    #[error("at {endpoint}: {source}")]
    WrongNode {
        /// Where.
        endpoint: Endpoint,
        /// Who, and who should.
        source: WrongNode,
    },
}

/// A channel to the node at `endpoint`. Nothing is sent until the first call, which fails with the connection's error in its
/// message; each call after a loss connects anew. If `expected` is given, no other node is talked to.
pub fn connect(identity: &Identity, endpoint: &Endpoint, expected: Option<NodeId>) -> Result<Channel, ConnectError> {
    let dialer = Dialer::new(identity, endpoint, expected)?;
    // The connector knows where to go; gRPC only needs an authority to put into its requests.
    let transport = Channel::builder(Uri::from_static("http://node.chroom"))
        .connect_timeout(2 * CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .http2_max_header_list_size(16 * 1024);
    Ok(transport.connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
        let dialer = dialer.clone();
        async move {
            let dialled = dialer.dial().await;
            if let Err(error) = &dialled {
                tracing::debug!(%error, "cannot connect to a node");
            }
            // gRPC makes it UNAVAILABLE, with the error's text.
            dialled.map(TokioIo::new)
        }
    })))
}

/// Connects once, to learn which node answers at `endpoint`.
pub async fn identify(identity: &Identity, endpoint: &Endpoint) -> Result<NodeId, ConnectError> {
    let stream = Dialer::new(identity, endpoint, None)?.dial().await?;
    node_of_certificates(stream.get_ref().1.peer_certificates()).ok_or_else(|| ConnectError::Handshake {
        endpoint: endpoint.clone(),
        source: io::Error::other("the connection names no node"),
    })
}

#[derive(Clone)]
struct Dialer {
    endpoint: Endpoint,
    connector: TlsConnector,
}

impl Dialer {
    fn new(identity: &Identity, endpoint: &Endpoint, expected: Option<NodeId>) -> Result<Self, ConnectError> {
        if !endpoint.is_well_formed() {
            return Err(ConnectError::Endpoint(endpoint.as_str().to_owned()));
        }
        let connector = TlsConnector::from(Arc::new(identity.client_config(expected)?));
        Ok(Self { endpoint: endpoint.clone(), connector })
    }

    async fn dial(&self) -> Result<TlsStream<TcpStream>, ConnectError> {
        match tokio::time::timeout(CONNECT_TIMEOUT, self.dial_unbounded()).await {
            Ok(dialled) => dialled,
            Err(_) => Err(ConnectError::Timeout { endpoint: self.endpoint.clone() }),
        }
    }

    async fn dial_unbounded(&self) -> Result<TlsStream<TcpStream>, ConnectError> {
        let endpoint = &self.endpoint;
        let unreachable = |source| ConnectError::Unreachable { endpoint: endpoint.clone(), source };
        let stream = TcpStream::connect(endpoint.as_str()).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        // The name is neither sent nor checked: the certificate names the node.
        let name = ServerName::IpAddress(Ipv4Addr::UNSPECIFIED.into());
        self.connector.connect(name, stream).await.map_err(|source| match wrong_node(&source) {
            Some(source) => ConnectError::WrongNode { endpoint: endpoint.clone(), source },
            None => ConnectError::Handshake { endpoint: endpoint.clone(), source },
        })
    }
}

fn wrong_node(error: &io::Error) -> Option<WrongNode> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => other.0.downcast_ref().copied(),
        _ => None,
    }
}
