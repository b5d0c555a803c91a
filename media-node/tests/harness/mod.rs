//! Clients on the engine that the node has, over loopback UDP and the real shards.
//!
//! Each test program uses a part of it.
#![allow(dead_code)]

use chroom_media_node::cascade::quic::RoomEnd;
use chroom_media_node::sfu::{
    Sfu, SfuConfig,
    command::NegotiateError,
    event::{CloseReason, Event, Occurrence},
    id::{Mid, RoomId, SessionId},
    priority::Priority,
    router::{Opening, Publish, RouteError, Subscribe},
};
use rand::{Rng, rngs::StdRng};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    time::{Duration, Instant},
};
use str0m::{
    Candidate, Event as ClientEvent, Input, Output, Rtc, RtcConfig,
    bwe::Bitrate,
    change::SdpAnswer,
    channel::{ChannelConfig, ChannelId, Reliability},
    format::Codec,
    media::{Direction, MediaKind, Simulcast, SimulcastLayer},
    net::{Protocol, Receive},
    rtp::{ExtensionValues, RtpWrite},
};
use tokio::sync::broadcast;

/// Longest time that anything may take here.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Datagrams of its own that a client remembers.
const SAMPLES: usize = 64;

pub struct Client {
    pub rtc: Rtc,
    pub socket: UdpSocket,
    /// Where everything goes instead, if it is there.
    pub tcp: Option<Tcp>,
    pub session: SessionId,
    pub connected: bool,
    pub keyframe_wanted: BTreeSet<String>,
    /// Sequence numbers, timestamps and first payload bytes by m-line.
    pub received: BTreeMap<String, Vec<(u64, u32, u8)>>,
    /// Payload types and payloads of sound by m-line.
    pub sound: BTreeMap<String, Vec<(u8, Vec<u8>)>>,
    pub channels: Vec<(ChannelId, String)>,
    pub messages: Vec<(String, Vec<u8>)>,
    pub sent: BTreeMap<(String, Option<String>), u64>,
    /// The newest answer that it took.
    pub answer: String,
    /// Datagrams that it sent, the newest last.
    pub samples: Vec<Vec<u8>>,
    /// The share of its media that is lost on the way to the node, and the randomness of that.
    pub loses: Option<(f64, StdRng)>,
}

impl Client {
    pub fn new(number: u8) -> Self {
        Self::with(number, RtcConfig::new())
    }

