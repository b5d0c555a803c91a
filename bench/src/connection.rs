//! One peer connection of the `webrtc` crate: what is published, the m-lines to receive on, and data channels.

use crate::{
    feedback::{KeyframeRequests, asks_for_keyframe},
    intake::Intake,
    ledger::{Ledger, now_us},
    numbers::Place,
    signalling::{Publish, Subscribe},
};
use bytes::BytesMut;
use parking_lot::Mutex;
use rtc::{
    data_channel::RTCDataChannelInit,
    media_stream::MediaStreamTrack,
    peer_connection::configuration::media_engine::{MIME_TYPE_OPUS, MIME_TYPE_VP8},
    rtp,
    rtp_transceiver::{
        RTCRtpTransceiverDirection, RTCRtpTransceiverInit,
        rtp_sender::{RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind},
    },
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use webrtc::{
    data_channel::{DataChannel, DataChannelEvent},
    media_stream::{
        track_local::{TrackLocal, TrackLocalEvent, static_rtp::TrackLocalStaticRTP},
        track_remote::{TrackRemote, TrackRemoteEvent},
    },
    peer_connection::{
        MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
        RTCIceGatheringState, RTCPeerConnectionState, RTCSessionDescription, Registry, StatsSelector,
        register_default_interceptors,
    },
    rtp_transceiver::RtpTransceiver,
    runtime::default_runtime,
};

/// Dynamic payload types of the `webrtc` crate's default codecs.
const OPUS: u8 = 111;
const VP8: u8 = 96;
/// Events and messages that may wait for the participant; packets do not.
const QUEUE: usize = 1_024;

/// Something that came over the connection.
#[derive(Debug)]
pub enum Incoming {
    /// The transport is up.
    Connected,
    /// The transport failed or was closed.
    Failed,
    /// A message on the reliable data channel.
    Message(BytesMut),
    /// The other side asks for a keyframe.
    KeyframeRequested,
}

/// An operation on the connection failed.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The WebRTC stack said no.
    #[error("WebRTC: {0}")]
    Stack(#[from] webrtc::error::Error),
    /// ICE gathering did not end.
    #[error("ICE gathering did not end within 10 s")]
    Gathering,
    /// The stack was built without a runtime.
    #[error("the WebRTC stack has no runtime")]
    NoRuntime,
    /// No local description came to be.
    #[error("the stack made no local description")]
    NoDescription,
}

struct Handler {
    gathered: mpsc::Sender<()>,
    incoming: mpsc::Sender<Incoming>,
    ledger: Arc<Mutex<Ledger>>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            // A full queue already says so.
            let _ = self.gathered.try_send(());
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let event = match state {
            RTCPeerConnectionState::Connected => Incoming::Connected,
            RTCPeerConnectionState::Failed | RTCPeerConnectionState::Closed => Incoming::Failed,
            _ => return,
        };
        let _ = self.incoming.send(event).await;
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let ledger = self.ledger.clone();
        tokio::spawn(async move {
            while let Some(event) = track.poll().await {
                match event {
                    // The stack keeps 256 packets per track and drops the others, so nothing may wait here.
                    TrackRemoteEvent::OnRtpPacket(packet) => {
                        let place = Place { ssrc: packet.header.ssrc, seq: packet.header.sequence_number };
                        ledger.lock().arrived(place, &packet.payload, now_us());
                    }
                    TrackRemoteEvent::OnEnded => return,
                    _ => {}
                }
            }
        });
    }
}

/// A track that this participant publishes.
struct Outgoing {
    track: Arc<TrackLocalStaticRTP>,
    transceiver: Arc<dyn RtpTransceiver>,
    ssrc: u32,
    payload_type: u8,
    sequence_number: u16,
    source: &'static str,
    id: Option<String>,
}

/// An m-line to receive on.
struct Slot {
    transceiver: Arc<dyn RtpTransceiver>,
    kind: RtpCodecKind,
    track: Option<String>,
}

/// What is sent in an offer.
#[derive(Debug)]
pub struct Offer {
    /// The SDP.
    pub sdp: String,
    /// What the sending m-lines are.
    pub publish: Vec<Publish>,
    /// What the receiving m-lines are for.
    pub subscribe: Vec<Subscribe>,
}

/// A peer connection.
pub struct Connection {
    peer: Arc<dyn PeerConnection>,
    gathered: mpsc::Receiver<()>,
    is_gathered: bool,
    audio: Option<Outgoing>,
    video: Option<Outgoing>,
    slots: Vec<Slot>,
    channel: Arc<dyn DataChannel>,
}

