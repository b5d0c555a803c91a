//! The engine on str0m, which negotiates and has ICE, DTLS and SCTP; what comes in over SRTP is the ingress's, what goes out the egress's.

use super::{
    AcceptError, Connection, Engine, Exit, Fault, Happening, Line, LineKind, Offer, Output, PathReport, candidate,
    descriptor,
    format::{fit, format_of},
    offer::Credentials,
    opus,
    route::{Route, TransactionId},
};
use crate::sfu::{
    codec::{Codec, Format},
    egress::{self, ExtensionIds, LineConfig, Sender},
    id::{Mid, Rid},
    ingress::{self, Receiver},
    limits,
    packet::{Channel, Forward, Kind, Packet},
};
use rand::Rng;
use std::{
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use str0m::{
    Candidate, Event, IceConnectionState, IceCreds, Input, Rtc, RtcConfig,
    change::SdpOffer,
    channel::ChannelId,
    config::{CryptoProvider, DtlsCert},
    crypto::from_feature_flags,
    ice::{StunMessage, TransId},
    media::Rids,
    net::{Protocol, Receive},
    rtp::Extension,
};

/// Buffered data below which a full channel takes messages again, in bytes.
const CHANNEL_LOW: usize = 32 * 1024;
/// Header extension id of the dependency descriptor, until a client's offer has another.
const DESCRIPTOR_ID: u8 = 12;
/// An SSRC of no stream.
const NOBODY: u32 = 1;
/// Compound packets of reports that leave in one turn.
const MAX_REPORTS: usize = 16;
/// Timers that are due at once wait so long: a probe's packets leave a few at a time, and never keep a thread to themselves.
const SENDER_STEP: Duration = Duration::from_micros(500);
/// Bytes of a STUN header (RFC 8489 §5), and the fixed ones in it.
const STUN_HEADER: usize = 20;
const STUN_MAGIC: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
/// Most bytes of a check of this side: user names are no longer than 512.
const MAX_CHECK: usize = 700;
/// Priority of a peer-reflexive candidate (RFC 8445 §5.1.2), which a check has to name.
const CHECK_PRIORITY: u32 = (110 << 24) | (65_535 << 8) | 255;
/// Turns of the engine without a datagram or event after which it must wait for the next wake-up.
const MAX_IDLE_TURNS: usize = 200;

/// Makes connections that share one DTLS certificate.
pub struct Str0m {
    crypto: Arc<CryptoProvider>,
    certificate: Option<DtlsCert>,
    tcp: bool,
}

impl Str0m {
    /// An engine with a fresh certificate, on AWS-LC. With `tcp`, answers name the address for TCP, too.
    pub fn new(tcp: bool) -> Self {
        let crypto = egress::tapped(from_feature_flags());
        let certificate = crypto.dtls_provider.generate_certificate();
        Self { crypto: Arc::new(crypto), certificate, tcp }
    }

    fn config(&self) -> RtcConfig {
        let mut config = RtcConfig::new()
            .set_crypto_provider(self.crypto.clone())
            .clear_codecs()
            .enable_opus(true, true)
            .enable_vp8(true)
            .enable_h264(true)
            .enable_vp9(true)
            .enable_av1(true)
            .set_extension(DESCRIPTOR_ID, descriptor::extension())
            .set_stats_interval(Some(Duration::from_secs(1)))
            .set_sctp_max_message_size(limits::MAX_MESSAGE as u32)
            .set_rtp_mode(true);
        if let Some(certificate) = &self.certificate {
            config = config.set_dtls_cert(certificate.clone());
        }
        config
    }
}

impl Engine for Str0m {
    type Connection = Str0mConnection;

    fn open(&self, now: Instant, local: SocketAddr, ufrag_prefix: &str) -> Str0mConnection {
        let mut credentials = IceCreds::new();
        credentials.ufrag.insert_str(0, ufrag_prefix);
        let local_ufrag = credentials.ufrag.clone();
        let mut rtc = self.config().set_ice_lite(true).set_local_ice_credentials(credentials).build(now);
        let keys = egress::take_slot().unwrap_or_default();
        let sender = Sender::new(self.crypto.clone(), keys, now, SystemTime::now());
        if let Ok(candidate) = Candidate::host(local, "udp") {
            rtc.add_local_candidate(candidate);
        }
        Str0mConnection {
            rtc,
            local,
            tcp: self.tcp,
            local_ufrag,
            ufrag_prefix: ufrag_prefix.to_owned(),
            drawn_ufrag: None,
            lines: Vec::new(),
            channels: Vec::new(),
            sender,
            receiver: Receiver::new(now, rand::rng().random()),
            packet: None,
            engine_at: None,
            turned: None,
            route: Route::default(),
            remote: None,
            crypto: self.crypto.clone(),
            spoke: false,
            connected: false,
            told: false,
            faulty: false,
        }
    }
}

/// What the connection remembers of an m-line.
struct Media {
    mid: Mid,
    engine_mid: str0m::media::Mid,
    /// Whether the client receives on it.
    sends: bool,
    /// Whether the client knows redundant audio on it.
    redundancy: bool,
}

/// A connection on str0m.
pub struct Str0mConnection {
    rtc: Rtc,
    local: SocketAddr,
    /// Answers name it for TCP, too.
    tcp: bool,
    /// Changes on an ICE restart only.
    local_ufrag: String,
    /// What it begins with, over ICE restarts too.
    ufrag_prefix: String,
    /// The last one that the engine drew itself, on an ICE restart.
    drawn_ufrag: Option<String>,
    lines: Vec<Media>,
    channels: Vec<(ChannelId, Channel)>,
    sender: Sender,
    receiver: Receiver,
    /// What came just now.
    packet: Option<Packet>,
    /// Until when the engine has nothing to do, unless something comes in.
    engine_at: Option<Instant>,
    /// What time the engine knows.
    turned: Option<Instant>,
    /// Where media goes.
    route: Route,
    /// The client's user name and password, for checks of this side.
    remote: Option<Credentials>,
    crypto: Arc<CryptoProvider>,
    /// The client sent authentic reports, so its side of the handshake is over, or will give no sign of it. Told once.
    spoke: bool,
    connected: bool,
    told: bool,
    faulty: bool,
}

/// Runs engine code such that a panic in it costs one session, not the node.
fn guard<T>(run: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| Fault("the engine failed".into()))
}

