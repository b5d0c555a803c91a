//! Session descriptions, as far as two ends that know what they want need them (RFC 8866, RFC 8829).

use std::{fmt::Write, net::SocketAddr};

/// URI of the transport-wide sequence number's extension.
const TRANSPORT: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
/// URI of the m-line's name.
const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
/// URI of the layer's name.
const RID: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
/// URI of the layer's name on retransmissions.
const REPAIRED: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";
/// URI of the audio level.
const LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";

/// Audio or video.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Opus.
    Audio,
    /// VP8.
    Video,
}

impl Kind {
    /// The clock of its timestamps, in Hz.
    pub fn clock(self) -> u32 {
        match self {
            Kind::Audio => 48_000,
            Kind::Video => 90_000,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Audio => "audio",
            Kind::Video => "video",
        }
    }
}

/// Which way an m-line goes, for the one who writes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// It sends.
    Send,
    /// It receives.
    Receive,
}

/// Payload types and extension ids; 0: not negotiated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Numbers {
    /// The codec's payload type.
    pub payload_type: u8,
    /// Retransmissions' payload type (RFC 4588).
    pub rtx: u8,
    /// Transport-wide sequence number.
    pub transport: u8,
    /// The m-line's name.
    pub mid: u8,
    /// The layer's name.
    pub rid: u8,
    /// The layer's name on retransmissions.
    pub repaired: u8,
    /// Audio level.
    pub level: u8,
}

impl Numbers {
    /// What an offer of the generator's names.
    pub fn ours(kind: Kind) -> Self {
        match kind {
            Kind::Audio => Self { payload_type: 111, rtx: 0, transport: 3, mid: 4, rid: 0, repaired: 0, level: 1 },
            Kind::Video => Self { payload_type: 96, rtx: 97, transport: 3, mid: 4, rid: 10, repaired: 11, level: 0 },
        }
    }
}

/// An m-line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// Its name.
    pub mid: String,
    /// What it carries.
    pub kind: Kind,
    /// For the one whose description it is.
    pub direction: Direction,
    /// Its numbers.
    pub numbers: Numbers,
    /// SSRCs that it sends with: media, then retransmissions. Empty with layers, which go by name.
    pub ssrcs: Vec<u32>,
    /// Names of simulcast layers that it sends.
    pub layers: Vec<String>,
}

/// One side of a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Description {
    /// ICE user name fragment.
    pub ufrag: String,
    /// ICE password.
    pub password: String,
    /// SHA-256 of the certificate, as hexadecimal pairs with colons.
    pub fingerprint: String,
    /// Where it can be reached.
    pub candidate: Option<SocketAddr>,
    /// Its m-lines.
    pub lines: Vec<Line>,
}

/// A description is not what a client can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Something that each description has isn't there.
    #[error("the description has no {0}")]
    Missing(&'static str),
}

impl Description {
    /// The text; the writer begins the DTLS handshake.
    pub fn text(&self) -> String {
        // What all lines share is said once: Janus reads no more than 8 KiB.
        let Self { ufrag, password, fingerprint, .. } = self;
        let mut text = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\n\
             a=fingerprint:sha-256 {fingerprint}\r\na=setup:active\r\na=group:BUNDLE"
        );
        for line in &self.lines {
            let _ = write!(text, " {}", line.mid);
        }
        text.push_str("\r\n");
        for (index, line) in self.lines.iter().enumerate() {
            line.write(&mut text);
            if let Some(candidate) = self.candidate.filter(|_| index == 0) {
                let (ip, port) = (candidate.ip(), candidate.port());
                let _ = write!(text, "a=candidate:1 1 udp 2130706431 {ip} {port} typ host\r\na=end-of-candidates\r\n");
            }
        }
        text
    }

    /// Reads the other side's description. Of codecs, VP8, Opus and VP8's retransmissions are seen.
    pub fn read(text: &str) -> Result<Self, SdpError> {
        let mut all = Self {
            ufrag: String::new(),
            password: String::new(),
            fingerprint: String::new(),
            candidate: None,
            lines: Vec::new(),
        };
        let none = Numbers { payload_type: 0, rtx: 0, transport: 0, mid: 0, rid: 0, repaired: 0, level: 0 };
        for line in text.lines().map(str::trim_end) {
            if let Some(media) = line.strip_prefix("m=") {
                let kind = if media.starts_with("audio") { Kind::Audio } else { Kind::Video };
                let (direction, ssrcs) = (Direction::Send, Vec::new());
                all.lines.push(Line { mid: String::new(), kind, direction, numbers: none, ssrcs, layers: Vec::new() });
                continue;
            }
            let Some((name, value)) = line.strip_prefix("a=").map(|line| line.split_once(':').unwrap_or((line, "")))
            else {
                continue;
            };
            match name {
                "ice-ufrag" => all.ufrag = value.into(),
                "ice-pwd" => all.password = value.into(),
                "fingerprint" => all.fingerprint = value.split_once(' ').map_or("", |(_, print)| print).into(),
                "candidate" if all.candidate.is_none() => all.candidate = candidate(value),
                _ => {
                    if let Some(line) = all.lines.last_mut() {
                        attribute(line, name, value);
                    }
                }
            }
        }
        let missing = [("ice-ufrag", all.ufrag.is_empty()), ("fingerprint", all.fingerprint.is_empty())];
        match missing.into_iter().find(|(_, missing)| *missing) {
            Some((what, _)) => Err(SdpError::Missing(what)),
            None => Ok(all),
        }
    }
}

