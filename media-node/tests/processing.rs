//! Mixing, recording and thumbnails in a real call: clients on the engine over loopback UDP, real shards, real workers, real codecs.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use chroom_media_node::{
    processing::{
        audio::{CHANNELS, FRAME, opus},
        budget::Millicores,
        cost,
        recording::room::RecordingLimits,
        studio::{RecordingKind, Studio, StudioConfig, StudioError},
        video::{
            EncodedFrame, VideoCodec, assembly::Assembler, decoder::Decoder, encoder::Encoder, packets,
            picture::Picture,
        },
    },
    sfu::{
        Sfu, SfuConfig,
        event::{CloseReason, Occurrence},
        id::{Mid, RoomId, SessionId},
        priority::Priority,
        resident,
        router::{Opening, Publish, Subscribe},
    },
};
use mkv_element::{FrameData, io::blocking_impl::ReadFrom, prelude::Cluster};
use std::{
    net::UdpSocket,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use str0m::{
    Candidate, Event, Input, Output, Rtc, RtcConfig,
    change::SdpAnswer,
    format::Codec,
    media::{Direction, MediaKind},
    net::{Protocol, Receive},
    rtp::{ExtensionValues, RtpWrite},
};
use tokio_util::sync::CancellationToken;

/// Longest time that anything may take here: workers have the lowest priority, and wait where a machine is busy.
const PATIENCE: Duration = Duration::from_secs(240);

struct Client {
    rtc: Rtc,
    socket: UdpSocket,
    session: SessionId,
    name: &'static str,
    connected: bool,
    sent: [u64; 2],
    mids: Vec<String>,
    /// Payloads of sound that came.
    heard: Vec<Vec<u8>>,
    /// Packets of pictures that came: number, timestamp, marker, payload.
    seen: Vec<(u64, u32, bool, Vec<u8>)>,
    keyframe_wanted: bool,
}

impl Client {
    fn new(number: u8, name: &'static str, config: RtcConfig) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut rtc = config.set_rtp_mode(true).build(Instant::now());
        rtc.add_local_candidate(Candidate::host(socket.local_addr().unwrap(), "udp").unwrap());
        let session = SessionId([number; 16]);
        Self {
            rtc,
            socket,
            session,
            name,
            connected: false,
            sent: [100; 2],
            mids: Vec::new(),
            heard: Vec::new(),
            seen: Vec::new(),
            keyframe_wanted: false,
        }
    }

    fn turn(&mut self) {
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

    fn drain(&mut self) {
        loop {
            let now = Instant::now();
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(at) if at <= now => self.rtc.handle_input(Input::Timeout(now)).unwrap(),
                Output::Timeout(_) => return,
                Output::Transmit(transmit) => drop(self.socket.send_to(&transmit.contents, transmit.destination)),
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::KeyframeRequest(_)) => self.keyframe_wanted = true,
                Output::Event(Event::RtpPacket(packet)) => {
                    let header = &packet.header;
                    let mid = self.rtc.direct_api().stream_rx(&header.ssrc).unwrap().mid().to_string();
                    if self.mids.get(3) == Some(&mid) {
                        self.seen.push((*packet.seq_no, header.timestamp, header.marker, packet.payload.to_vec()));
                    } else {
                        self.heard.push(packet.payload.to_vec());
                    }
                }
                Output::Event(_) => {}
            }
        }
    }

    /// Sends on the first line, sound, or the second, pictures.
    fn send(&mut self, line: usize, codec: Codec, timestamp: u32, marker: bool, payload: Vec<u8>) {
        let pt = self.rtc.codec_config().find(|params| params.spec().codec == codec).unwrap().pt();
        self.sent[line] += 1;
        let extensions = ExtensionValues {
            audio_level: (line == 0).then_some(-20),
            voice_activity: Some(true),
            ..ExtensionValues::default()
        };
        let write = RtpWrite::new(pt, self.sent[line].into(), timestamp, Instant::now(), payload)
            .marker(marker)
            .ext_vals(extensions)
            .nackable(line == 1);
        let mid = self.mids[line].as_str();
        let mut api = self.rtc.direct_api();
        api.stream_tx_by_mid(mid.into(), None).unwrap().write_rtp(write);
        self.drain();
    }
}

struct Call {
    sfu: Arc<Sfu>,
    studio: Arc<Studio>,
    runtime: tokio::runtime::Runtime,
    room: RoomId,
}