impl Connection for Str0mConnection {
    fn accept(&mut self, offer: &str) -> Result<(String, Vec<Line>), AcceptError> {
        let offer = Offer::parse(offer)?;
        self.lend_streams();
        let rtc = self.wake();
        let answer = guard(|| {
            let sdp = SdpOffer::from_sdp_string(&offer.sdp).map_err(|error| error.to_string())?;
            rtc.sdp_api().accept_offer(sdp).map(|answer| answer.to_sdp_string()).map_err(|error| error.to_string())
        });
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                self.take_streams();
                return Err(AcceptError::Engine(error));
            }
            Err(fault) => {
                self.faulty = true;
                return Err(AcceptError::Engine(fault.0));
            }
        };
        self.remote = offer.credentials.clone();
        let answer = opus::keep_parameters(&offer.sdp, &self.keep_prefix(answer));
        let answer = if self.tcp { candidate::with_tcp(&answer) } else { answer };
        self.learn(&offer.lines);
        self.take_streams();
        // Who opens no data channel says nothing before the first report, which may be a second away: the end of the handshake, which it gets before
        // the first packet, is all there is to wait for.
        self.spoke |= !offer.lines.iter().any(|line| line.kind == LineKind::Data);
        let redundancy = opus::with_redundancy(&offer.sdp);
        for line in &mut self.lines {
            line.redundancy = redundancy.contains(&line.mid.as_str());
        }
        Ok((answer, offer.lines))
    }

    fn ufrag(&self) -> String {
        self.local_ufrag.clone()
    }

    fn owns(&self, source: SocketAddr, datagram: &[u8]) -> bool {
        self.input(Instant::now(), source, datagram).is_some_and(|input| self.rtc.accepts(&input))
            || answered(datagram).is_some_and(|transaction| self.route.awaits(source, transaction))
    }

    fn holds(&self, address: SocketAddr) -> bool {
        self.route.is_proven(address)
    }

    fn receive(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) -> Result<(), Fault> {
        if is_rtcp(datagram) {
            let receiver = &mut self.receiver;
            self.spoke |= self.sender.receive(now, datagram, |ssrc, middle| receiver.sender_report(now, ssrc, middle));
            return Ok(());
        }
        if is_rtp(datagram) {
            self.packet = self.receiver.receive(now, datagram, |sealed| self.sender.open(sealed));
            return Ok(());
        }
        let Ok(receive) = Receive::new(Protocol::Udp, source, self.local, datagram) else { return Ok(()) };
        if let Some(transaction) = answered(datagram)
            && self.route.awaits(source, transaction)
        {
            self.route.answer(source, transaction);
            return Ok(());
        }
        self.turned = Some(now);
        let rtc = self.wake();
        match guard(|| rtc.handle_input(Input::Receive(now, receive)))? {
            Ok(()) => {
                if is_stun(datagram) && self.route.destination().is_some_and(|destination| destination != source) {
                    self.look_for_destination();
                }
                Ok(())
            }
            // A malformed datagram is the sender's problem, who may not be our client at all.
            Err(error) if self.rtc.is_alive() => {
                tracing::debug!(%error, "datagram refused by the engine");
                Ok(())
            }
            Err(error) => Err(Fault(error.to_string())),
        }
    }

    fn tick(&mut self, now: Instant) -> Result<(), Fault> {
        self.sender.tick(now);
        self.report(now);
        if self.engine_at.is_some_and(|at| now < at) {
            return Ok(());
        }
        self.engine_at = None;
        self.turn(now)
    }

    fn poll(&mut self, now: Instant) -> Result<Output, Fault> {
        if self.faulty {
            return Err(Fault("the engine failed".into()));
        }
        if let Some(packet) = self.packet.take() {
            return Ok(Output::Happening(Happening::Packet(packet)));
        }
        if let Some((to, transaction)) = self.route.check(now)
            && let Some(check) = self.binding_request(transaction)
        {
            return Ok(Output::Transmit(to, check));
        }
        if let Some(mid) = self.sender.take_keyframe() {
            return Ok(Output::Happening(Happening::KeyframeWanted(mid)));
        }
        if let Some(rate) = self.sender.take_estimate() {
            return Ok(Output::Happening(Happening::Estimate(rate)));
        }
        if self.spoke && self.connected && !std::mem::replace(&mut self.told, true) {
            return Ok(Output::Happening(Happening::Ready));
        }
        self.report(now);
        if let Some(at) = self.engine_at {
            return Ok(Output::Idle(self.idle_until(now, at)));
        }
        // What was given to it, a message for one, would leave by the time of its last turn.
        if self.turned != Some(now) {
            self.turn(now)?;
        }
        for _ in 0..MAX_IDLE_TURNS {
            let rtc = &mut self.rtc;
            match guard(|| rtc.poll_output())?.map_err(|error| Fault(error.to_string()))? {
                str0m::Output::Timeout(at) if at <= now => self.turn(now)?,
                str0m::Output::Timeout(at) => {
                    self.engine_at = Some(at);
                    return Ok(Output::Idle(self.idle_until(now, at)));
                }
                str0m::Output::Transmit(transmit) => {
                    let (mut destination, datagram) = (transmit.destination, Vec::from(transmit.contents));
                    if !is_stun(&datagram) {
                        self.route.lead(now, destination, rand::rng().random());
                        destination = self.route.destination().unwrap_or(destination);
                    }
                    // What it reports is about streams that it doesn't have: only where it sends that is of interest.
                    if !is_rtcp(&datagram) {
                        return Ok(Output::Transmit(destination, datagram));
                    }
                }
                str0m::Output::Event(event) => {
                    if let Some(happening) = self.happening(event) {
                        return Ok(Output::Happening(happening));
                    }
                }
            }
        }
        Ok(Output::Idle(now + Duration::from_millis(1)))
    }

    fn payload_type(&self, mid: Mid, format: &Format) -> Option<u8> {
        let line = self.lines.iter().find(|line| line.mid == mid)?;
        if !line.sends {
            return None;
        }
        let accepted = self.rtc.media(line.engine_mid)?.remote_pts();
        let accepted = self.rtc.codec_config().params().iter().filter(|params| accepted.contains(&params.pt()));
        if format.codec == Codec::Red {
            if !line.redundancy {
                return None;
            }
            return accepted.filter_map(|params| params.red()).next().map(|pt| *pt);
        }
        accepted
            .filter_map(|params| Some((fit(format, &format_of(&params.spec())?)?, *params.pt())))
            // The first of the best, as the client prefers.
            .fold(
                None,
                |best: Option<(u8, u8)>, next| if best.is_none_or(|b| next.0 > b.0) { Some(next) } else { best },
            )
            .map(|(_, pt)| pt)
    }

    fn forward(&mut self, forward: Forward<'_>) {
        self.sender.forward(&forward);
    }

    fn flush(&mut self, now: Instant, exit: &mut dyn Exit) {
        self.sender.drain(now, self.route.destination(), exit);
    }

    fn request_keyframe(&mut self, mid: Mid, rid: Option<Rid>) {
        self.receiver.request_keyframe(mid, rid);
    }

    fn limit_uplink(&mut self, kbps: u32) {
        self.receiver.limit(kbps);
    }

    fn send(&mut self, channel: Channel, message: &[u8]) -> Result<bool, Fault> {
        let Some((id, _)) = self.channels.iter().find(|(_, open)| *open == channel) else { return Ok(false) };
        let id = *id;
        let rtc = self.wake();
        match guard(|| rtc.channel(id).map(|mut channel| channel.write(true, message)))? {
            Some(Ok(written)) => Ok(written),
            Some(Err(error)) => {
                tracing::debug!(%error, "data message refused by the engine");
                Ok(false)
            }
            None => Ok(false),
        }
    }

    fn want_bitrate(&mut self, kbps: u32) {
        self.sender.want(kbps);
    }

    fn close(&mut self) {
        if let Err(error) = self.wake().close() {
            tracing::debug!(%error, "closing");
        }
    }
}

