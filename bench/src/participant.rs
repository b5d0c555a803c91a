//! One participant, from joining to its report.

use crate::{
    connection::{Connection, ConnectionError, Incoming},
    intake::Intake,
    ledger::{Ledger, now_us},
    report::{Report, TrackReport},
    signalling::{Negotiated, RoomEvent, Session, Signalling, SignallingError, Track},
    source::{AudioSource, Ptime, VideoSource},
    stamp::track_tag,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chroom_rpc::receipt::{self, Receipt, ReceiptBody, ReceiptError};
use p256::ecdsa::SigningKey;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What a participant does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Orchestrator's WebSocket URL.
    pub url: String,
    /// Access token.
    pub token: String,
    /// Identity in the token, for the report.
    pub identity: String,
    /// How much sound to send in a packet, if audio is to be published.
    pub audio: Option<Ptime>,
    /// Bit rate of the video to publish in kb/s, if any.
    pub video_kbps: Option<u32>,
    /// How many videos of others to ask for.
    pub videos: usize,
    /// How long to stay.
    pub duration: Duration,
}

/// A participant could not do its part.
#[derive(Debug, thiserror::Error)]
pub enum ParticipantError {
    /// Signalling failed.
    #[error(transparent)]
    Signalling(#[from] SignallingError),
    /// The peer connection failed.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// A receipt could not be signed.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
    /// The orchestrator ended the session.
    #[error("the session was closed: {0}")]
    Closed(String),
    /// The system's clock or random source does not work.
    #[error("{0}")]
    System(&'static str),
}

/// How long to wait before a failed negotiation is tried again.
const SETTLE_EVERY: Duration = Duration::from_secs(2);

/// How long a participant that left takes in what still comes, at most.
const CATCH_UP: Duration = Duration::from_secs(10);

/// A media node that sends nothing for so long after somebody left has closed the session.
const QUIET: Duration = Duration::from_millis(600);

/// Counters of the interval that the next receipt is about.
#[derive(Clone, Copy, Default)]
struct Interval {
    from_ms: u64,
    packets: u64,
    lost: u64,
    bytes: u64,
    sent_bytes: u64,
}

struct Participant {
    plan: Plan,
    signalling: Signalling,
    session: Session,
    connection: Connection,
    incoming: mpsc::Receiver<Incoming>,
    connected: bool,
    /// Whether nobody watches the video, so that it isn't sent.
    unwatched: bool,
    /// The last negotiation failed for a passing reason and is due again.
    unsettled: bool,
    others: BTreeMap<String, (String, Track)>,
    /// Those and all that were there before, by the tags in their packets: whose packets came is told of who has left, too.
    known: BTreeMap<u32, (String, Track)>,
    intake: Arc<Intake>,
    ledger: Arc<Mutex<Ledger>>,
    audio: AudioSource,
    video: Option<VideoSource>,
    key: SigningKey,
    receipt_seq: u64,
    last: Interval,
    report: Report,
}

/// Runs one participant to the end of its plan, or until `stop`; `intake` reads its sockets.
pub async fn run(plan: Plan, intake: Arc<Intake>, stop: CancellationToken) -> Result<Report, ParticipantError> {
    let ledger = Arc::new(Mutex::new(Ledger::new(Instant::now())));
    let signalling = Signalling::open(&plan.url).await?;
    let mut events = signalling.events().await?;
    let key = SigningKey::from_slice(&rand::random::<[u8; 32]>())
        .map_err(|_| ParticipantError::System("the random source gave no valid key"))?;
    let public = receipt::public_key(&key);
    let session: Session = signalling
        .call("session.join", json!({ "token": plan.token, "receiptKey": URL_SAFE_NO_PAD.encode(public) }))
        .await?;
    let (connection, incoming) =
        Connection::new(plan.audio.is_some(), plan.video_kbps.is_some(), &intake, ledger.clone()).await?;
    let report = Report {
        identity: plan.identity.clone(),
        participant: session.participant.clone(),
        session: session.session.to_string(),
        node: session.node.id.to_string(),
        ..Default::default()
    };
    let present = session.participants.clone();
    let video = plan.video_kbps.map(VideoSource::new);
    let ptime = plan.audio.unwrap_or(Ptime::SHORT);
    let last = Interval { from_ms: now_us() / 1_000, ..Default::default() };
    let receipt_every = Duration::from_millis(session.receipt_interval_ms.clamp(500, 60_000));
    let mut me = Participant {
        plan,
        signalling,
        session,
        connection,
        incoming,
        connected: false,
        unwatched: false,
        unsettled: false,
        others: BTreeMap::new(),
        known: BTreeMap::new(),
        intake,
        ledger,
        audio: AudioSource::new(ptime),
        video,
        key,
        receipt_seq: 0,
        last,
        report,
    };
    for participant in present {
        for track in participant.tracks {
            me.learn(participant.id.clone(), track);
        }
    }
    me.negotiate().await?;

    let mut audio_tick = tokio::time::interval(ptime.interval());
    let mut video_tick = tokio::time::interval(Duration::from_millis(VideoSource::INTERVAL_MS));
    let mut receipt_tick = tokio::time::interval_at(tokio::time::Instant::now() + receipt_every, receipt_every);
    receipt_tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut settle_tick = tokio::time::interval(SETTLE_EVERY);
    settle_tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let end = tokio::time::sleep(me.plan.duration);
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => break,
            () = stop.cancelled() => break,
            event = events.next() => match event {
                Some(Ok(value)) => me.on_event(value).await?,
                Some(Err(error)) => tracing::warn!(%error, "an event could not be read"),
                None => return Err(ParticipantError::Closed("the orchestrator closed the WebSocket".to_owned())),
            },
            Some(incoming) = me.incoming.recv() => me.on_incoming(incoming).await?,
            _ = audio_tick.tick(), if me.connected && me.plan.audio.is_some() => me.send_audio().await?,
            _ = video_tick.tick(), if me.connected && me.video.is_some() => me.send_video().await?,
            _ = receipt_tick.tick(), if me.connected => me.send_receipt().await,
            _ = settle_tick.tick(), if me.unsettled => me.negotiate().await?,
        }
    }
    me.send_receipt().await;
    if let Err(error) = me.signalling.call::<Value>("session.leave", json!({})).await {
        tracing::debug!(%error, "leaving");
    }
    // What the media node sent until it heard of it counts as received, not as missing, on a busy machine too.
    if tokio::time::timeout(CATCH_UP, me.until_quiet()).await.is_err() {
        tracing::warn!(identity = me.plan.identity, "this machine is too slow: received packets still wait, uncounted");
    }
    while let Ok(incoming) = me.incoming.try_recv() {
        me.on_incoming(incoming).await?;
    }
    me.connection.close().await;
    Ok(me.finish())
}

