//! STUN and TURN servers: whether they answer, relay, and reach a media node.

use super::{
    finding::{Check, Finding},
    ice_server::{Credentials, ServerUrl, Transport},
    turn::{Exchange, Next, Peer, Relay, TurnError},
    udp::{self, Heard},
};
use crate::fetch::{certificate_error, tls_config};
use rustls::pki_types::ServerName;
use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UdpSocket, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// Pauses after each datagram without an answer (RFC 8489 §6.2.1).
const PAUSES: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];
/// What a whole exchange may take, beside the limit of its parts: a server that talks on has to be left some time.
const WHOLE: Duration = Duration::from_secs(20);
/// Bytes of a STUN header.
const HEADER: usize = 20;

/// A server was of no use.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// Its name leads nowhere.
    #[error("its name leads to no address: {0}")]
    Name(String),
    /// It can't be reached.
    #[error("cannot reach it: {0}")]
    Unreachable(io::Error),
    /// Its certificate is no good.
    #[error("its certificate is no good: {0}")]
    Certificate(String),
    /// It says nothing.
    #[error("it does not answer")]
    Silent,
    /// It refuses, or is no TURN server.
    #[error(transparent)]
    Turn(#[from] TurnError),
}

/// Has a server relay something to `peer`, or only asks it for a relay.
pub async fn relay(
    server: &ServerUrl,
    credentials: Credentials,
    peer: Option<SocketAddr>,
    limit: Duration,
) -> Result<Relay, RelayError> {
    let address = address_of(server).await?;
    let exchange = Exchange::new(credentials, peer, rand::random)?;
    match server.transport {
        Transport::Udp | Transport::Dtls => over_datagrams(address, exchange).await,
        Transport::Tcp | Transport::Tls => {
            let dialled = timeout(limit, TcpStream::connect(address))
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            let stream = dialled.map_err(RelayError::Unreachable)?;
            if server.transport == Transport::Tcp {
                return over_stream(stream, exchange, limit).await;
            }
            let stream = timeout(limit, secured(server, stream)).await.map_err(|_| RelayError::Silent)??;
            over_stream(stream, exchange, limit).await
        }
    }
}

async fn address_of(server: &ServerUrl) -> Result<SocketAddr, RelayError> {
    let found = lookup_host((server.host.as_str(), server.port)).await;
    let mut addresses = found.map_err(|error| RelayError::Name(error.to_string()))?;
    addresses.next().ok_or_else(|| RelayError::Name("none".into()))
}

async fn secured(
    server: &ServerUrl,
    stream: TcpStream,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, RelayError> {
    let broken = |error: &dyn std::fmt::Display| RelayError::Unreachable(io::Error::other(error.to_string()));
    let config = tls_config().map_err(|error| broken(&error))?;
    let name = ServerName::try_from(server.host.clone()).map_err(|error| broken(&error))?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| match certificate_error(&error) {
        Some(reason) => RelayError::Certificate(reason),
        None => RelayError::Unreachable(error),
    })
}

async fn over_datagrams(to: SocketAddr, mut exchange: Exchange) -> Result<Relay, RelayError> {
    let any = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await.map_err(RelayError::Unreachable)?;
    socket.connect(to).await.map_err(RelayError::Unreachable)?;
    let mut buffer = [0; 1_500];
    'message: loop {
        for pause in PAUSES {
            socket.send(exchange.current()).await.map_err(RelayError::Unreachable)?;
            let until = tokio::time::Instant::now() + pause;
            while let Ok(received) = tokio::time::timeout_at(until, socket.recv(&mut buffer)).await {
                let size = received.map_err(RelayError::Unreachable)?;
                match exchange.take(buffer.get(..size).unwrap_or_default())? {
                    Next::Wait => {}
                    Next::Send => continue 'message,
                    Next::Done(relay) => {
                        let _ = socket.send(exchange.current()).await;
                        return Ok(relay);
                    }
                }
            }
        }
        match exchange.give_up() {
            Some(Next::Done(relay)) => {
                let _ = socket.send(exchange.current()).await;
                return Ok(relay);
            }
            _ => return Err(RelayError::Silent),
        }
    }
}

async fn over_stream<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    mut exchange: Exchange,
    limit: Duration,
) -> Result<Relay, RelayError> {
    stream.write_all(exchange.current()).await.map_err(RelayError::Unreachable)?;
    loop {
        let next = match timeout(limit, message(&mut stream)).await {
            Ok(message) => exchange.take(&message.map_err(RelayError::Unreachable)?)?,
            Err(_) => exchange.give_up().ok_or(RelayError::Silent)?,
        };
        if next == Next::Wait {
            continue;
        }
        stream.write_all(exchange.current()).await.map_err(RelayError::Unreachable)?;
        if let Next::Done(relay) = next {
            let _ = stream.shutdown().await;
            return Ok(relay);
        }
    }
}

