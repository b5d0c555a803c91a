//! Bridges: begun where a receiver lacks its publisher's codec.

use super::{
    super::{
        bridge::{self, BridgeJob},
        video::VideoCodec,
    },
    Interest, Job, NewJob, Reservation, Studio, StudioError, cost,
};
use crate::sfu::{
    codec::Codec,
    resident::{self, Lacking},
};
use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// How often it is looked for receivers who lack a codec.
const BRIDGES: Duration = Duration::from_secs(1);
/// So long a bridge that was refused isn't tried again.
const RETRY: Duration = Duration::from_secs(10);

impl Studio {
    /// Looks after those who lack a publisher's codec, until `stop`.
    pub async fn bridge(self: Arc<Self>, stop: CancellationToken) {
        let mut tick = tokio::time::interval(BRIDGES);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut refused: HashMap<Lacking, Instant> = HashMap::new();
        while !self.workers.is_empty() {
            tokio::select! {
                _ = tick.tick() => {}
                () = stop.cancelled() => return,
            }
            let Ok(lacking) = self.sfu.lacking().await else { continue };
            refused.retain(|_, at| at.elapsed() < RETRY);
            self.bridges.lock().retain(|_, state| !state.over.load(Ordering::Relaxed));
            for wanted in lacking {
                if refused.contains_key(&wanted) || self.bridges.lock().contains_key(&wanted) {
                    continue;
                }
                if let Err(error) = self.begin_bridge(&wanted).await {
                    let Lacking { room, track, knows } = &wanted;
                    tracing::info!(%room, %track, ?knows, %error, "a receiver's codec is not bridged");
                    refused.insert(wanted, Instant::now());
                }
            }
        }
    }

    async fn begin_bridge(&self, wanted: &Lacking) -> Result<(), StudioError> {
        let Some(to) = VideoCodec::of(wanted.knows) else { return Ok(()) };
        // As large as there is time for.
        let mut found = Err(StudioError::Off);
        for height in bridge::HEIGHTS {
            found = self.reserve(cost::bridge(to, height)).map(|place| (height, place));
            if found.is_ok() {
                break;
            }
        }
        let (max_height, place) = found?;
        let new = NewJob {
            name: "~bridge",
            interest: Interest::One(wanted.track.clone(), max_height),
            codecs: &[Codec::Vp8, Codec::H264],
            place,
        };
        let track = resident::bridged(&wanted.track, wanted.knows);
        let make = move |now, _: &Reservation| Ok(Box::new(BridgeJob::new(now, to, track, max_height)) as Box<dyn Job>);
        let (_, _, state) = self.begin(&wanted.room, new, make).await?;
        tracing::info!(room = %wanted.room, track = %wanted.track, codec = ?wanted.knows, max_height, "bridge began");
        self.bridges.lock().insert(wanted.clone(), state);
        Ok(())
    }
}
