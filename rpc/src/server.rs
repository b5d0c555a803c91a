//! The answering end: accepts connections from nodes and serves gRPC on them.

use crate::{
    MAX_MESSAGE,
    guests::{Guests, Place},
    network::Network,
    tls::{Identity, Peer, node_of_certificates},
};
use bytes::{Buf, Bytes};
use chroom_primitives::NodeId;
use futures::FutureExt;
use http_body::{Frame, SizeHint};
use std::{
    convert::Infallible,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{
    Status,
    service::Routes,
    transport::{Server, server::Connected},
};
use tower::util::MapRequestLayer;

/// Bounds on what others can make a server do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Connections at once; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Connections at once from one address ([`Network`]: an IPv4 address, an IPv6 /64).
    pub connections_per_address: usize,
    /// Connections at once from one node.
    pub connections_per_node: usize,
    /// Handshakes at once; further connections wait in the kernel's queue.
    pub handshakes: usize,
    /// Handshakes at once with one address; further connections from there are closed, and may come again.
    pub handshakes_per_address: usize,
    /// Time that a handshake may take.
    pub handshake: Duration,
    /// Streams (calls) at once on a connection.
    pub streams: u32,
    /// Time that the head of an answer may take; a stream of answers may go on.
    pub answer: Duration,
    /// Time that calls have to end after the shutdown signal.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1_024,
            connections_per_address: 256,
            connections_per_node: 32,
            handshakes: 128,
            handshakes_per_address: 16,
            handshake: Duration::from_secs(5),
            streams: 128,
            answer: Duration::from_secs(30),
            drain: Duration::from_secs(5),
        }
    }
}

/// The server cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// HTTP/2 failed as a whole, not on one connection.
    #[error("the gRPC server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves `routes` on `listener` until `shutdown`, with the default [`Limits`]. Each request has the extension
/// [`Peer`]; requests are unary, of at most [`MAX_MESSAGE`] bytes.
pub async fn serve(
    listener: TcpListener,
    identity: &Identity,
    routes: Routes,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    serve_with(listener, identity, routes, Limits::default(), shutdown).await
}

/// As [`serve`], with limits of one's own.
pub async fn serve_with(
    listener: TcpListener,
    identity: &Identity,
    routes: Routes,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let stop = CancellationToken::new();
    // Ends the connections' tasks whichever way this function is left.
    let _cut_on_drop = stop.clone().drop_guard();
    let (accepted, incoming) = mpsc::channel(16);
    let accepting = accept(listener, TlsAcceptor::from(identity.server_config()), limits, accepted, stop.clone());
    let shutdown = shutdown.shared_signal();
    let serving = Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(10)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .http2_max_header_list_size(16 * 1024)
        .max_concurrent_streams(limits.streams)
        .timeout(limits.answer)
        .layer(MapRequestLayer::new(cap_request))
        .add_routes(routes)
        .serve_with_incoming_shutdown(ReceiverStream::new(incoming), shutdown.clone());
    let drained = async {
        shutdown.await;
        tokio::time::sleep(limits.drain).await;
    };
    tokio::select! {
        served = serving => served.map_err(ServeError::from),
        () = drained => {
            tracing::debug!("cutting calls that did not end in time");
            Ok(())
        }
        never = accepting => match never {},
    }
}

/// Makes a signal that two can wait for.
trait SharedSignal: Future<Output = ()> + Sized {
    fn shared_signal(self) -> futures::future::Shared<Self> {
        self.shared()
    }
}

impl<F: Future<Output = ()>> SharedSignal for F {}

/// Accepts for ever. A handshake runs in a task of its own, so a slow peer delays nobody.
async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    limits: Limits,
    accepted: mpsc::Sender<Result<Connection, Infallible>>,
    stop: CancellationToken,
) -> Infallible {
    let connections = Arc::new(Semaphore::new(limits.connections));
    let handshakes = Arc::new(Semaphore::new(limits.handshakes));
    let addresses = Guests::new(limits.connections_per_address);
    let greeted = Guests::new(limits.handshakes_per_address);
    let nodes = Guests::new(limits.connections_per_node);
    loop {
        // The semaphores are never closed, so both are always given in the end.
        let (Ok(place), Ok(handshake)) =
            (connections.clone().acquire_owned().await, handshakes.clone().acquire_owned().await)
        else {
            return std::future::pending().await;
        };
        let (stream, address) = match listener.accept().await {
            Ok((stream, from)) => (stream, Network::of(from.ip())),
            Err(error) => {
                // Out of file descriptors, or a connection that was gone at once: neither ends the server.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(of_address) = addresses.admit(address) else {
            tracing::debug!("an address has its share of connections");
            continue;
        };
        // Whoever says nothing holds places of its own address only, and those not for long.
        let Some(of_handshakes) = greeted.admit(address) else {
            tracing::debug!("an address has its share of handshakes");
            continue;
        };
        let (acceptor, accepted, stop, nodes) = (acceptor.clone(), accepted.clone(), stop.clone(), nodes.clone());
        tokio::spawn(async move {
            let greeted = tokio::select! {
                greeted = tokio::time::timeout(limits.handshake, greet(stream, &acceptor)) => greeted,
                () = stop.cancelled() => return,
            };
            drop((handshake, of_handshakes));
            match greeted {
                Ok(Ok((stream, peer))) => {
                    let Some(of_node) = nodes.admit(peer.0) else {
                        tracing::debug!(peer = %peer.0, "a node has its share of connections");
                        return;
                    };
                    tracing::debug!(peer = %peer.0, "a node connected");
                    let cut = Box::pin(stop.cancelled_owned());
                    // Fails only when the server has ended.
                    let _ = accepted
                        .send(Ok(Connection { stream, peer, cut, _places: (place, of_address, of_node) }))
                        .await;
                }
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            }
        });
    }
}

async fn greet(stream: TcpStream, acceptor: &TlsAcceptor) -> io::Result<(TlsStream<TcpStream>, Peer)> {
    stream.set_nodelay(true)?;
    let stream = acceptor.accept(stream).await?;
    let node = node_of_certificates(stream.get_ref().1.peer_certificates())
        .ok_or_else(|| io::Error::other("the connection names no node"))?;
    Ok((stream, Peer(node)))
}

/// A connection from a node. It ends when the server does.
struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    _places: (OwnedSemaphorePermit, Place<Network>, Place<NodeId>),
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// Length of what gRPC puts before a message: a flag and four bytes of length.
const PREFIX: usize = 5;

fn cap_request(request: http::Request<tonic::body::Body>) -> http::Request<tonic::body::Body> {
    request.map(|body| tonic::body::Body::new(Capped { body, left: MAX_MESSAGE + PREFIX }))
}

/// A request's body, cut off where it gets too large, so that no service needs to think of it.
struct Capped {
    body: tonic::body::Body,
    left: usize,
}

impl http_body::Body for Capped {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else { return Poll::Ready(None) };
        let frame = frame?;
        let size = frame.data_ref().map_or(0, Buf::remaining);
        Poll::Ready(Some(match self.left.checked_sub(size) {
            Some(left) => {
                self.left = left;
                Ok(frame)
            }
            None => Err(Status::resource_exhausted(format!(
                "the message is larger than {MAX_MESSAGE} bytes; send less at once"
            ))),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