impl Call {
    fn new(recordings: &Path, budget: u32) -> Self {
        let listen = "127.0.0.1:0".parse().unwrap();
        let sfu = Arc::new(
            Sfu::start(&SfuConfig { listen, tcp: true, advertise: None, shards: 1, egress_loss: None }).unwrap(),
        );
        let config = StudioConfig {
            threads: 2,
            budget: Millicores(budget),
            recordings: Some(recordings.to_owned()),
            limits: RecordingLimits { duration: Duration::from_secs(600), bytes: 100_000_000 },
        };
        let studio = Arc::new(Studio::start(sfu.clone(), config).unwrap());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { sfu, studio, runtime, room: "room".parse().unwrap() }
    }

    /// Joins with lines for sound and pictures to send and to receive, on which `wanted` are received.
    fn join(&self, client: &mut Client, wanted: [Option<&str>; 2]) {
        let opening = Opening {
            room: self.room.clone(),
            session: client.session,
            participant: client.name.parse().unwrap(),
            publish: true,
            subscribe: true,
            uplink_kbps: 0,
        };
        self.runtime.block_on(self.sfu.open(opening).unwrap().done()).unwrap().unwrap();
        let mut api = client.rtc.sdp_api();
        let lines = [
            (MediaKind::Audio, Direction::SendOnly),
            (MediaKind::Video, Direction::SendOnly),
            (MediaKind::Audio, Direction::RecvOnly),
            (MediaKind::Video, Direction::RecvOnly),
        ];
        client.mids =
            lines.map(|(kind, direction)| api.add_media(kind, direction, None, None, None).to_string()).into();
        let (offer, pending) = api.apply().unwrap();
        let mid = |index: usize| Mid::parse(&client.mids[index]).unwrap();
        let publish = |index: usize, what: &str, source: &str| Publish {
            mid: mid(index),
            track: format!("{}-{what}", client.name).parse().unwrap(),
            source: source.into(),
        };
        let publish = match client.name {
            "listener" => Vec::new(),
            _ => vec![publish(0, "mic", "microphone"), publish(1, "cam", "camera")],
        };
        let subscribe = wanted.into_iter().zip([2, 3]).filter_map(|(track, line)| {
            Some(Subscribe {
                mid: mid(line),
                track: Some(track?.parse().unwrap()),
                max_height: 0,
                priority: Priority::default(),
            })
        });
        let answer = self
            .sfu
            .negotiate(&self.room, client.session, offer.to_sdp_string(), publish, subscribe.collect())
            .unwrap();
        let answer = self.runtime.block_on(answer.done()).unwrap().unwrap();
        client.rtc.sdp_api().accept_answer(pending, SdpAnswer::from_sdp_string(&answer).unwrap()).unwrap();
        client.drain();
    }
}

/// What a speaker sends: a tone, and a grey picture that gets brighter.
struct Speaker {
    hertz: f64,
    sound: opus::Encoder,
    codec: VideoCodec,
    pictures: Encoder,
    frame: u32,
}

fn tone(hertz: f64, frame: u32) -> Vec<i16> {
    let sample = |n: usize| {
        let at = (frame as usize * FRAME + n) as f64 / 48_000.0;
        ((at * hertz * std::f64::consts::TAU).sin() * 12_000.0) as i16
    };
    (0..FRAME).flat_map(|n| [sample(n); CHANNELS]).collect()
}

/// How much of a signal is a tone of this frequency, in tenths of a second that aren't silent, since what was concealed or left out on a
/// busy machine shifts the phase.
fn shares(signal: &[i16], hertz: f64) -> Vec<f64> {
    signal.chunks_exact(4_800 * CHANNELS).filter_map(|window| windowed(window, hertz)).collect()
}

/// The mean of [`shares`].
fn correlation(signal: &[i16], hertz: f64) -> f64 {
    let shares = shares(signal, hertz);
    shares.iter().sum::<f64>() / shares.len().max(1) as f64
}

/// Tenths of a second in which all of these tones are heard at once. Where a machine is so busy that voices stall one by one, a mean would
/// tell of the stalls.
fn together(signal: &[i16], hertz: [f64; 2]) -> usize {
    let [one, other] = hertz.map(|hertz| shares(signal, hertz));
    one.iter().zip(&other).filter(|(one, other)| **one > 0.4 && **other > 0.4).count()
}

fn windowed(signal: &[i16], hertz: f64) -> Option<f64> {
    let (mut sine, mut cosine, mut power) = (0.0, 0.0, 0.0);
    for (n, sample) in signal.iter().step_by(CHANNELS).enumerate() {
        let (s, c) = (n as f64 / 48_000.0 * hertz * std::f64::consts::TAU).sin_cos();
        sine += f64::from(*sample) * s;
        cosine += f64::from(*sample) * c;
        power += f64::from(*sample).powi(2);
    }
    let length = (signal.len() / CHANNELS) as f64;
    (power / length > 10_000.0).then(|| ((sine * sine + cosine * cosine) / (power * length / 2.0)).sqrt())
}