impl Str0mConnection {
    /// Until when there is nothing to do if the engine has nothing to do until `at`.
    fn idle_until(&self, now: Instant, at: Instant) -> Instant {
        let own = [self.receiver.next_at(now), Some(self.sender.next_at())].into_iter().flatten().min();
        let at = own.map_or(at, |own| at.min(own.max(now + SENDER_STEP)));
        self.route.next_at().map_or(at, |check| at.min(check)).max(now)
    }

    /// A check of this side, if the client's password is known.
    fn binding_request(&self, transaction: TransactionId) -> Option<Vec<u8>> {
        let remote = self.remote.as_ref()?;
        let name = format!("{}:{}", remote.ufrag, self.local_ufrag);
        let request = StunMessage::binding_request(&name, stun_id(transaction)?, false, 0, CHECK_PRIORITY, false);
        let mut bytes = vec![0; MAX_CHECK];
        let sha1 = self.crypto.sha1_hmac_provider;
        let length =
            request.to_bytes(Some(remote.password.as_bytes()), &mut bytes, |key, parts| sha1.sha1_hmac(key, parts));
        bytes.truncate(length.ok()?);
        Some(bytes)
    }

    fn input<'a>(&self, now: Instant, source: SocketAddr, datagram: &'a [u8]) -> Option<Input<'a>> {
        Some(Input::Receive(now, Receive::new(Protocol::Udp, source, self.local, datagram).ok()?))
    }

    /// Tells the engine the time.
    fn turn(&mut self, now: Instant) -> Result<(), Fault> {
        self.turned = Some(now);
        let rtc = &mut self.rtc;
        guard(|| rtc.handle_input(Input::Timeout(now)))?.map_err(|error| Fault(error.to_string()))
    }

    /// Says what is due about what the client sends.
    fn report(&mut self, now: Instant) {
        let rtt = self.sender.rtt();
        for _ in 0..MAX_REPORTS {
            if self.receiver.next_at(now).is_none_or(|at| at > now) {
                return;
            }
            let receiver = &mut self.receiver;
            self.sender.report(|out| receiver.report(now, rtt, out));
        }
    }

    /// The engine, to be given something to do.
    fn wake(&mut self) -> &mut Rtc {
        self.engine_at = None;
        &mut self.rtc
    }

    /// An ICE restart gives this side new credentials, which the engine draws by itself: the user name gets its prefix again, or the
    /// client's next datagrams could not be brought to this shard.
    fn keep_prefix(&mut self, mut answer: String) -> String {
        let mut credentials = self.rtc.direct_api().local_ice_credentials();
        if credentials.ufrag != self.local_ufrag {
            let drawn = credentials.ufrag.clone();
            credentials.ufrag.insert_str(0, &self.ufrag_prefix);
            self.local_ufrag.clone_from(&credentials.ufrag);
            answer =
                answer.replace(&format!("a=ice-ufrag:{drawn}\r\n"), &format!("a=ice-ufrag:{}\r\n", self.local_ufrag));
            self.rtc.direct_api().set_local_ice_credentials(credentials);
            self.drawn_ufrag = Some(drawn);
        }
        // The engine's candidates go on bearing the name that it drew.
        match &self.drawn_ufrag {
            Some(drawn) => answer.replace(&format!(" ufrag {drawn}"), &format!(" ufrag {}", self.local_ufrag)),
            None => answer,
        }
    }

    /// Learns what the negotiation made of the m-lines.
    fn learn(&mut self, lines: &[Line]) {
        self.local_ufrag = self.rtc.direct_api().local_ice_credentials().ufrag;
        let mut config = ingress::Config::default();
        for params in self.rtc.codec_config().params() {
            let format = format_of(&params.spec());
            if let Some(slot) = config.formats.get_mut(usize::from(*params.pt())) {
                *slot = format;
            }
            if let Some(slot) = params.red().and_then(|pt| config.formats.get_mut(usize::from(*pt))) {
                *slot = format.map(|format| Format { codec: Codec::Red, blocks: Some(*params.pt()), ..format });
            }
            config.repairs.extend(params.resend().map(|repair| (*repair, *params.pt())));
        }
        let mut sending = Vec::new();
        for line in lines {
            let LineKind::Media(kind) = line.kind else { continue };
            let engine_mid = str0m::media::Mid::from(line.mid.as_str());
            let sends = self.rtc.media(engine_mid).is_some_and(|media| media.direction().is_sending());
            let line_config = if sends { self.line_config(line.mid, engine_mid, kind) } else { None };
            let sender = line_config.is_some();
            sending.extend(line_config);
            self.learn_received(line.mid, engine_mid, kind, &mut config);
            match self.lines.iter_mut().find(|known| known.mid == line.mid) {
                Some(known) => known.sends = sender,
                None => self.lines.push(Media { mid: line.mid, engine_mid, sends: sender, redundancy: false }),
            }
        }
        self.sender.learn(sending);
        self.receiver.learn(config);
        self.lines.retain(|known| lines.iter().any(|line| line.mid == known.mid));
    }

    fn happening(&mut self, event: Event) -> Option<Happening> {
        match event {
            Event::Connected => {
                self.connected = true;
                self.route.establish();
                Some(Happening::Connected)
            }
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => Some(Happening::Lost),
            Event::IceConnectionStateChange(IceConnectionState::Connected | IceConnectionState::Completed) => {
                Some(Happening::Regained)
            }
            Event::Closed => Some(Happening::Closed),
            Event::ChannelOpen(id, label) => {
                let channel = Channel::by_label(&label)?;
                self.channels.retain(|(_, known)| *known != channel);
                self.channels.push((id, channel));
                self.rtc.channel(id)?.set_buffered_amount_low_threshold(CHANNEL_LOW);
                Some(Happening::ChannelOpen(channel))
            }
            Event::ChannelClose(id) => {
                self.channels.retain(|(known, _)| *known != id);
                None
            }
            Event::ChannelBufferedAmountLow(id) => self.channel(id).map(Happening::ChannelReady),
            Event::ChannelData(data) => self.channel(data.id).map(|channel| Happening::Message(channel, data.data)),
            Event::PeerStats(_) => {
                Some(Happening::Path(PathReport { uplink: self.receiver.uplink(), ..self.sender.path() }))
            }
            _ => None,
        }
    }

    fn channel(&self, id: ChannelId) -> Option<Channel> {
        self.channels.iter().find(|(known, _)| *known == id).map(|(_, channel)| *channel)
    }

    /// Learns what was negotiated for an m-line, if the client sends on it.
    fn learn_received(&mut self, mid: Mid, engine_mid: str0m::media::Mid, kind: Kind, config: &mut ingress::Config) {
        let Some(media) = self.rtc.media(engine_mid).filter(|media| media.direction().is_receiving()) else { return };
        let ids = media.remote_extmap();
        let extensions = [
            (Extension::TransportSequenceNumber, ingress::Extension::TransportSeq),
            (Extension::AudioLevel, ingress::Extension::AudioLevel),
            (Extension::VideoOrientation, ingress::Extension::Orientation),
            (Extension::RtpMid, ingress::Extension::Mid),
            (Extension::RtpStreamId, ingress::Extension::Rid),
            (Extension::RepairedRtpStreamId, ingress::Extension::RepairedRid),
            (descriptor::extension(), ingress::Extension::Descriptor),
        ];
        for (extension, read) in extensions {
            if let Some(id) = ids.id_of(extension)
                && !config.extensions.contains(&(id, read))
            {
                config.extensions.push((id, read));
            }
        }
        let rids = match media.rids_rx() {
            Rids::Specific(rids) => Some(rids.iter().filter_map(|rid| Rid::parse(rid)).collect()),
            Rids::None | Rids::Any => None,
        };
        // The engine has no streams of clients: it would report on them. Each offer names them anew.
        let mut api = self.rtc.direct_api();
        let mut sources = Vec::new();
        while let Some(stream) = api.stream_rx_by_mid(engine_mid, None) {
            let ssrc = stream.ssrc();
            sources.push((*ssrc, stream.rtx().map(|rtx| *rtx)));
            if !api.remove_stream_rx(ssrc) {
                break;
            }
        }
        config.lines.push(ingress::LineConfig { mid, kind, rids, sources });
    }

    /// What was negotiated for an m-line that the client receives on.
    fn line_config(&mut self, mid: Mid, engine_mid: str0m::media::Mid, kind: Kind) -> Option<LineConfig> {
        let media = self.rtc.media(engine_mid)?;
        let ids = media.remote_extmap();
        let extensions = ExtensionIds {
            transport_cc: ids.id_of(Extension::TransportSequenceNumber),
            audio_level: ids.id_of(Extension::AudioLevel),
            orientation: ids.id_of(Extension::VideoOrientation),
            send_time: ids.id_of(Extension::AbsoluteSendTime),
            mid: ids.id_of(Extension::RtpMid),
            descriptor: ids.id_of(descriptor::extension()),
        };
        let cname = media.cname().to_owned();
        let resends = self.rtc.codec_config().params();
        let resends = resends.iter().filter_map(|params| Some((*params.pt(), *params.resend()?))).collect();
        let mut api = self.rtc.direct_api();
        let stream = api.stream_tx_by_mid(engine_mid, None)?;
        let (ssrc, rtx) = (*stream.ssrc(), stream.rtx().map(|rtx| *rtx));
        Some(LineConfig { mid, kind, ssrc, rtx, resends, extensions, cname })
    }

    /// Gives the engine the streams towards the client, which it has to name when it negotiates.
    fn lend_streams(&mut self) {
        for (mid, ssrc, rtx) in self.sender.streams() {
            if let Some(line) = self.lines.iter().find(|line| line.mid == mid)
                && self.rtc.media(line.engine_mid).is_some()
            {
                let mut api = self.rtc.direct_api();
                api.declare_stream_tx(ssrc.into(), rtx.map(Into::into), line.engine_mid, None);
            }
        }
    }

    /// Takes them away again: nothing is sent on them by the engine, and it looks at each of them with each packet that comes in.
    fn take_streams(&mut self) {
        let mut api = self.rtc.direct_api();
        for (_, ssrc, _) in self.sender.streams() {
            api.remove_stream_tx(ssrc.into());
        }
    }

    /// Lets the engine send something to where it sends now, which it tells in no other way: a request to ourselves, of which nothing leaves.
    fn look_for_destination(&mut self) {
        self.wake().direct_api().send_pli_feedback(NOBODY.into(), NOBODY.into());
    }
}