impl Participant {
    /// Waits until no more packets come.
    async fn until_quiet(&self) {
        let mut before = None;
        loop {
            self.intake.caught_up(Instant::now()).await;
            let arrived = self.ledger.lock().arrivals();
            if before.replace(arrived) == Some(arrived) {
                return;
            }
            tokio::time::sleep(QUIET).await;
        }
    }

    /// Takes in a track of somebody else.
    fn learn(&mut self, owner: String, track: Track) {
        self.known.insert(track_tag(&track.id), (owner.clone(), track.clone()));
        self.others.insert(track.id.clone(), (owner, track));
    }

    /// The tracks of others to receive: every audio, and as many videos as planned.
    fn wanted(&self) -> BTreeMap<String, String> {
        let mut videos = 0;
        let wants = |(id, (_, track)): (&String, &(String, Track))| {
            let is_video = track.kind == "video";
            videos += usize::from(is_video);
            (!is_video || videos <= self.plan.videos).then(|| (id.clone(), track.kind.clone()))
        };
        self.others.iter().filter_map(wants).collect()
    }

    /// Offers what is published and wanted now. A media node that is just being lost may refuse: then `moved` follows, or
    /// the same is offered again after a while.
    async fn negotiate(&mut self) -> Result<(), ParticipantError> {
        let outcome = self.offer().await;
        self.unsettled = matches!(&outcome, Err(ParticipantError::Signalling(error)) if error.is_passing());
        match outcome {
            Err(error) if self.unsettled => {
                tracing::warn!(identity = self.plan.identity, %error, "negotiating again soon");
                Ok(())
            }
            outcome => outcome,
        }
    }

    async fn offer(&mut self) -> Result<(), ParticipantError> {
        let offer = self.connection.offer(&self.wanted()).await?;
        let params = json!({ "sdp": offer.sdp, "publish": offer.publish, "subscribe": offer.subscribe });
        let answer: Negotiated = self.signalling.call("session.negotiate", params).await?;
        self.connection.answer(answer.sdp, &answer.publish).await?;
        Ok(())
    }