impl Speaker {
    fn new(hertz: f64, codec: VideoCodec) -> Self {
        let (sound, pictures) = (opus::Encoder::new().unwrap(), Encoder::new(codec, 300, 25));
        Self { hertz, sound, codec, pictures, frame: 0 }
    }

    /// The next 20 ms.
    fn speak(&mut self, client: &mut Client) {
        let n = self.frame;
        self.frame += 1;
        let packet = self.sound.encode(&tone(self.hertz, n)).unwrap();
        client.send(0, Codec::Opus, n * 960, false, packet);
        if n % 2 == 1 {
            return;
        }
        let keyframe = std::mem::take(&mut client.keyframe_wanted);
        let picture = Picture::filled(320, 180, (60 + (n % 100) as u8, 128, 128)).unwrap();
        let Some(frame) = self.pictures.encode(&picture, n * 1_800, keyframe).unwrap() else { return };
        let codec = if self.codec == VideoCodec::Vp8 { Codec::Vp8 } else { Codec::H264 };
        for payload in packets::packetise(self.codec, &frame.data, n as u16) {
            client.send(1, codec, frame.timestamp, payload.marker, payload.payload);
        }
    }
}

/// Lets clients speak in real time until a condition holds.
fn until(what: &str, speakers: &mut [(Client, Speaker)], listener: &mut Client, mut done: impl FnMut(&Client) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    let mut next = Instant::now();
    loop {
        listener.turn();
        speakers.iter_mut().for_each(|(client, _)| client.turn());
        if Instant::now() >= next {
            next += Duration::from_millis(20);
            for (client, speaker) in speakers.iter_mut().filter(|(client, _)| client.connected) {
                speaker.speak(client);
            }
        }
        if done(listener) {
            return;
        }
        let came = (listener.heard.len(), listener.seen.len());
        assert!(Instant::now() < deadline, "in vain: {what}; sounds and pictures that came: {came:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn decoded(packets: &[Vec<u8>]) -> Vec<i16> {
    let mut decoder = opus::Decoder::new().unwrap();
    let samples = packets.iter().map(|packet| decoder.decode(packet).unwrap().to_vec());
    samples.skip(20).flatten().collect()
}

/// Frames of a file: track, milliseconds, key frame, bytes.
fn frames(path: &Path) -> Vec<(u64, i64, bool, Vec<u8>)> {
    let file = std::fs::read(path).unwrap();
    let mut frames = Vec::new();
    let mut rest = file.as_slice();
    while let Some(at) = rest.windows(4).position(|bytes| bytes == [0x1F, 0x43, 0xB6, 0x75]) {
        rest = &rest[at..];
        let cluster = Cluster::read_from(&mut rest).unwrap();
        for frame in cluster.frames().map(Result::unwrap) {
            let FrameData::Single(data) = frame.data else { panic!("laced") };
            frames.push((frame.track_number, frame.timestamp, frame.is_keyframe, data.to_vec()));
        }
    }
    frames
}

#[test]
fn a_call_is_mixed_recorded_and_photographed() {
    let folder = tempfile::tempdir().unwrap();
    let call = Call::new(folder.path(), 2_000);
    let unlimited = RecordingLimits { duration: Duration::MAX, bytes: u64::MAX };
    let early = call.runtime.block_on(call.studio.mix(&call.room));
    assert!(matches!(early, Err(StudioError::Route(_))), "{early:?}");

    let mut ann = Client::new(1, "ann", RtcConfig::new());
    let mut bob = Client::new(2, "bob", RtcConfig::new());
    let mut listener = Client::new(3, "listener", RtcConfig::new());
    let mix = resident::mix();
    call.join(&mut ann, [Some(mix.as_str()), None]);
    call.join(&mut bob, [None; 2]);
    call.join(&mut listener, [Some(mix.as_str()), None]);
    call.runtime.block_on(call.studio.mix(&call.room)).unwrap();
    call.runtime.block_on(call.studio.mix(&call.room)).unwrap();
    assert_eq!(call.studio.figures().reserved, cost::mix(0).0, "one mix per room");
    let mut speakers = [(ann, Speaker::new(400.0, VideoCodec::Vp8)), (bob, Speaker::new(900.0, VideoCodec::H264))];
    until("the mix comes", &mut speakers, &mut listener, |listener| listener.heard.len() > 20);

    let (tracks, whole) = ("tracks".parse().unwrap(), "whole".parse().unwrap());
    for (id, kind) in [(&tracks, RecordingKind::Tracks), (&whole, RecordingKind::Composite)] {
        call.runtime.block_on(call.studio.record(&call.room, id, kind, unlimited)).unwrap();
    }
    let twice = call.runtime.block_on(call.studio.record(&call.room, &tracks, RecordingKind::Tracks, unlimited));
    assert!(matches!(twice, Err(StudioError::Taken(_))), "{twice:?}");
    let pictures = ["ann-cam", "bob-cam"].map(|track| {
        let (studio, room) = (call.studio.clone(), call.room.clone());
        call.runtime.spawn(async move { studio.thumbnail(&room, track.parse().unwrap(), 90).await })
    });
    let from = listener.heard.len();
    // The room's file is made at the lowest priority, so it says itself when there is enough in it: it is written two seconds at a time.
    let file = folder.path().join("whole/composite.webm");
    let written = || std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
    until("three seconds of sound, and a file with some", &mut speakers, &mut listener, |listener| {
        listener.heard.len() > from + 150 && written() > 20_000
    });

    for picture in pictures {
        let file = call.runtime.block_on(picture).unwrap().unwrap();
        let mut decoder = jpeg_decoder::Decoder::new(file.as_slice());
        let pixels = decoder.decode().unwrap();
        assert_eq!((decoder.info().unwrap().width, decoder.info().unwrap().height), (160, 90));
        assert!(pixels.iter().all(|pixel| (pixels[0] - 12..=pixels[0].saturating_add(12)).contains(pixel)), "one grey");
    }

    // Who only listens hears both; who speaks hears the other one.
    let all = decoded(&listener.heard);
    let both = together(&all, [400.0, 900.0]);
    assert!(both >= 5, "half a second of both at least: {both}");
    let others = decoded(&speakers[0].0.heard);
    assert!(others.len() > 50 * FRAME, "{}", others.len());
    assert!(correlation(&others, 900.0) > 0.6, "{}", correlation(&others, 900.0));
    assert!(correlation(&others, 400.0) < 0.25, "{}", correlation(&others, 400.0));

    // A file for each track, each with what was sent.
    let (reason, manifest) = call.runtime.block_on(call.studio.stop_recording(&call.room, &tracks)).unwrap();
    assert_eq!(reason.to_string(), "requested");
    let mut listed: Vec<_> = manifest.files.iter().map(|file| (file.track.as_str(), file.codecs[0].as_str())).collect();
    listed.sort_unstable();
    assert_eq!(listed, [("ann-cam", "VP8"), ("ann-mic", "opus"), ("bob-cam", "H264"), ("bob-mic", "opus")]);
    for file in &manifest.files {
        let path = folder.path().join("tracks").join(&file.name);
        let stored = frames(&path);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), file.bytes);
        assert!(file.duration_ms >= 2_000, "{file:?}");
        assert!(stored[0].2 && stored.windows(2).all(|pair| pair[0].1 < pair[1].1), "{file:?}");
        match file.track.as_str() {
            "ann-mic" => {
                let sound: Vec<_> = stored.into_iter().map(|frame| frame.3).collect();
                assert!(correlation(&decoded(&sound), 400.0) > 0.95);
            }
            "ann-cam" => {
                let mut decoder = Decoder::new(VideoCodec::Vp8).unwrap();
                for (_, _, keyframe, data) in stored {
                    let shown = decoder.decode(&EncodedFrame { data, timestamp: 0, keyframe }).unwrap().unwrap();
                    assert_eq!((shown.width(), shown.height()), (320, 180));
                }
            }
            _ => {}
        }
    }

    // One file with everything.
    let (_, manifest) = call.runtime.block_on(call.studio.stop_recording(&call.room, &whole)).unwrap();
    let stored = frames(&folder.path().join("whole").join(&manifest.files[0].name));
    let (sound, shown): (Vec<_>, Vec<_>) = stored.into_iter().partition(|frame| frame.0 == 1);
    let sound: Vec<_> = sound.into_iter().map(|frame| frame.3).collect();
    let heard = decoded(&sound);
    let both = together(&heard, [400.0, 900.0]);
    assert!(both >= 5, "half a second of both at least: {both}");
    assert!(shown.len() > 10 && shown[0].2, "{}", shown.len());

    let unknown = call.runtime.block_on(call.studio.stop_recording(&call.room, &whole));
    assert!(matches!(unknown, Err(StudioError::Unknown(_))), "told once");
    let figures = call.studio.figures();
    assert_eq!((figures.faults, figures.refused), (0, 0), "{figures:?}");
    call.runtime.block_on(call.studio.stop());
    call.runtime.block_on(call.sfu.stop(CloseReason::Draining));
}