impl Connection {
    /// Makes a connection that publishes audio and video as asked. Packets are read by `intake` and counted in `ledger`; gives
    /// what else comes over it.
    pub async fn new(
        audio: bool,
        video: bool,
        intake: &Intake,
        ledger: Arc<Mutex<Ledger>>,
    ) -> Result<(Self, mpsc::Receiver<Incoming>), ConnectionError> {
        let runtime = intake.runtime(default_runtime().ok_or(ConnectionError::NoRuntime)?);
        let (gathered_sender, gathered) = mpsc::channel(1);
        let (incoming_sender, incoming) = mpsc::channel(QUEUE);
        let mut media = MediaEngine::default();
        media.register_default_codecs()?;
        let registry = register_default_interceptors(Registry::new(), &mut media)?
            .with(KeyframeRequests::SLOT, KeyframeRequests::default());
        let peer: Arc<dyn PeerConnection> = Arc::new(
            PeerConnectionBuilder::new()
                .with_configuration(RTCConfigurationBuilder::new().build())
                .with_media_engine(media)
                .with_interceptor_registry(registry)
                .with_runtime(runtime)
                .with_handler(Arc::new(Handler {
                    gathered: gathered_sender,
                    incoming: incoming_sender.clone(),
                    ledger,
                }))
                .with_udp_addrs(vec!["127.0.0.1:0".to_owned()])
                .build()
                .await?,
        );
        let channel = peer.create_data_channel("chroom", None).await?;
        let lossy = RTCDataChannelInit { ordered: false, max_retransmits: Some(0), ..Default::default() };
        peer.create_data_channel("chroom-lossy", Some(lossy)).await?;
        tokio::spawn(read_channel(Arc::clone(&channel), incoming_sender.clone()));
        let audio = if audio { Some(outgoing(&peer, RtpCodecKind::Audio, &incoming_sender).await?) } else { None };
        let video = if video { Some(outgoing(&peer, RtpCodecKind::Video, &incoming_sender).await?) } else { None };
        let connection = Self { peer, gathered, is_gathered: false, audio, video, slots: Vec::new(), channel };
        Ok((connection, incoming))
    }

    /// Gives the tracks that are published the ids that they had on an earlier connection.
    pub fn keep_ids(&mut self, audio: Option<String>, video: Option<String>) {
        if let Some(out) = &mut self.audio {
            out.id = audio;
        }
        if let Some(out) = &mut self.video {
            out.id = video;
        }
    }

    /// Ids of the published audio and video tracks, once given.
    pub fn ids(&self) -> (Option<String>, Option<String>) {
        let id = |out: &Option<Outgoing>| out.as_ref().and_then(|out| out.id.clone());
        (id(&self.audio), id(&self.video))
    }

    /// Makes an offer in which each of `wanted` (track id to kind, `audio` or `video`) has an m-line.
    pub async fn offer(&mut self, wanted: &BTreeMap<String, String>) -> Result<Offer, ConnectionError> {
        for slot in &mut self.slots {
            if slot.track.as_ref().is_some_and(|track| !wanted.contains_key(track)) {
                slot.track = None;
            }
        }
        for (track, kind) in wanted {
            if self.slots.iter().any(|slot| slot.track.as_deref() == Some(track)) {
                continue;
            }
            let kind = if kind == "audio" { RtpCodecKind::Audio } else { RtpCodecKind::Video };
            if let Some(free) = self.slots.iter_mut().find(|slot| slot.kind == kind && slot.track.is_none()) {
                free.track = Some(track.clone());
                continue;
            }
            let init = RTCRtpTransceiverInit { direction: RTCRtpTransceiverDirection::Recvonly, ..Default::default() };
            let transceiver = self.peer.add_transceiver_from_kind(kind, Some(init)).await?;
            self.slots.push(Slot { transceiver, kind, track: Some(track.clone()) });
        }
        let offer = self.peer.create_offer(None).await?;
        self.peer.set_local_description(offer).await?;
        if !self.is_gathered {
            let wait = tokio::time::timeout(Duration::from_secs(10), self.gathered.recv());
            wait.await.map_err(|_| ConnectionError::Gathering)?;
            self.is_gathered = true;
        }
        let sdp = self.peer.local_description().await.ok_or(ConnectionError::NoDescription)?.sdp;
        let mut publish = Vec::new();
        for out in self.audio.iter().chain(&self.video) {
            if let Some(mid) = out.transceiver.mid().await? {
                publish.push(Publish { mid, track: out.id.clone(), source: out.source.to_owned() });
            }
        }
        let mut subscribe = Vec::new();
        for slot in &self.slots {
            if let (Some(mid), Some(track)) = (slot.transceiver.mid().await?, &slot.track) {
                subscribe.push(Subscribe { mid, track: track.clone() });
            }
        }
        Ok(Offer { sdp, publish, subscribe })
    }