    async fn on_event(&mut self, value: Value) -> Result<(), ParticipantError> {
        let event: RoomEvent = match serde_json::from_value(value) {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!(%error, "unknown event");
                return Ok(());
            }
        };
        let before = self.wanted();
        match event {
            RoomEvent::ParticipantJoined { participant } => {
                for track in participant.tracks {
                    self.learn(participant.id.clone(), track);
                }
            }
            RoomEvent::ParticipantLeft { participant } => self.others.retain(|_, (owner, _)| *owner != participant),
            RoomEvent::TrackPublished { participant, track } => {
                if participant != self.session.participant {
                    self.learn(participant, track);
                }
            }
            RoomEvent::TrackUnpublished { track, .. } => {
                self.others.remove(&track);
            }
            RoomEvent::LayersWanted { track, paused } => {
                if self.connection.ids().1.as_ref() == Some(&track) {
                    self.unwatched = paused;
                }
            }
            RoomEvent::VideosPaused { tracks } => self.report.paused = tracks,
            RoomEvent::Moved { node } => {
                // A new connection begins with none.
                self.report.paused.clear();
                self.report.moves += 1;
                self.report.node = node.id.to_string();
                self.session.node = node;
                self.reconnect().await?;
                return Ok(());
            }
            RoomEvent::Closed { reason } => return Err(ParticipantError::Closed(reason)),
            RoomEvent::Other => {}
        }
        if self.wanted() != before {
            self.negotiate().await?;
        }
        Ok(())
    }

    /// A new connection for the same session: the media node changed, or the old connection failed.
    async fn reconnect(&mut self) -> Result<(), ParticipantError> {
        self.connection.close().await;
        let (audio_id, video_id) = self.connection.ids();
        let video = self.plan.video_kbps.is_some();
        let (mut connection, incoming) =
            Connection::new(self.plan.audio.is_some(), video, &self.intake, self.ledger.clone()).await?;
        connection.keep_ids(audio_id, video_id);
        self.connection = connection;
        self.incoming = incoming;
        self.connected = false;
        self.unwatched = false;
        self.negotiate().await
    }

    async fn on_incoming(&mut self, incoming: Incoming) -> Result<(), ParticipantError> {
        match incoming {
            Incoming::Connected => {
                self.connected = true;
                tracing::info!(identity = self.plan.identity, node = self.report.node, "connected");
            }
            Incoming::Failed => {
                // A lost media node is announced by `moved`; until then there is nothing to send to.
                self.connected = false;
                tracing::warn!(identity = self.plan.identity, "the peer connection failed");
            }
            Incoming::KeyframeRequested => {
                if let Some(video) = &mut self.video {
                    video.request_keyframe();
                }
            }
            Incoming::Message(_) => self.report.messages += 1,
        }
        Ok(())
    }

    async fn send_audio(&mut self) -> Result<(), ParticipantError> {
        let (Some(track), _) = self.connection.ids() else { return Ok(()) };
        let packet = self.audio.next(track_tag(&track), now_us());
        self.report.sent_packets += 1;
        self.report.sent_bytes += packet.payload.len() as u64;
        self.connection.send(false, packet.payload, packet.timestamp, packet.marker).await?;
        Ok(())
    }

    async fn send_video(&mut self) -> Result<(), ParticipantError> {
        let (_, Some(track)) = self.connection.ids() else { return Ok(()) };
        if self.unwatched {
            return Ok(());
        }
        let Some(source) = &mut self.video else { return Ok(()) };
        for packet in source.next(track_tag(&track), now_us()) {
            self.report.sent_packets += 1;
            self.report.sent_bytes += packet.payload.len() as u64;
            self.connection.send(true, packet.payload, packet.timestamp, packet.marker).await?;
        }
        Ok(())
    }

    async fn send_receipt(&mut self) {
        let now_ms = now_us() / 1_000;
        let (packets, bytes, lost, jitter) = {
            let ledger = self.ledger.lock();
            (ledger.packets, ledger.bytes, ledger.lost(), ledger.jitter_ms())
        };
        let rx_bytes = bytes - self.last.bytes;
        let elapsed_ms = now_ms.saturating_sub(self.last.from_ms).max(1);
        self.receipt_seq += 1;
        let body = ReceiptBody {
            v: 1,
            session: self.session.session,
            node: self.session.node.id,
            seq: self.receipt_seq,
            from: self.last.from_ms,
            to: now_ms,
            rx_packets: packets - self.last.packets,
            rx_lost: lost.saturating_sub(self.last.lost),
            rx_bytes,
            tx_bytes: self.report.sent_bytes - self.last.sent_bytes,
            rtt_ms: self.connection.rtt_ms().await.round() as u32,
            jitter_ms: jitter.round() as u32,
            wanted_kbps: 0,
            delivered_kbps: (rx_bytes * 8 / elapsed_ms) as u32,
            frames_decoded: 0,
            freeze_ms: 0,
        };
        self.last = Interval {
            from_ms: now_ms,
            packets,
            lost: lost.max(self.last.lost),
            bytes,
            sent_bytes: self.report.sent_bytes,
        };
        match self.hand_over(&body).await {
            Ok(()) => self.report.receipts += 1,
            Err(error) => {
                self.report.receipts_failed += 1;
                tracing::warn!(%error, "a receipt was not taken");
            }
        }
    }

    async fn hand_over(&self, body: &ReceiptBody) -> Result<(), ParticipantError> {
        let receipt = Receipt::sign(body, &self.key)?;
        let params =
            serde_json::to_value(&receipt).map_err(|_| ParticipantError::System("a receipt has no JSON form"))?;
        self.signalling.call::<Value>("session.receipt", params).await?;
        Ok(())
    }

    fn finish(mut self) -> Report {
        let ledger = self.ledger.lock();
        self.report.received_packets = ledger.packets;
        self.report.missing_packets = ledger.missing();
        self.report.repeated_packets = ledger.repeated;
        self.report.received_bytes = ledger.bytes;
        self.report.first_media_ms = ledger.first_media_ms;
        for (tag, reception) in &ledger.receptions {
            let (participant, track) = self.known.get(tag).cloned().unwrap_or_else(|| {
                (String::new(), Track { id: format!("left-{tag:08x}"), kind: "unknown".to_owned() })
            });
            self.report.tracks.push(TrackReport {
                participant,
                track: track.id,
                kind: track.kind,
                totals: reception.totals(),
            });
        }
        drop(ledger);
        self.report
    }
}
