//! The scores document.

use crate::qos::scores::{Scores, WINDOW_MS, Window};
use chroom_primitives::UnixMs;
use serde::Serialize;
use utoipa::ToSchema;

/// The quality that the node gave, by its own figures.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quality {
    /// The node's clock, in Unix milliseconds.
    pub now_ms: u64,
    /// Hours of the last day with calls, the newest first, which goes on; 25 at most.
    pub hours: Vec<Hour>,
}

/// What all sessions had in an hour. Their figures are taken every five seconds, from their receivers' reports.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hour {
    /// Its beginning, in Unix milliseconds.
    pub from_ms: u64,
    /// Its end, in Unix milliseconds.
    pub to_ms: u64,
    /// Seconds of sessions that this is made of.
    pub session_seconds: u64,
    /// Mean score, 0 to 100: the E-model of loss before repair, round-trip time and jitter. What is paid for are callers' receipts.
    #[schema(example = 93.5)]
    pub score: f64,
    /// The score that a tenth of the figures were at or below, in whole points.
    pub lowest_tenth: u8,
    /// Mean fraction lost towards receivers, before repair, 0 to 1.
    pub loss: f64,
    /// Mean round-trip time in milliseconds.
    pub rtt_ms: f64,
    /// Mean jitter in milliseconds.
    pub jitter_ms: f64,
}

/// Makes the document.
pub fn quality(scores: &Scores, now_ms: UnixMs) -> Quality {
    Quality { now_ms, hours: scores.windows(now_ms).map(hour).collect() }
}

/// One window as an hour.
pub fn hour(window: &Window) -> Hour {
    Hour {
        from_ms: window.from_ms,
        to_ms: window.from_ms.saturating_add(WINDOW_MS),
        session_seconds: window.intervals.saturating_mul(5),
        score: window.score(),
        lowest_tenth: window.quantile(10),
        loss: window.loss(),
        rtt_ms: window.rtt_ms(),
        jitter_ms: window.jitter_ms(),
    }
}
