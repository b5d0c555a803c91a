//! A connection's coming up: connectivity checks, then the DTLS handshake as its client (RFC 8445, RFC 8842, RFC 5764).

use crate::wire::{
    sdp::Description,
    srtp::{Profile, Srtp},
    stun::{self, TransactionId},
};
use dimpl::{Config, Dtls, DtlsCertificate, Output, SrtpProfile};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Time between checks until one is answered.
const CHECK_EVERY: Duration = Duration::from_millis(200);
/// First wait before a DTLS flight is sent again; browsers' is as short.
const RESEND: Duration = Duration::from_millis(50);
/// How often it is, each time after twice the wait: behind a bad line the first few go astray.
const RESENDS: usize = 8;
/// Longest DTLS message.
const BUFFER: usize = 4_096;

/// Why a connection doesn't come up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// DTLS failed.
    #[error("DTLS: {0}")]
    Dtls(String),
    /// The certificate is not the described one.
    #[error("the SFU's certificate has not the fingerprint that its description names")]
    Fingerprint,
    /// A profile that the generator lacks.
    #[error("the SFU chose SRTP profile {0}; the load needs AES-GCM")]
    Profile(String),
}

/// What both ends of ICE know.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// User name of checks to the SFU.
    pub username: String,
    /// The SFU's password.
    pub remote_password: String,
    /// This side's password.
    pub local_password: String,
    /// The SFU's certificate.
    pub fingerprint: String,
}

impl Credentials {
    /// Out of both descriptions.
    pub fn new(local: &Description, remote: &Description) -> Self {
        Self {
            username: format!("{}:{}", remote.ufrag, local.ufrag),
            remote_password: remote.password.clone(),
            local_password: local.password.clone(),
            fingerprint: remote.fingerprint.clone(),
        }
    }

    /// A check for the SFU.
    pub fn check(&self, id: TransactionId) -> Vec<u8> {
        stun::request(id, &self.username, &self.remote_password, 1)
    }
}

/// Keys of both directions.
pub struct Keys {
    /// What this side sends with.
    pub write: Srtp,
    /// What it receives with.
    pub read: Srtp,
    /// The protection.
    pub profile: Profile,
}

/// The handshake.
pub struct Handshake {
    dtls: Dtls,
    checked: bool,
    next_check: Instant,
    next_timeout: Instant,
    keys: Option<Keys>,
    connected: bool,
}

/// What all clients' handshakes share: one certificate serves them all, as making one costs more than a handshake.
#[derive(Clone)]
pub struct Identity {
    config: Arc<Config>,
    certificate: DtlsCertificate,
}

impl Identity {
    /// A new certificate.
    pub fn new() -> Result<Self, HandshakeError> {
        let failed = |error: &dyn std::fmt::Display| HandshakeError::Dtls(error.to_string());
        let certificate = dimpl::certificate::generate_self_signed_certificate().map_err(|error| failed(&error))?;
        let config = Config::builder().flight_start_rto(RESEND).flight_retries(RESENDS);
        let config = config.build().map_err(|error| failed(&error))?;
        Ok(Self { config: Arc::new(config), certificate })
    }

    /// Its fingerprint, as SDP writes it.
    pub fn fingerprint(&self) -> String {
        self.certificate.fingerprint_str()
    }

    /// The certificate and its key, both in DER.
    pub fn der(&self) -> (&[u8], &[u8]) {
        (&self.certificate.certificate, &self.certificate.private_key)
    }
}

impl Handshake {
    /// Begins.
    pub fn new(identity: &Identity, now: Instant) -> Self {
        let mut dtls = Dtls::new_12(identity.config.clone(), identity.certificate.clone(), now);
        dtls.set_active(true);
        Self { dtls, checked: false, next_check: now, next_timeout: now, keys: None, connected: false }
    }

    /// When [`Handshake::tick`] is to be called.
    pub fn deadline(&self) -> Instant {
        if self.checked { self.next_timeout } else { self.next_check }
    }

    /// A check was answered: the path is there.
    pub fn checked(&mut self, now: Instant) {
        if !self.checked {
            self.checked = true;
            self.next_timeout = now;
        }
    }

    /// Takes in a DTLS datagram.
    pub fn receive(&mut self, datagram: &[u8]) -> Result<(), HandshakeError> {
        self.dtls.handle_packet(datagram).map_err(|error| HandshakeError::Dtls(error.to_string()))
    }

    /// Lets time pass, and sends what there is to send. Returns the keys when it is done.
    pub fn tick(
        &mut self,
        now: Instant,
        credentials: &Credentials,
        mut send: impl FnMut(&[u8]),
    ) -> Result<Option<Keys>, HandshakeError> {
        if !self.checked {
            if now >= self.next_check {
                self.next_check = now + CHECK_EVERY;
                send(&credentials.check(rand::random()));
            }
            return Ok(None);
        }
        if now >= self.next_timeout {
            self.dtls.handle_timeout(now).map_err(|error| HandshakeError::Dtls(error.to_string()))?;
        }
        let mut buffer = [0; BUFFER];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => send(packet),
                Output::Timeout(at) => {
                    // A timer that doesn't move must not keep the generator busy.
                    self.next_timeout = at.max(now + Duration::from_millis(1));
                    break;
                }
                Output::Connected => self.connected = true,
                Output::PeerCert(der) => {
                    let print = dimpl::certificate::format_fingerprint(&dimpl::certificate::calculate_fingerprint(der));
                    if !print.eq_ignore_ascii_case(&credentials.fingerprint) {
                        return Err(HandshakeError::Fingerprint);
                    }
                }
                Output::KeyingMaterial(material, profile) => {
                    let profile = match profile {
                        SrtpProfile::AEAD_AES_128_GCM => Profile::Gcm128,
                        SrtpProfile::AEAD_AES_256_GCM => Profile::Gcm256,
                        other => return Err(HandshakeError::Profile(other.to_string())),
                    };
                    let pair = Srtp::pair(profile, &material);
                    let (write, read) = pair.map_err(|error| HandshakeError::Dtls(error.to_string()))?;
                    self.keys = Some(Keys { write, read, profile });
                }
                Output::CloseNotify => return Err(HandshakeError::Dtls("closed by the SFU".into())),
                _ => {}
            }
        }
        Ok(if self.connected { self.keys.take() } else { None })
    }
}
