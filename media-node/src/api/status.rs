//! The status document.

use super::{
    ApiState,
    quality::{self, Hour},
};
use crate::{
    health::{Closed, Registered},
    place::Place,
    rpc::events::now_ms,
};
use chroom_primitives::CapacityClass;
use serde::Serialize;
use utoipa::ToSchema;

/// Everything public about the node.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The node's id: its EVM address.
    #[schema(example = "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf")]
    pub node: String,
    /// Software version.
    pub version: String,
    /// The node's clock, in Unix milliseconds.
    pub now_ms: u64,
    /// Where clients send media: address and UDP port.
    #[schema(example = "203.0.113.7:7500")]
    pub media: String,
    /// Where other media nodes' pipes end: address and UDP port.
    #[schema(example = "203.0.113.7:7700")]
    pub pipes: String,
    /// Health.
    pub health: HealthStatus,
    /// Where it says that it is.
    pub place: Place,
    /// What it carries.
    pub usage: Usage,
    /// What goes through its line.
    pub bandwidth: Bandwidth,
    /// What it may carry.
    pub limits: Limits,
    /// The quality in the newest hour with calls, by its own figures; `/v1/scores` has the day.
    pub quality: Option<Hour>,
    /// How the chain has it.
    pub registration: RegistrationStatus,
    /// How the register has it.
    pub registry: RegistryStatus,
}

/// Health.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthStatus {
    /// Whether new sessions are taken.
    pub accepting: bool,
    /// Why not.
    pub reason: Option<Closed>,
    /// Seconds since the start.
    pub uptime_seconds: u64,
}

/// What the node carries.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Live rooms.
    pub rooms: u32,
    /// Live sessions.
    pub sessions: u32,
    /// Published tracks.
    pub tracks: u32,
    /// Share of what it can compute, 0 to 1: of the machine, or of the busiest media thread if that is more.
    pub cpu: f64,
}

/// What goes through the line.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bandwidth {
    /// Ingress in kb/s.
    pub ingress_kbps: u32,
    /// Egress in kb/s.
    pub egress_kbps: u32,
    /// Fraction of packets lost towards receivers, before repair, 0 to 1.
    pub loss: f64,
    /// Mean round-trip time to receivers in milliseconds.
    pub rtt_ms: u32,
}

/// What the node may carry.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Egress in kb/s.
    pub egress_kbps: u32,
    /// Sessions.
    pub sessions: u32,
    /// Sessions in a room.
    pub room_sessions: usize,
    /// Tracks of a session.
    pub session_tracks: usize,
    /// Bytes of a data message.
    pub message_bytes: usize,
}

/// How the chain has the node.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationStatus {
    /// In service, draining or not.
    pub status: Registered,
    /// Capacity class.
    #[schema(value_type = String, example = "small")]
    pub class: CapacityClass,
    /// Where orchestrators reach it.
    pub endpoint: String,
    /// Bond in the smallest unit, as text.
    pub bond: Option<String>,
    /// Price in the smallest unit per GiB, as text.
    pub price_per_gib: Option<String>,
    /// Finalised block that this is as of.
    pub block: u32,
    /// QoS epoch at that block.
    pub epoch: u32,
}

/// How the register has the node.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegistryStatus {
    /// The registry node that took its record.
    pub node: Option<String>,
    /// When, in Unix milliseconds.
    pub joined_ms: Option<u64>,
    /// When its load was last taken, in Unix milliseconds.
    pub reported_ms: Option<u64>,
    /// The last refusal or failure, until something succeeds.
    pub error: Option<String>,
}

/// Makes the document.
pub fn status(state: &ApiState) -> Status {
    use crate::sfu::limits;
    let health = &state.health;
    let (load, closed) = (health.load(), health.closed());
    let membership = state.membership.borrow().clone();
    let registration = membership.get(&state.node);
    let presence = state.presence.lock().clone();
    Status {
        node: state.node.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        now_ms: now_ms(),
        media: state.media.to_string(),
        pipes: state.pipes.to_string(),
        health: HealthStatus {
            accepting: closed.is_none(),
            reason: closed,
            uptime_seconds: health.started.elapsed().as_secs(),
        },
        place: state.place.clone(),
        usage: Usage {
            rooms: load.totals.rooms,
            sessions: load.totals.sessions,
            tracks: load.totals.tracks,
            cpu: f64::from(load.cpu) / 10_000.0,
        },
        bandwidth: Bandwidth {
            ingress_kbps: load.ingress_kbps,
            egress_kbps: load.egress_kbps,
            loss: f64::from(load.loss) / 10_000.0,
            rtt_ms: load.rtt_ms,
        },
        limits: Limits {
            egress_kbps: health.egress_limit_kbps,
            sessions: health.max_sessions,
            room_sessions: limits::MAX_ROOM_SESSIONS,
            session_tracks: limits::MAX_TRACKS,
            message_bytes: limits::MAX_MESSAGE,
        },
        quality: state.scores.lock().windows(now_ms()).next().map(quality::hour),
        registration: RegistrationStatus {
            status: health.registered(),
            class: state.class,
            endpoint: state.rpc.clone(),
            bond: registration.map(|registration| registration.bond.to_string()),
            price_per_gib: registration.map(|registration| registration.price_per_gib.to_string()),
            block: membership.block,
            epoch: membership.epoch.current.0,
        },
        registry: RegistryStatus {
            node: presence.registry.map(|node| node.to_string()),
            joined_ms: presence.joined_ms,
            reported_ms: presence.reported_ms,
            error: presence.error,
        },
    }
}