/// The engine's type for a transaction id, which it makes of its own randomness otherwise: that is not meant to keep a secret.
fn stun_id(transaction: TransactionId) -> Option<TransId> {
    let mut indication = [0; STUN_HEADER];
    let head = [0x00, 0x11, 0, 0].into_iter().chain(STUN_MAGIC).chain(transaction);
    indication.iter_mut().zip(head).for_each(|(to, from)| *to = from);
    StunMessage::parse(&indication).ok().map(|message| message.trans_id())
}

/// The transaction that a datagram is the answer to (RFC 8489 §5): a success response to a binding request.
fn answered(datagram: &[u8]) -> Option<TransactionId> {
    let (head, rest) = datagram.split_at_checked(8)?;
    let answers = matches!(head, [1, 1, _, _, magic @ ..] if *magic == STUN_MAGIC);
    rest.first_chunk().filter(|_| answers).copied()
}

/// Whether a datagram is SRTCP (RFC 7983, RFC 5761 §4).
fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [128..=191, 192..=223, ..])
}

/// Whether a datagram is SRTP (RFC 7983, RFC 5761 §4).
fn is_rtp(datagram: &[u8]) -> bool {
    matches!(datagram, [128..=191, ..]) && !is_rtcp(datagram)
}

fn is_stun(datagram: &[u8]) -> bool {
    matches!(datagram, [0..=3, ..])
}

