//! The stream of events to one orchestrator.

use super::Admission;
use crate::{
    health::Health,
    sfu::event::{Event, Occurrence},
};
use chroom_primitives::NodeId;
use chroom_rpc::v1::{self, media_event};
use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// Pause between heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Events that wait for a slow orchestrator before its stream is ended.
pub const QUEUE: usize = 1_024;

/// An event with the orchestrator that has its room.
pub type Owned = (NodeId, Event);

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |passed| u64::try_from(passed.as_millis()).unwrap_or(u64::MAX))
}

fn heartbeat(health: &Health) -> v1::MediaEvent {
    let heartbeat = v1::Heartbeat { unix_ms: now_ms(), accepting: health.closed().is_none() };
    v1::MediaEvent { room: String::new(), session: Vec::new(), event: Some(media_event::Event::Heartbeat(heartbeat)) }
}

/// An event as it goes over the wire.
pub fn message(event: &Event) -> v1::MediaEvent {
    let body = match &event.occurrence {
        Occurrence::Connected => media_event::Event::Connected(v1::SessionConnected {}),
        Occurrence::Closed(reason) => media_event::Event::Closed(v1::SessionClosed { reason: reason.to_string() }),
        Occurrence::TrackStarted { track, kind, layers } => media_event::Event::TrackStarted(v1::TrackStarted {
            track: track.to_string(),
            kind: kind.as_str().to_owned(),
            layers: layers.iter().map(ToString::to_string).collect(),
        }),
        Occurrence::TrackStopped(track) => {
            media_event::Event::TrackStopped(v1::TrackStopped { track: track.to_string() })
        }
        Occurrence::LayersWanted { track, layers, paused } => media_event::Event::LayersWanted(v1::LayersWanted {
            track: track.to_string(),
            layers: layers.iter().map(ToString::to_string).collect(),
            paused: *paused,
        }),
        Occurrence::VideosPaused(tracks) => media_event::Event::VideosPaused(v1::VideosPaused {
            tracks: tracks.iter().map(ToString::to_string).collect(),
        }),
        Occurrence::ParentLost(node, standby) => media_event::Event::ParentLost(v1::ParentLost {
            node: node.0.to_vec(),
            standby: standby.map(|node| node.0.to_vec()).unwrap_or_default(),
        }),
        Occurrence::ParentPoor(node) => media_event::Event::ParentPoor(v1::ParentPoor { node: node.0.to_vec() }),
        Occurrence::RecordingEnded(recording, reason) => {
            let (recording, reason) = (recording.clone(), reason.clone());
            media_event::Event::RecordingEnded(v1::RecordingEnded { recording, reason })
        }
        Occurrence::Speakers(participants) => media_event::Event::Speakers(v1::ActiveSpeakers {
            participants: participants.iter().map(ToString::to_string).collect(),
        }),
    };
    v1::MediaEvent {
        room: event.room.to_string(),
        session: event.session.map(|session| session.0.to_vec()).unwrap_or_default(),
        event: Some(body),
    }
}

/// Sends `caller` the events of its rooms and heartbeats, until it goes, falls behind, is out of service, or the node stops. What is queued when the
/// node stops is still sent.
pub async fn pump(
    caller: NodeId,
    admission: Admission,
    health: Arc<Health>,
    mut events: broadcast::Receiver<Owned>,
    out: mpsc::Sender<Result<v1::MediaEvent, Status>>,
    stop: CancellationToken,
) {
    let mut beat = tokio::time::interval(HEARTBEAT);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let next = tokio::select! {
            biased;
            event = events.recv() => match event {
                Ok((owner, event)) if owner == caller => message(&event),
                Ok(_) => continue,
                Err(broadcast::error::RecvError::Lagged(lost)) => {
                    tracing::warn!(%caller, lost, "an orchestrator is too slow for its events");
                    let _ = out.try_send(Err(Status::data_loss(format!("{lost} events were lost: subscribe anew and compare Stats"))));
                    return;
                }
                Err(broadcast::error::RecvError::Closed) => return,
            },
            _ = beat.tick() => {
                if let Some(reason) = admission.reason(&caller, false) {
                    tracing::warn!(%caller, reason, "stream of events ended");
                    let _ = out.try_send(Err(Status::permission_denied(format!("{caller} {reason}"))));
                    return;
                }
                heartbeat(&health)
            }
            () = out.closed() => return,
            () = stop.cancelled() => {
                let _ = out.try_send(Err(Status::unavailable("the node is stopping")));
                return;
            }
        };
        if let Err(error) = out.try_send(Ok(next)) {
            if matches!(error, mpsc::error::TrySendError::Full(_)) {
                tracing::warn!(%caller, "an orchestrator doesn't read its events");
            }
            return;
        }
    }
}
