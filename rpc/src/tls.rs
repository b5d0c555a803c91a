//! Mutual TLS between node identities.
//!
//! Each process makes a P-256 key and a self-signed certificate; the node's own key vouches for them in the libp2p
//! extension (libp2p's TLS specification, <https://github.com/libp2p/specs/blob/master/tls/tls.md>). So a connection
//! names the nodes at both ends without any authority, and the node's key never enters the TLS stack.
//! TLS 1.3 only, HTTP/2 only, no resumption: each connection shows its certificate anew.

use chroom_primitives::NodeId;
use chroom_wallet::{Wallet, node_id_of_peer_id};
use libp2p_tls::certificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, OtherError, PeerIncompatible,
    ServerConfig, SignatureScheme,
    client::{
        ResolvesClientCert, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{
        ClientHello, NoServerSessionStorage, ResolvesServerCert,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
    version::TLS13,
};
use std::{fmt, sync::Arc};

/// The only application protocol that is spoken: HTTP/2 (RFC 9113 §3.2).
const ALPN: &[u8] = b"h2";

/// The node at the other end of a connection: an extension of each request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Peer(pub NodeId);

impl Peer {
    /// The node that sent a request. Each request that [`crate::server::serve`] hands over has one; the status is for
    /// those that came another way.
    pub fn of<T>(request: &tonic::Request<T>) -> Result<NodeId, tonic::Status> {
        match request.extensions().get::<Peer>() {
            Some(peer) => Ok(peer.0),
            None => Err(tonic::Status::unauthenticated("the connection names no node")),
        }
    }
}

/// What a process shows of its node's identity in TLS: made once at start, cheap to clone.
#[derive(Clone)]
pub struct Identity {
    node: NodeId,
    certificate: Arc<CertifiedKey>,
    provider: Arc<CryptoProvider>,
    server: Arc<ServerConfig>,
}

/// No TLS identity can be made.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The certificate cannot be made.
    #[error("cannot make the TLS certificate: {0}")]
    Certificate(#[from] certificate::GenError),
    /// The TLS library refuses the parameters.
    #[error("cannot set TLS up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Another node answers than the one that was called.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{found} answers there, not {expected}")]
pub struct WrongNode {
    /// Who was called.
    pub expected: NodeId,
    /// Who answers.
    pub found: NodeId,
}

impl Identity {
    /// Makes a certificate that the wallet's key vouches for.
    pub fn new(wallet: &Wallet) -> Result<Self, IdentityError> {
        let (certificate, key) = certificate::generate(&wallet.libp2p_keypair())?;
        let provider = Arc::new(ring::default_provider());
        let certificate = Arc::new(CertifiedKey::new(vec![certificate], ring::sign::any_ecdsa_type(&key)?));
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(Arc::new(NodeVerifier { expected: None }))
            .with_cert_resolver(Arc::new(OwnCertificate(certificate.clone())));
        server.alpn_protocols = vec![ALPN.to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok(Self { node: wallet.node_id(), certificate, provider, server: Arc::new(server) })
    }

    /// The node that this is the identity of.
    pub fn node_id(&self) -> NodeId {
        self.node
    }

    /// TLS for accepting connections from any node.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.server.clone()
    }

    /// TLS for QUIC connections from any node, which speak this application protocol on them.
    pub fn quic_server_config(&self, protocol: &[u8]) -> ServerConfig {
        let mut server = ServerConfig::clone(&self.server);
        server.alpn_protocols = vec![protocol.to_vec()];
        server
    }

    /// TLS for a QUIC connection to the node `expected`.
    pub fn quic_client_config(&self, expected: NodeId, protocol: &[u8]) -> Result<ClientConfig, rustls::Error> {
        let mut client = self.client_config(Some(expected))?;
        client.alpn_protocols = vec![protocol.to_vec()];
        Ok(client)
    }

    /// TLS for calling a node: `expected`, or whoever answers.
    pub fn client_config(&self, expected: Option<NodeId>) -> Result<ClientConfig, rustls::Error> {
        let mut client = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(NodeVerifier { expected }))
            .with_client_cert_resolver(Arc::new(OwnCertificate(self.certificate.clone())));
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.resumption = Resumption::disabled();
        client.enable_sni = false;
        Ok(client)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("node", &self.node).finish_non_exhaustive()
    }
}

/// The node that a verified connection's certificates name.
pub fn node_of_certificates(certificates: Option<&[CertificateDer<'_>]>) -> Option<NodeId> {
    match certificates {
        Some([certificate]) => node_of_certificate(certificate).ok(),
        _ => None,
    }
}

fn node_of_certificate(certificate: &CertificateDer<'_>) -> Result<NodeId, rustls::Error> {
    let parsed = certificate::parse(certificate)?;
    node_id_of_peer_id(&parsed.peer_id())
        .ok_or_else(|| rustls::Error::General("the certificate's host key is not secp256k1".into()))
}

/// Checks that a certificate is one of a node, and of which.
#[derive(Debug)]
struct NodeVerifier {
    expected: Option<NodeId>,
}

impl NodeVerifier {
    fn verify(&self, certificate: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Result<(), rustls::Error> {
        if !others.is_empty() {
            return Err(rustls::Error::General("a node shows exactly one certificate".into()));
        }
        let found = node_of_certificate(certificate)?;
        match self.expected {
            Some(expected) if expected != found => {
                Err(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(WrongNode {
                    expected,
                    found,
                })))))
            }
            _ => Ok(()),
        }
    }
}