#[test]
fn a_recording_ends_with_its_room_and_a_budget_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let call = Call::new(folder.path(), 50);
    let mut events = call.sfu.events();
    let mut ann = Client::new(1, "ann", RtcConfig::new());
    let mut listener = Client::new(2, "listener", RtcConfig::new());
    call.join(&mut ann, [None; 2]);
    call.join(&mut listener, [Some("ann-mic"), None]);
    let mut speakers = [(ann, Speaker::new(400.0, VideoCodec::Vp8))];
    let limits = RecordingLimits { duration: Duration::MAX, bytes: u64::MAX };
    let id = "rec".parse().unwrap();
    call.runtime.block_on(call.studio.record(&call.room, &id, RecordingKind::Tracks, limits)).unwrap();
    let over = call.runtime.block_on(call.studio.mix(&call.room)).unwrap_err();
    assert!(over.to_string().contains("20 thousandths of a core are left"), "{over}");
    until("sound", &mut speakers, &mut listener, |listener| listener.heard.len() > 30);
    let sessions = call.runtime.block_on(call.sfu.stats(None)).unwrap();
    assert_eq!((sessions.0.sessions, sessions.1.len()), (2, 2), "a resident is no session to the outside");

    let reason = CloseReason::Requested("over".into());
    let closed = call.sfu.close_room(call.room.clone(), reason).unwrap();
    assert_eq!(call.runtime.block_on(closed.done()).unwrap(), 2);
    let ended = call.runtime.block_on(async {
        tokio::time::timeout(PATIENCE, async {
            loop {
                if let Occurrence::RecordingEnded(id, reason) = events.recv().await.unwrap().occurrence {
                    return (id, reason);
                }
            }
        })
        .await
        .unwrap()
    });
    assert_eq!(ended, ("rec".to_owned(), "room-over".to_owned()));
    let (reason, manifest) = call.runtime.block_on(call.studio.stop_recording(&call.room, &id)).unwrap();
    assert_eq!((reason.to_string().as_str(), manifest.files.len()), ("room-over", 2));
    let rooms = call.runtime.block_on(call.sfu.stats(None)).unwrap().0.rooms;
    assert_eq!(rooms, 0, "a resident doesn't keep its room alive");
    call.runtime.block_on(call.studio.stop());
    assert_eq!(call.studio.figures().reserved, 0);
    call.runtime.block_on(call.sfu.stop(CloseReason::Draining));
}