    /// A client that offers what `config` enables.
    pub fn with(number: u8, config: RtcConfig) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut rtc = config
            .set_rtp_mode(true)
            .enable_bwe(Some(Bitrate::mbps(5)))
            .set_rtcp_report_interval_audio(Duration::from_millis(500))
            .build(Instant::now());
        rtc.add_local_candidate(Candidate::host(socket.local_addr().unwrap(), "udp").unwrap());
        Self {
            rtc,
            socket,
            tcp: None,
            session: SessionId([number; 16]),
            connected: false,
            keyframe_wanted: BTreeSet::new(),
            received: BTreeMap::new(),
            sound: BTreeMap::new(),
            channels: Vec::new(),
            messages: Vec::new(),
            sent: BTreeMap::new(),
            answer: String::new(),
            samples: Vec::new(),
            loses: None,
        }
    }

    /// A client whose network lets only TCP through. Its engine doesn't know: what it sends and gets is framed here.
    pub fn over_tcp(number: u8, server: SocketAddr) -> Self {
        let tcp = Tcp::connect(server);
        let mut client = Self::new(number);
        client.rtc.add_local_candidate(Candidate::host(tcp.local(), "udp").unwrap());
        client.tcp = Some(tcp);
        client
    }

    /// One turn: what came in, what goes out.
    pub fn turn(&mut self) {
        if let Some(tcp) = &mut self.tcp {
            let (local, server) = (tcp.local(), tcp.server);
            for frame in tcp.receive() {
                if let Ok(receive) = Receive::new(Protocol::Udp, server, local, &frame) {
                    self.rtc.handle_input(Input::Receive(Instant::now(), receive)).unwrap();
                    self.drain();
                }
            }
            return self.drain();
        }
        let mut buffer = [0; 2_000];
        let local = self.socket.local_addr().unwrap();
        while let Ok((size, source)) = self.socket.recv_from(&mut buffer) {
            if let Ok(receive) = Receive::new(Protocol::Udp, source, local, &buffer[..size]) {
                self.rtc.handle_input(Input::Receive(Instant::now(), receive)).unwrap();
                self.drain();
            }
        }
        self.drain();
    }

    pub fn drain(&mut self) {
        loop {
            let now = Instant::now();
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(at) if at <= now => self.rtc.handle_input(Input::Timeout(now)).unwrap(),
                Output::Timeout(_) => return,
                Output::Transmit(transmit) => {
                    let is_media = matches!(*transmit.contents, [128..=191, 0..=191 | 224.., ..]);
                    let is_lost =
                        self.loses.as_mut().is_some_and(|(share, random)| is_media && random.random_bool(*share));
                    match &mut self.tcp {
                        _ if is_lost => {}
                        Some(tcp) if tcp.local() == transmit.source => tcp.send(&transmit.contents),
                        Some(_) => {}
                        None => drop(self.socket.send_to(&transmit.contents, transmit.destination)),
                    }
                    if self.samples.len() == SAMPLES {
                        // What came first is of the handshake, and stays.
                        self.samples.remove(SAMPLES / 2);
                    }
                    self.samples.push(transmit.contents.to_vec());
                }
                Output::Event(event) => self.event(event),
            }
        }
    }

    pub fn event(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::Connected => self.connected = true,
            ClientEvent::KeyframeRequest(request) => {
                self.keyframe_wanted.insert(request.rid.map(|rid| rid.to_string()).unwrap_or_default());
            }
            ClientEvent::RtpPacket(packet) => {
                let ssrc = packet.header.ssrc;
                let mid = self.rtc.direct_api().stream_rx(&ssrc).unwrap().mid().to_string();
                let first = packet.payload.last().copied().unwrap_or_default();
                // What the node mixes has no level.
                let (pt, codecs) = (packet.header.payload_type, self.rtc.codec_config());
                let is_opus = codecs.find(|one| one.pt() == pt && one.spec().codec == Codec::Opus).is_some();
                if is_opus || packet.header.ext_vals.audio_level.is_some() {
                    let sound = self.sound.entry(mid.clone()).or_default();
                    sound.push((*packet.header.payload_type, packet.payload.to_vec()));
                }
                self.received.entry(mid).or_default().push((*packet.seq_no, packet.header.timestamp, first));
            }
            ClientEvent::ChannelOpen(id, label) => self.channels.push((id, label)),
            ClientEvent::ChannelData(data) => {
                let label = self.channels.iter().find(|(id, _)| *id == data.id).unwrap().1.clone();
                self.messages.push((label, data.data));
            }
            _ => {}
        }
    }

    pub fn write(&mut self, mid: &str, rid: Option<&str>, codec: Codec, timestamp: u32, payload: Vec<u8>, level: i8) {
        let known = *self.rtc.codec_config().find(|params| params.spec().codec == codec).unwrap();
        // Two bytes and more that begin like redundant audio go out as that.
        let redundant = codec == Codec::Opus && payload.first() == Some(&(0x80 | *known.pt()));
        let pt = if redundant { known.red().unwrap() } else { known.pt() };
        let seq = self.sent.entry((mid.to_owned(), rid.map(str::to_owned))).or_insert(100);
        *seq += 1;
        let extensions = ExtensionValues { audio_level: Some(level), voice_activity: Some(true), ..Default::default() };
        let write = RtpWrite::new(pt, (*seq).into(), timestamp, Instant::now(), payload)
            .marker(true)
            .ext_vals(extensions)
            .nackable(codec != Codec::Opus);
        let mut api = self.rtc.direct_api();
        api.stream_tx_by_mid(mid.into(), rid.map(Into::into)).unwrap().write_rtp(write);
        self.drain();
    }

    pub fn send(&mut self, label: &str, data: &[u8]) -> bool {
        let id = self.channels.iter().find(|(_, known)| known == label).unwrap().0;
        let sent = self.rtc.channel(id).unwrap().write(true, data).unwrap();
        self.drain();
        sent
    }

    pub fn unique(&self, mid: &str) -> BTreeSet<u64> {
        self.received.get(mid).map(|packets| packets.iter().map(|(seq, ..)| *seq).collect()).unwrap_or_default()
    }
}

/// A client's TCP connection to the node (RFC 6544), with frames (RFC 4571).
pub struct Tcp {
    pub stream: TcpStream,
    pub server: SocketAddr,
    bytes: Vec<u8>,
}

impl Tcp {
    pub fn connect(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self { stream, server, bytes: Vec::new() }
    }

    pub fn local(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    /// All of it; who reads keeps up.
    pub fn send(&mut self, datagram: &[u8]) {
        let frame = [&(datagram.len() as u16).to_be_bytes()[..], datagram].concat();
        let mut rest = frame.as_slice();
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(length) => rest = &rest[length..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(_) => return,
            }
        }
    }