    /// Takes the answer to the last offer, and the ids that the published tracks were given.
    pub async fn answer(&mut self, sdp: String, ids: &[Publish]) -> Result<(), ConnectionError> {
        self.peer.set_remote_description(RTCSessionDescription::answer(sdp)?).await?;
        for out in self.audio.iter_mut().chain(&mut self.video) {
            let mid = out.transceiver.mid().await?;
            if let Some(given) = ids.iter().find(|given| Some(&given.mid) == mid.as_ref()) {
                out.id = given.track.clone().or(out.id.take());
            }
        }
        Ok(())
    }

    /// Sends one packet of the audio (`video` false) or video track.
    pub async fn send(
        &mut self,
        video: bool,
        payload: bytes::Bytes,
        timestamp: u32,
        marker: bool,
    ) -> Result<(), ConnectionError> {
        let Some(out) = (if video { &mut self.video } else { &mut self.audio }) else { return Ok(()) };
        let header = rtp::header::Header {
            version: 2,
            marker,
            payload_type: out.payload_type,
            sequence_number: out.sequence_number,
            timestamp,
            ssrc: out.ssrc,
            ..Default::default()
        };
        out.sequence_number = out.sequence_number.wrapping_add(1);
        out.track.write_rtp(rtp::packet::Packet { header, payload }).await?;
        Ok(())
    }

    /// Sends a text to everybody else over the reliable channel.
    pub async fn say(&self, text: &str) -> Result<(), ConnectionError> {
        self.channel.send(BytesMut::from(text.as_bytes())).await?;
        Ok(())
    }

    /// Round-trip time of the transport in milliseconds, as ICE measured it last.
    pub async fn rtt_ms(&self) -> f64 {
        let report = self.peer.get_stats(std::time::Instant::now(), StatsSelector::None).await;
        report.candidate_pairs().map(|pair| pair.current_round_trip_time * 1_000.0).fold(0.0, f64::max)
    }

    /// Closes the connection.
    pub async fn close(&self) {
        if let Err(error) = self.peer.close().await {
            tracing::debug!(%error, "closing the peer connection");
        }
    }
}

async fn outgoing(
    peer: &Arc<dyn PeerConnection>,
    kind: RtpCodecKind,
    incoming: &mpsc::Sender<Incoming>,
) -> Result<Outgoing, ConnectionError> {
    let ssrc = rand::random::<u32>();
    let (codec, payload_type, source, label) = match kind {
        RtpCodecKind::Audio => (
            RTCRtpCodec {
                mime_type: MIME_TYPE_OPUS.to_owned(),
                clock_rate: 48_000,
                channels: 2,
                sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
                rtcp_feedback: vec![],
            },
            OPUS,
            "microphone",
            "audio",
        ),
        _ => (
            RTCRtpCodec {
                mime_type: MIME_TYPE_VP8.to_owned(),
                clock_rate: 90_000,
                channels: 0,
                sdp_fmtp_line: String::new(),
                rtcp_feedback: vec![],
            },
            VP8,
            "camera",
            "video",
        ),
    };
    let coding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() },
        active: true,
        codec,
        ..Default::default()
    };
    let track = Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
        "chroom".to_owned(),
        format!("chroom-{label}"),
        label.to_owned(),
        kind,
        vec![coding],
    )));
    let init = RTCRtpTransceiverInit { direction: RTCRtpTransceiverDirection::Sendonly, ..Default::default() };
    let transceiver = peer.add_transceiver_from_track(Arc::clone(&track) as Arc<dyn TrackLocal>, Some(init)).await?;
    let feedback = Arc::clone(&track);
    let incoming = incoming.clone();
    tokio::spawn(async move {
        while let Some(event) = feedback.poll().await {
            let TrackLocalEvent::OnRtcpPacket(packets) = event else { continue };
            let asked = packets.iter().any(|packet| asks_for_keyframe(packet.as_ref()));
            // Asking again is the other side's business, so a full queue loses nothing.
            if asked
                && matches!(incoming.try_send(Incoming::KeyframeRequested), Err(mpsc::error::TrySendError::Closed(_)))
            {
                return;
            }
        }
    });
    Ok(Outgoing { track, transceiver, ssrc, payload_type, sequence_number: rand::random(), source, id: None })
}

async fn read_channel(channel: Arc<dyn DataChannel>, incoming: mpsc::Sender<Incoming>) {
    while let Some(event) = channel.poll().await {
        match event {
            DataChannelEvent::OnMessage(message) => {
                let gone = incoming.send(Incoming::Message(message.data)).await.is_err();
                if gone {
                    return;
                }
            }
            DataChannelEvent::OnClose => return,
            _ => {}
        }
    }
}