impl Line {
    fn write(&self, text: &mut String) {
        let Numbers { payload_type, rtx, transport, mid, rid, repaired, level } = self.numbers;
        let mut add = |arguments: std::fmt::Arguments<'_>| {
            let _ = write!(text, "{arguments}\r\n");
        };
        let with_rtx = if rtx > 0 { format!(" {rtx}") } else { String::new() };
        add(format_args!("m={} 9 UDP/TLS/RTP/SAVPF {payload_type}{with_rtx}", self.kind.name()));
        add(format_args!("c=IN IP4 0.0.0.0"));
        add(format_args!("a=mid:{}", self.mid));
        add(format_args!("a=rtcp-mux"));
        add(format_args!("a=rtcp-rsize"));
        add(format_args!("{}", if self.direction == Direction::Send { "a=sendonly" } else { "a=recvonly" }));
        match self.kind {
            Kind::Audio => {
                add(format_args!("a=rtpmap:{payload_type} opus/48000/2"));
                add(format_args!("a=fmtp:{payload_type} minptime=10;useinbandfec=1"));
            }
            Kind::Video => {
                add(format_args!("a=rtpmap:{payload_type} VP8/90000"));
                add(format_args!("a=rtcp-fb:{payload_type} nack"));
                add(format_args!("a=rtcp-fb:{payload_type} nack pli"));
                add(format_args!("a=rtcp-fb:{payload_type} ccm fir"));
            }
        }
        if transport > 0 {
            add(format_args!("a=rtcp-fb:{payload_type} transport-cc"));
        }
        if rtx > 0 {
            add(format_args!("a=rtpmap:{rtx} rtx/90000"));
            add(format_args!("a=fmtp:{rtx} apt={payload_type}"));
        }
        for (id, uri) in [(transport, TRANSPORT), (mid, MID), (rid, RID), (repaired, REPAIRED), (level, LEVEL)] {
            if id > 0 {
                add(format_args!("a=extmap:{id} {uri}"));
            }
        }
        if let [media, resent] = self.ssrcs.as_slice() {
            add(format_args!("a=ssrc-group:FID {media} {resent}"));
        }
        self.ssrcs.iter().for_each(|ssrc| add(format_args!("a=ssrc:{ssrc} cname:load")));
        if !self.layers.is_empty() {
            self.layers.iter().for_each(|layer| add(format_args!("a=rid:{layer} send")));
            add(format_args!("a=simulcast:send {}", self.layers.join(";")));
        }
    }
}

fn attribute(line: &mut Line, name: &str, value: &str) {
    let (first, rest) = value.split_once(' ').unwrap_or((value, ""));
    let number = first.split('/').next().and_then(|number| number.parse().ok()).unwrap_or(0);
    let numbers = &mut line.numbers;
    match name {
        "mid" => line.mid = value.into(),
        "ssrc-group" if first == "FID" => line.ssrcs = rest.split(' ').filter_map(|ssrc| ssrc.parse().ok()).collect(),
        "simulcast" if first == "send" => line.layers = rest.split(';').map(str::to_owned).collect(),
        "recvonly" => line.direction = Direction::Receive,
        "rtpmap" if numbers.payload_type == 0 && (rest.starts_with("VP8/") || rest.starts_with("opus/")) => {
            numbers.payload_type = number;
        }
        "fmtp" if numbers.rtx == 0 && rest == format!("apt={}", numbers.payload_type) => numbers.rtx = number,
        "extmap" if rest.starts_with(TRANSPORT) => numbers.transport = number,
        "extmap" if rest.starts_with(MID) => numbers.mid = number,
        "extmap" if rest == RID => numbers.rid = number,
        "extmap" if rest == REPAIRED => numbers.repaired = number,
        "extmap" if rest.starts_with(LEVEL) => numbers.level = number,
        _ => {}
    }
}

/// `foundation component transport priority address port typ …`
fn candidate(value: &str) -> Option<SocketAddr> {
    let words: Vec<&str> = value.split(' ').collect();
    let [_, _, transport, _, address, port, ..] = words.as_slice() else { return None };
    let address = SocketAddr::new(address.parse().ok()?, port.parse().ok()?);
    (transport.eq_ignore_ascii_case("udp") && address.is_ipv4()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let line = |mid: &str, kind, direction| Line {
            mid: mid.into(),
            kind,
            direction,
            numbers: Numbers::ours(kind),
            ssrcs: vec![],
            layers: vec![],
        };
        let mut video = line("1", Kind::Video, Direction::Send);
        video.ssrcs = vec![5, 6];
        let mut layered = line("2", Kind::Video, Direction::Send);
        layered.layers = ["l", "m", "h"].map(String::from).to_vec();
        let description = Description {
            ufrag: "user".into(),
            password: "secret".into(),
            fingerprint: "AB:CD".into(),
            candidate: Some("127.1.0.1:5000".parse().unwrap()),
            lines: vec![line("0", Kind::Audio, Direction::Receive), video.clone(), layered],
        };
        let text = description.text();
        assert!(text.contains("a=rid:m send\r\n") && text.contains("a=simulcast:send l;m;h\r\n"));
        assert!(text.contains("a=ssrc-group:FID 5 6\r\n"));
        assert_eq!(Description::read(&text).unwrap(), description);
        assert_eq!(Description::read("v=0\r\n"), Err(SdpError::Missing("ice-ufrag")));
    }

    #[test]
    fn only_udp_candidates_count() {
        assert_eq!(candidate("1 1 tcp 5 127.0.0.1 9 typ host"), None);
        assert_eq!(candidate("1 1 UDP 5 127.0.0.1 9 typ host"), "127.0.0.1:9".parse().ok());
        assert_eq!(candidate("1 1 udp"), None);
    }
}