    /// Whether the node closed it.
    pub fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0; 2_000]) {
            Ok(length) => length == 0,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }

    pub fn receive(&mut self) -> Vec<Vec<u8>> {
        let mut buffer = [0; 65_536];
        while let Ok(length) = self.stream.read(&mut buffer) {
            if length == 0 {
                break;
            }
            self.bytes.extend_from_slice(&buffer[..length]);
        }
        let mut frames = Vec::new();
        while let Some(prefix) = self.bytes.first_chunk::<2>() {
            let end = 2 + usize::from(u16::from_be_bytes(*prefix));
            if self.bytes.len() < end {
                break;
            }
            frames.push(self.bytes[2..end].to_vec());
            self.bytes.drain(..end);
        }
        frames
    }
}

/// Media lines of a client.
#[derive(Clone, Default)]
pub struct Lines {
    pub mids: Vec<String>,
}

pub struct Call {
    pub sfu: Sfu,
    pub events: broadcast::Receiver<Event>,
    pub seen: Vec<Event>,
    pub runtime: tokio::runtime::Runtime,
    pub room: RoomId,
}

impl Call {
    pub fn new(shards: usize, egress_loss: Option<f64>) -> Self {
        Self::start(shards, egress_loss, None)
    }

    pub fn start(shards: usize, egress_loss: Option<f64>, cascade: Option<RoomEnd>) -> Self {
        let config =
            SfuConfig { listen: "127.0.0.1:0".parse().unwrap(), tcp: true, advertise: None, shards, egress_loss };
        let sfu = Sfu::start_with(&config, cascade).unwrap();
        let events = sfu.events();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { sfu, events, seen: Vec::new(), runtime, room: "room".parse().unwrap() }
    }

    pub fn open(&self, client: &Client, name: &str) -> Result<(), RouteError> {
        let opening = Opening {
            room: self.room.clone(),
            session: client.session,
            participant: name.parse().unwrap(),
            publish: true,
            subscribe: true,
            uplink_kbps: 0,
        };
        self.runtime.block_on(self.sfu.open(opening).unwrap().done()).unwrap()
    }

    pub fn negotiate(
        &self,
        client: &mut Client,
        change: impl FnOnce(&mut str0m::change::SdpApi<'_>) -> Lines,
        publish: &[(usize, &str)],
        subscribe: &[(usize, &str, u32)],
    ) -> Result<Lines, NegotiateError> {
        let mut api = client.rtc.sdp_api();
        let lines = change(&mut api);
        let (offer, pending) = api.apply().unwrap();
        let mid = |index: usize| Mid::parse(&lines.mids[index]).unwrap();
        let publish = publish
            .iter()
            .map(|(index, track)| Publish {
                mid: mid(*index),
                track: track.parse().unwrap(),
                source: "microphone".into(),
            })
            .collect();
        let subscribe = subscribe
            .iter()
            .map(|(index, track, max_height)| Subscribe {
                mid: mid(*index),
                track: Some(track.parse().unwrap()),
                max_height: *max_height,
                priority: Priority::default(),
            })
            .collect();
        let answer = self.sfu.negotiate(&self.room, client.session, offer.to_sdp_string(), publish, subscribe).unwrap();
        let answer = self.runtime.block_on(answer.done()).unwrap()?;
        client.answer.clone_from(&answer);
        let answer = SdpAnswer::from_sdp_string(&answer).unwrap();
        client.rtc.sdp_api().accept_answer(pending, answer).unwrap();
        client.drain();
        Ok(lines)
    }

    pub fn subscribe(&self, client: &Client, mid: &str, track: &str, max_height: u32) {
        let (mid, track) = (Mid::parse(mid).unwrap(), Some(track.parse().unwrap()));
        let wish = Subscribe { mid, track, max_height, priority: Priority::default() };
        let pending = self.sfu.subscribe(&self.room, client.session, vec![wish]).unwrap();
        self.runtime.block_on(pending.done()).unwrap().unwrap();
    }

    pub fn take_events(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            self.seen.push(event);
        }
    }

    /// Turns the clients until a condition holds.
    pub fn until(
        &mut self,
        what: &str,
        clients: &mut [&mut Client],
        mut each: impl FnMut(&mut [&mut Client]),
        mut done: impl FnMut(&[&mut Client], &[Event]) -> bool,
    ) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            clients.iter_mut().for_each(|client| client.turn());
            each(clients);
            self.take_events();
            if done(clients, &self.seen) {
                return;
            }
            assert!(Instant::now() < deadline, "in vain: {what}; events: {:?}", self.seen);
            // Lets the media thread have the core.
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn stop(self) {
        self.runtime.block_on(self.sfu.stop(CloseReason::Draining));
    }
}

/// Sends at a pace.
pub struct Pace {
    pub next: Instant,
    pub every: Duration,
    pub count: u32,
}

impl Pace {
    pub fn new(every: Duration) -> Self {
        Self { next: Instant::now(), every, count: 0 }
    }

    pub fn due(&mut self) -> Option<u32> {
        if Instant::now() < self.next {
            return None;
        }
        self.next += self.every;
        self.count += 1;
        Some(self.count)
    }
}