#[test]
fn who_lacks_the_publishers_codec_gets_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let call = Call::new(folder.path(), 1_000);
    let stop = CancellationToken::new();
    let bridging = call.runtime.spawn(call.studio.clone().bridge(stop.clone()));
    let mut ann = Client::new(1, "ann", RtcConfig::new());
    let mut listener =
        Client::new(2, "listener", RtcConfig::new().clear_codecs().enable_opus(true, false).enable_vp8(true));
    call.join(&mut ann, [None; 2]);
    call.join(&mut listener, [None, Some("ann-cam")]);
    let mut speakers = [(ann, Speaker::new(400.0, VideoCodec::H264))];
    until("pictures", &mut speakers, &mut listener, |listener| {
        listener.seen.iter().filter(|(_, _, marker, _)| *marker).count() > 20
    });
    let mut assembler = Assembler::new(VideoCodec::Vp8);
    let mut decoder = Decoder::new(VideoCodec::Vp8).unwrap();
    let mut shown = 0;
    for (seq, timestamp, marker, payload) in std::mem::take(&mut listener.seen) {
        for frame in assembler.push(Instant::now(), seq, timestamp, marker, payload.into()) {
            let picture = decoder.decode(&frame).unwrap().unwrap();
            assert_eq!((picture.width(), picture.height()), (320, 180));
            // One grey, as it was sent.
            let luma = picture.planes()[0];
            assert!(luma.iter().all(|pixel| pixel.abs_diff(luma[0]) < 12));
            shown += 1;
        }
    }
    assert!(shown > 15, "{shown}");
    assert_eq!(call.studio.figures().jobs, 1);
    stop.cancel();
    call.runtime.block_on(bridging).unwrap();
    call.runtime.block_on(call.studio.stop());
    call.runtime.block_on(call.sfu.stop(CloseReason::Draining));
}