/// A message of a stream: its header tells its length (RFC 8489 §6.2.2).
async fn message<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Vec<u8>> {
    let mut message = vec![0; HEADER];
    stream.read_exact(&mut message).await?;
    let length = message.get(2..4).map_or(0, |bytes| bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)));
    message.resize(HEADER + length, 0);
    stream.read_exact(message.get_mut(HEADER..).unwrap_or_default()).await?;
    Ok(message)
}

/// Looks at a server, and through it at `peer`, a media node.
pub async fn examine(
    server: &ServerUrl,
    credentials: Option<Credentials>,
    peer: Option<SocketAddr>,
    limit: Duration,
) -> Finding {
    if server.transport == Transport::Dtls {
        let advice = "few clients speak it: hand out turns: over TCP";
        return Finding::warn(Check::Turn, server, "TURN over DTLS is not looked at", advice);
    }
    if !server.relays {
        return match address_of(server).await {
            Ok(address) => judge_stun(server, &udp::ask(address).await),
            Err(error) => judge(server, &Err(error)),
        };
    }
    let Some(credentials) = credentials else {
        let advice = "the orchestrator's --turn-secret-file makes them";
        return Finding::fail(Check::Turn, server, "it was handed out without credentials", advice);
    };
    let relayed = timeout(WHOLE + limit, relay(server, credentials, peer, limit)).await;
    judge(server, &relayed.unwrap_or(Err(RelayError::Silent)))
}

fn judge_stun(server: &ServerUrl, heard: &Heard) -> Finding {
    match heard {
        Heard::Answer { mapped, .. } => {
            let seen = mapped.map(|mapped| mapped.to_string()).unwrap_or_default();
            Finding::ok(Check::Turn, server, format!("sees this machine as {seen}"))
        }
        Heard::Refused => Finding::fail(Check::Turn, server, "nobody listens there", "is the server running?"),
        Heard::Silence => Finding::fail(Check::Turn, server, "it does not answer", "open its UDP port"),
        Heard::Unsent(error) => Finding::fail(Check::Turn, server, error, "is there a way from here to it?"),
    }
}

/// Judges what became of asking for a relay.
fn judge(server: &ServerUrl, result: &Result<Relay, RelayError>) -> Finding {
    let check = Check::Turn;
    let error = match result {
        Ok(relay) => return judge_relay(server, relay),
        Err(error) => error,
    };
    let advice = match error {
        RelayError::Name(_) => "correct its name: --turn-url of the orchestrator".to_owned(),
        RelayError::Certificate(_) => "renew the TURN server's certificate, for the name in the URL".to_owned(),
        RelayError::Unreachable(_) | RelayError::Silent => {
            format!("is it running, and its port {} open for {}?", server.port, server.transport)
        }
        RelayError::Turn(TurnError::Refused { code: 401 | 441, .. } | TurnError::Forged) => {
            "its secret differs from the orchestrator's (static-auth-secret, --turn-secret-file), or its clock is far off".to_owned()
        }
        RelayError::Turn(TurnError::Refused { code: 440, .. }) => "give it an address of the media node's family".to_owned(),
        RelayError::Turn(TurnError::Refused { code: 486 | 508, .. }) => {
            "it is full: raise its quota (user-quota, total-quota) or its range of ports".to_owned()
        }
        RelayError::Turn(_) => "is it a TURN server (RFC 8656) with long-term credentials?".to_owned(),
    };
    let found = match error {
        RelayError::Turn(error @ TurnError::Refused { .. }) => format!("it refuses: {error}"),
        error => error.to_string(),
    };
    Finding::fail(check, server, found, advice)
}

fn judge_relay(server: &ServerUrl, relay: &Relay) -> Finding {
    let (check, at) = (Check::Turn, relay.relayed);
    match &relay.peer {
        None => Finding::ok(check, server, format!("relays from {at}")),
        Some(Peer::Answered) => {
            Finding::ok(check, server, format!("relays from {at}, and the media node answers through it"))
        }
        Some(Peer::Silent) => Finding::fail(
            check,
            server,
            format!("relays from {at}, but the media node does not answer through it"),
            "let UDP out of the TURN server's range of ports; is its --external-ip right?",
        ),
        Some(Peer::Forbidden(code, reason)) => Finding::fail(
            check,
            server,
            format!("relays from {at}, but may not to the media node: {code} {reason}"),
            "take the media node's address out of what the server denies (denied-peer-ip, no-loopback-peers)",
        ),
    }
}