/// The receiver's part of a STUN message's USERNAME.
pub fn stun_ufrag(datagram: &[u8]) -> Option<&str> {
    if datagram.first().is_none_or(|byte| *byte > 3) {
        return None;
    }
    let message = StunMessage::parse(datagram).ok()?;
    message.username()?.split_once(':').map(|(local, _)| local)
}

#[cfg(test)]
mod tests {
    use super::*;
    use str0m::media::{Direction, MediaKind};

    #[test]
    fn the_user_name_keeps_its_prefix_over_ice_restarts() {
        let now = Instant::now();
        let mut connection = Str0m::new(true).open(now, "127.0.0.1:9".parse().unwrap(), "03");
        let mut client = RtcConfig::new().build(now);
        let mut names = Vec::new();
        for restart in [false, true, false, true] {
            let mut api = client.sdp_api();
            api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
            if restart {
                api.ice_restart(true);
            }
            let (offer, pending) = api.apply().unwrap();
            let (answer, _) = connection.accept(&offer.to_sdp_string()).unwrap();
            let name = connection.ufrag();
            assert!(name.starts_with("03"), "{name}");
            assert_eq!(connection.rtc.direct_api().local_ice_credentials().ufrag, name);
            // The client hears that name, and no other.
            let told = answer.lines().filter_map(|line| line.strip_prefix("a=ice-ufrag:"));
            let told = told.chain(answer.lines().filter_map(|line| Some(line.split_once(" ufrag ")?.1)));
            assert!(told.clone().count() > 0 && told.clone().all(|told| told == name), "{answer}");
            let answer = str0m::change::SdpAnswer::from_sdp_string(&answer).unwrap();
            client.sdp_api().accept_answer(pending, answer).unwrap();
            names.push(name);
        }
        assert_ne!(names[0], names[1], "a restart changes it");
        assert_eq!(names[1], names[2], "another offer does not");
        assert_ne!(names[2], names[3]);
    }
}
