//! QUIC as pipes use it (RFC 9000, datagrams by RFC 9221).

use super::congestion::MediaWindows;
use chroom_primitives::NodeId;
use chroom_rpc::tls::Identity;
use quinn_proto::{
    AckFrequencyConfig, ClientConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt,
    crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig},
};
use std::{sync::Arc, time::Duration};

/// The application protocol's name in TLS; the version is told in the hello.
pub const PROTOCOL: &[u8] = b"chroom-pipe";
/// Datagrams that wait for the congestion window, in bytes; beyond, the oldest are dropped, for they would come too late.
const DATAGRAM_QUEUE: usize = 2 * 1024 * 1024;
/// Received datagrams that wait, in bytes.
const DATAGRAM_BUFFER: usize = 8 * 1024 * 1024;
/// Control bytes in flight.
const CONTROL_WINDOW: u32 = 1024 * 1024;
/// Packets of which one in so many is acknowledged at once; the others within [`ACK_DELAY`].
const ACK_EVERY: u32 = 20;
const ACK_DELAY: Duration = Duration::from_millis(10);

/// The TLS library refuses.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The parameters.
    #[error("cannot set TLS for pipes up: {0}")]
    Tls(#[from] rustls::Error),
    /// QUIC's first packets can't be protected.
    #[error("cannot set QUIC up: {0}")]
    Suite(#[from] NoInitialCipherSuite),
}

fn transport() -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(ACK_EVERY)).max_ack_delay(Some(ACK_DELAY));
    transport
        .max_idle_timeout(IdleTimeout::try_from(super::QUIC_IDLE).ok())
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(CONTROL_WINDOW))
        .receive_window(VarInt::from_u32(2 * CONTROL_WINDOW))
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER))
        .datagram_send_buffer_size(DATAGRAM_QUEUE)
        .congestion_controller_factory(Arc::new(MediaWindows))
        .ack_frequency_config(Some(acks));
    Arc::new(transport)
}

/// For connections from other nodes.
pub fn server(identity: &Identity) -> Result<Arc<ServerConfig>, SettingsError> {
    let crypto = QuicServerConfig::try_from(identity.quic_server_config(PROTOCOL))?;
    let mut server = ServerConfig::with_crypto(Arc::new(crypto));
    server.transport_config(transport()).migration(false).max_incoming(64);
    Ok(Arc::new(server))
}

/// For a connection to a node.
pub fn client(identity: &Identity, node: NodeId) -> Result<ClientConfig, SettingsError> {
    let crypto = QuicClientConfig::try_from(identity.quic_client_config(node, PROTOCOL)?)?;
    let mut client = ClientConfig::new(Arc::new(crypto));
    client.transport_config(transport());
    Ok(client)
}
