//! The keys that the DTLS handshake agrees on, for a sender beside the engine's own.
//!
//! The engine keeps them to itself, but lets its DTLS implementation be exchanged. [`Tap`] wraps the one in use and notes the keying
//! material (RFC 5764 §4.2) as it goes by.

use std::{
    cell::RefCell,
    sync::{Arc, OnceLock},
    time::Instant,
};
use str0m::config::{CryptoProvider, DtlsCert, DtlsVersion, KeyingMaterial};
use str0m::crypto::{
    CryptoError,
    dtls::{DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, ProtocolVersion, SrtpProfile},
};

/// What a handshake agreed on.
pub struct Keys {
    /// The protection profile.
    pub profile: SrtpProfile,
    /// Both sides' keys and salts, the DTLS client's first.
    pub material: KeyingMaterial,
    /// Whether this side was the DTLS client.
    pub active: bool,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("profile", &self.profile).finish_non_exhaustive()
    }
}

/// Where a connection's keys are once its handshake is over.
pub type KeySlot = Arc<OnceLock<Keys>>;

thread_local! {
    /// The slot of the connection that was made last on this thread: the engine makes a connection's DTLS instance while it makes the
    /// connection, and has no place to hand the slot through.
    static LAST: RefCell<Option<KeySlot>> = const { RefCell::new(None) };
}

/// A DTLS implementation that lets the keys be known.
#[derive(Debug)]
struct Tap {
    inner: &'static dyn DtlsProvider,
}

/// The provider with its DTLS implementation wrapped. Made once and never freed, since the engine wants it for ever.
pub fn tapped(provider: CryptoProvider) -> CryptoProvider {
    static TAP: OnceLock<Tap> = OnceLock::new();
    let inner = provider.dtls_provider;
    CryptoProvider { dtls_provider: TAP.get_or_init(|| Tap { inner }), ..provider }
}

/// The slot of the connection that was made last on this thread with a [`tapped`] provider.
pub fn take_slot() -> Option<KeySlot> {
    LAST.with(|last| last.borrow_mut().take())
}

impl DtlsProvider for Tap {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        self.inner.generate_certificate()
    }

    fn new_dtls(
        &self,
        certificate: &DtlsCert,
        now: Instant,
        version: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        let inner = self.inner.new_dtls(certificate, now, version, mtu)?;
        let slot = KeySlot::default();
        LAST.with(|last| last.replace(Some(slot.clone())));
        Ok(Box::new(Tapped { inner, slot }))
    }
}

#[derive(Debug)]
struct Tapped {
    inner: Box<dyn DtlsInstance>,
    slot: KeySlot,
}

impl DtlsInstance for Tapped {
    fn set_active(&mut self, active: bool) {
        self.inner.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.inner.handle_packet(packet)
    }

    fn poll_output<'a>(&mut self, buffer: &'a mut [u8]) -> DtlsOutput<'a> {
        let active = self.inner.is_active();
        let output = self.inner.poll_output(buffer);
        if let DtlsOutput::KeyingMaterial(material, profile) = &output {
            let material = KeyingMaterial::new(material);
            // A session is one handshake: the first keys are its keys.
            let _ = self.slot.set(Keys { profile: *profile, material, active });
        }
        output
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.inner.handle_timeout(now)
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        self.inner.send_application_data(data)
    }

    fn is_active(&self) -> bool {
        self.inner.is_active()
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.inner.protocol_version()
    }

    fn is_closing(&self) -> bool {
        self.inner.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        self.inner.close()
    }
}