fn verify_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    certificate::parse(certificate)?.verify_signature(signature.scheme, message, signature.signature())?;
    Ok(HandshakeSignatureValid::assertion())
}

const NO_TLS12: rustls::Error = rustls::Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered);

impl ServerCertVerifier for NodeVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verify(end_entity, intermediates)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(NO_TLS12)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

impl ClientCertVerifier for NodeVerifier {
    fn client_auth_mandatory(&self) -> bool {
        true
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.verify(end_entity, intermediates)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(NO_TLS12)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// Shows the one certificate, whatever is asked.
#[derive(Debug)]
struct OwnCertificate(Arc<CertifiedKey>);

impl ResolvesClientCert for OwnCertificate {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl ResolvesServerCert for OwnCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_names_its_node() {
        let wallet = Wallet::generate();
        let identity = Identity::new(&wallet).unwrap();
        assert_eq!(node_of_certificates(Some(&identity.certificate.cert)), Some(wallet.node_id()));
        assert_eq!(node_of_certificates(Some(&[])), None);
        assert_eq!(node_of_certificates(None), None);
    }

    #[test]
    fn an_altered_certificate_never_names_another_node() {
        let wallet = Wallet::generate();
        let identity = Identity::new(&wallet).unwrap();
        let original = identity.certificate.cert[0].as_ref().to_vec();
        // What is signed: the second SEQUENCE, whose length is in the two bytes after 30 82.
        assert_eq!(original[4..6], [0x30, 0x82]);
        let signed = 4..8 + usize::from(u16::from_be_bytes([original[6], original[7]]));
        for position in 0..original.len() {
            let mut altered = original.clone();
            altered[position] ^= 1;
            match node_of_certificate(&CertificateDer::from(altered)) {
                Err(_) => {}
                // The wrapping around the signed part may be written in more ways than one.
                Ok(node) => assert!(node == wallet.node_id() && !signed.contains(&position), "byte {position}"),
            }
        }
    }

    #[test]
    fn a_certificate_of_another_kind_of_key_is_refused() {
        let key = libp2p_identity::Keypair::generate_ed25519();
        let (certificate, _) = certificate::generate(&key).unwrap();
        assert!(node_of_certificate(&certificate).unwrap_err().to_string().contains("secp256k1"));
    }
}
