//! The protocol between Chroom's services: gRPC over HTTP/2, with mutual TLS between node identities.
//!
//! [`tls`] makes a connection name the node at its other end; [`server`] and [`channel`] are the two ends; [`v1`] is the
//! code generated from `proto/`. [`receipt`] holds what callers sign, [`telemetry`] what every service does alike: logs,
//! metrics, the end on a signal. [`guests`] and [`network`] keep one guest from taking every place,
//! and [`dashboard`] keeps dashboards to metrics that exist.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

pub mod address;
pub mod channel;
pub mod dashboard;
pub mod guests;
pub mod network;
pub mod receipt;
pub mod server;
pub mod telemetry;
pub mod tls;

/// Messages and services of `proto/chroom/v1`, as generated.
#[allow(missing_docs, clippy::all, clippy::indexing_slicing, clippy::unwrap_used, clippy::panic)]
pub mod v1 {
    tonic::include_proto!("chroom.v1");
}

/// The registry's two services.
pub mod registry {
    pub use crate::v1::{
        qos_client::QosClient,
        qos_server::{Qos, QosServer},
        registry_client::RegistryClient,
        registry_server::{Registry, RegistryServer},
    };
}

/// The media node's service.
pub mod media {
    pub use crate::v1::{
        media_client::MediaClient,
        media_server::{Media, MediaServer},
    };
}

pub use address::{AddressError, NodeAddress};

/// Largest message in bytes, either way.
pub const MAX_MESSAGE: usize = 1024 * 1024;