/// A VP8 payload with a picture id; the last byte names the layer.
pub fn vp8(keyframe: bool, picture: u16, height: u16, size: usize, tag: u8) -> Vec<u8> {
    let [high, low] = picture.to_be_bytes();
    let mut payload = vec![0x90, 0x80, high | 0x80, low, u8::from(!keyframe), 0, 0, 0x9D, 0x01, 0x2A, 0, 1];
    payload.extend_from_slice(&height.to_le_bytes());
    payload.resize(size, 0);
    payload.push(tag);
    payload
}

pub const LAYERS: [(&str, u16, usize, u8); 3] = [("q", 180, 100, b'q'), ("h", 360, 300, b'h'), ("f", 720, 800, b'f')];

pub fn publisher_lines(api: &mut str0m::change::SdpApi<'_>) -> Lines {
    let audio = api.add_media(MediaKind::Audio, Direction::SendOnly, None, None, None);
    let mut simulcast = Simulcast::new();
    LAYERS.iter().for_each(|(rid, ..)| simulcast.add_send_layer(SimulcastLayer::new(rid)));
    let video = api.add_media(MediaKind::Video, Direction::SendOnly, None, None, Some(simulcast));
    channels(api);
    Lines { mids: vec![audio.to_string(), video.to_string()] }
}

pub fn receiver_lines(api: &mut str0m::change::SdpApi<'_>) -> Lines {
    let audio = api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
    let video = api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
    channels(api);
    Lines { mids: vec![audio.to_string(), video.to_string()] }
}

pub fn channels(api: &mut str0m::change::SdpApi<'_>) {
    api.add_channel("chroom".into());
    api.add_channel_with_config(ChannelConfig {
        label: "chroom-lossy".into(),
        ordered: false,
        reliability: Reliability::MaxRetransmits { retransmits: 0 },
        ..Default::default()
    });
}

/// Sends sound and three layers, key frames when asked for.
pub struct Source {
    pub sound: Pace,
    pub picture: Pace,
    pub mids: Vec<String>,
}

impl Source {
    pub fn new(lines: &Lines) -> Self {
        Self {
            sound: Pace::new(Duration::from_millis(20)),
            picture: Pace::new(Duration::from_millis(33)),
            mids: lines.mids.clone(),
        }
    }

    pub fn send(&mut self, client: &mut Client) {
        if !client.connected {
            return;
        }
        if let Some(count) = self.sound.due() {
            client.write(&self.mids[0], None, Codec::Opus, count * 960, vec![7; 60], -20);
        }
        if let Some(count) = self.picture.due() {
            for (index, (rid, height, size, tag)) in LAYERS.into_iter().enumerate() {
                let keyframe = client.keyframe_wanted.remove(rid) || count == 1;
                // Each layer counts its timestamps and pictures from elsewhere, as independent encoders may.
                let timestamp = (count * 2_970).wrapping_add(index as u32 * 1_000_000_007);
                let picture = (count as u16).wrapping_add(index as u16 * 9_000) & 0x7FFF;
                let payload = vp8(keyframe, picture, height, size, tag);
                client.write(&self.mids[1], Some(rid), Codec::Vp8, timestamp, payload, -127);
            }
        }
    }
}

/// Two clients in a room: the first publishes, the second receives.
pub fn connect(call: &mut Call, max_height: u32) -> (Client, Source, Client, Lines) {
    connect_both(call, Client::new(1), Client::new(2), max_height)
}

/// The same with clients of one's own.
pub fn connect_both(
    call: &mut Call,
    mut publisher: Client,
    mut receiver: Client,
    max_height: u32,
) -> (Client, Source, Client, Lines) {
    call.open(&publisher, "alice").unwrap();
    call.open(&receiver, "bob").unwrap();
    let lines = call.negotiate(&mut publisher, publisher_lines, &[(0, "voice"), (1, "face")], &[]).unwrap();
    let source = Source::new(&lines);
    let wishes = [(0, "voice", 0), (1, "face", max_height)];
    let lines = call.negotiate(&mut receiver, receiver_lines, &[], &wishes).unwrap();
    call.until(
        "both connect",
        &mut [&mut publisher, &mut receiver],
        |_| {},
        |clients, events| {
            let connected = events.iter().filter(|event| event.occurrence == Occurrence::Connected).count();
            clients.iter().all(|client| client.connected && client.channels.len() == 2) && connected == 2
        },
    );
    (publisher, source, receiver, lines)
}

pub fn layers_of(client: &Client, mid: &str) -> Vec<u8> {
    let mut tags: Vec<u8> =
        client.received.get(mid).map(|packets| packets.iter().map(|(.., tag)| *tag).collect()).unwrap_or_default();
    tags.dedup();
    tags
}
