//! What the router must know of an SDP offer (RFC 8866), and what is taken out before the engine reads it.

use crate::sfu::{
    id::{Mid, Rid},
    limits,
    packet::Kind,
};
use std::collections::BTreeSet;

/// An offer is malformed or beyond the limits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// Longer than allowed.
    #[error("it has {0} bytes, at most {max} are taken", max = limits::MAX_SDP)]
    TooLong(usize),
    /// More m-lines than allowed.
    #[error("it has more than {max} m-lines", max = limits::MAX_LINES)]
    TooManyLines,
    /// An m-line without a mid, or with one that isn't 1 to 16 letters and digits.
    #[error("m-line {0} has no a=mid of 1 to 16 letters and digits")]
    BadMid(usize),
    /// Two m-lines with one mid.
    #[error("mid {0} occurs twice")]
    DuplicateMid(Mid),
    /// More layers than allowed.
    #[error("m-line {0} has more than {max} simulcast layers", max = limits::MAX_LAYERS)]
    TooManyLayers(Mid),
    /// Nothing in it.
    #[error("it has no m-lines")]
    Empty,
    /// Control characters or bytes beyond ASCII that SDP attributes of WebRTC never need.
    #[error("line {0} has control characters")]
    ControlCharacters(usize),
}

/// What an m-line carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineKind {
    /// Audio or video.
    Media(Kind),
    /// Data channels.
    Data,
}

/// An m-line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// Its id.
    pub mid: Mid,
    /// What it carries.
    pub kind: LineKind,
    /// Whether the client sends on it.
    pub client_sends: bool,
    /// Whether the client receives on it.
    pub client_receives: bool,
    /// The simulcast layers that the client sends, in the offer's order.
    pub layers: Vec<Rid>,
}

/// An ICE agent's user name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name's fragment.
    pub ufrag: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

/// An offer, read and cleaned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// The text for the engine: without candidates, which an ICE-lite agent doesn't need (it learns addresses from checks that
    /// carry the right password) and which hold addresses that nobody here should see.
    pub sdp: String,
    /// The m-lines.
    pub lines: Vec<Line>,
    /// The client's certificate: its fingerprints, in lower case. A peer connection keeps it for life, so others are of another
    /// peer connection (RFC 8842, section 4).
    pub fingerprints: BTreeSet<String>,
    /// The client's ICE user name and password: of the first m-line, as all are bundled with it.
    pub credentials: Option<Credentials>,
}

#[derive(Default)]
struct Section {
    kind: Option<LineKind>,
    mid: Option<String>,
    sends: bool,
    receives: bool,
    rejected: bool,
    rids: Vec<String>,
    simulcast: Vec<String>,
}

impl Offer {
    /// Reads an offer.
    pub fn parse(text: &str) -> Result<Self, OfferError> {
        if text.len() > limits::MAX_SDP {
            return Err(OfferError::TooLong(text.len()));
        }
        let mut sdp = String::with_capacity(text.len());
        let mut sections: Vec<Section> = Vec::new();
        let mut fingerprints = BTreeSet::new();
        let (mut ufrag, mut password) = (None, None);
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_end();
            if line.is_empty() {
                continue;
            }
            if line.chars().any(|c| c.is_control() && c != '\t') {
                return Err(OfferError::ControlCharacters(number + 1));
            }
            if line.starts_with("a=candidate:") || line == "a=end-of-candidates" {
                continue;
            }
            sdp.push_str(line);
            sdp.push_str("\r\n");
            if let Some(told) = line.strip_prefix("a=ice-ufrag:") {
                ufrag.get_or_insert(told);
            } else if let Some(told) = line.strip_prefix("a=ice-pwd:") {
                password.get_or_insert(told);
            }
            if let Some(fingerprint) = line.strip_prefix("a=fingerprint:") {
                fingerprints.insert(fingerprint.trim().to_ascii_lowercase());
                continue;
            }
            if let Some(media) = line.strip_prefix("m=") {
                if sections.len() == limits::MAX_LINES {
                    return Err(OfferError::TooManyLines);
                }
                let mut words = media.split(' ');
                let kind = match words.next() {
                    Some("audio") => Some(LineKind::Media(Kind::Audio)),
                    Some("video") => Some(LineKind::Media(Kind::Video)),
                    Some("application") => Some(LineKind::Data),
                    _ => None,
                };
                let rejected = words.next() == Some("0");
                sections.push(Section { kind, sends: true, receives: true, rejected, ..Section::default() });
                continue;
            }
            let Some(section) = sections.last_mut() else { continue };
            match line {
                "a=sendrecv" => (section.sends, section.receives) = (true, true),
                "a=sendonly" => (section.sends, section.receives) = (true, false),
                "a=recvonly" => (section.sends, section.receives) = (false, true),
                "a=inactive" => (section.sends, section.receives) = (false, false),
                "a=bundle-only" => section.rejected = false,
                _ => attribute(line, section),
            }
        }
        if sections.is_empty() {
            return Err(OfferError::Empty);
        }
        let mut lines: Vec<Line> = Vec::with_capacity(sections.len());
        for (index, section) in sections.into_iter().enumerate() {
            let mid = section
                .mid
                .as_deref()
                .filter(|mid| mid.bytes().all(|byte| byte.is_ascii_alphanumeric()))
                .and_then(Mid::parse)
                .ok_or(OfferError::BadMid(index))?;
            if lines.iter().any(|line| line.mid == mid) {
                return Err(OfferError::DuplicateMid(mid));
            }
            let Some(kind) = section.kind else { continue };
            let names = if section.simulcast.is_empty() { &section.rids } else { &section.simulcast };
            if names.len() > limits::MAX_LAYERS {
                return Err(OfferError::TooManyLayers(mid));
            }
            lines.push(Line {
                mid,
                kind,
                client_sends: section.sends && !section.rejected,
                client_receives: section.receives && !section.rejected,
                layers: names.iter().filter_map(|name| Rid::parse(name)).collect(),
            });
        }
        let credentials = ufrag.zip(password).map(|(ufrag, password)| Credentials {
            ufrag: ufrag.trim().to_owned(),
            password: password.trim().to_owned(),
        });
        Ok(Self { sdp, lines, fingerprints, credentials })
    }
}

fn attribute(line: &str, section: &mut Section) {
    if let Some(mid) = line.strip_prefix("a=mid:") {
        section.mid = Some(mid.trim().to_owned());
    } else if let Some(rid) = line.strip_prefix("a=rid:") {
        let mut words = rid.split(' ');
        if let (Some(name), Some("send")) = (words.next(), words.next())
            && section.rids.len() <= limits::MAX_LAYERS
        {
            section.rids.push(name.to_owned());
        }
    } else if let Some(simulcast) = line.strip_prefix("a=simulcast:") {
        // `send a;b;c [recv …]`; alternatives (`,`) don't occur in practice: the first counts; `~` marks a paused layer.
        let mut words = simulcast.trim().split(' ');
        while let Some(word) = words.next() {
            let Some(list) = words.next() else { break };
            if word == "send" {
                section.simulcast = list
                    .split(';')
                    .take(limits::MAX_LAYERS + 1)
                    .map(|group| group.split(',').next().unwrap_or_default().trim_start_matches('~').to_owned())
                    .collect();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CHROME: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2 3\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendonly\r\na=candidate:1 1 udp 1 x.local 9 typ host\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=sendonly\r\na=rid:q send\r\na=rid:h send\r\na=rid:f send\r\n\
        a=simulcast:send q;h;~f\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:2\r\na=recvonly\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:3\r\n";

    #[test]
    fn lines_directions_and_layers_are_read_and_candidates_left_out() {
        let offer = Offer::parse(CHROME).unwrap();
        assert!(!offer.sdp.contains("candidate"));
        let read: Vec<_> = offer
            .lines
            .iter()
            .map(|line| (line.mid.as_str().to_owned(), line.client_sends, line.client_receives, line.layers.len()))
            .collect();
        let expected = [("0", true, false, 0), ("1", true, false, 3), ("2", false, true, 0), ("3", true, true, 0)];
        assert_eq!(read, expected.map(|(mid, s, r, l)| (mid.to_owned(), s, r, l)));
        assert_eq!(offer.lines[1].layers.iter().map(|rid| rid.as_str()).collect::<Vec<_>>(), ["q", "h", "f"]);
    }

    #[test]
    fn bad_offers_are_refused_with_a_reason() {
        assert_eq!(Offer::parse("v=0\r\n"), Err(OfferError::Empty));
        assert_eq!(Offer::parse("m=audio 9 x 0\r\n"), Err(OfferError::BadMid(0)));
        let twice = "m=audio 9 x 0\r\na=mid:a\r\nm=audio 9 x 0\r\na=mid:a\r\n";
        assert!(matches!(Offer::parse(twice), Err(OfferError::DuplicateMid(_))));
        assert!(matches!(Offer::parse(&"x".repeat(70_000)), Err(OfferError::TooLong(_))));
        let many = (0..200).map(|n| format!("m=audio 9 x 0\r\na=mid:{n}\r\n")).collect::<String>();
        assert_eq!(Offer::parse(&many), Err(OfferError::TooManyLines));
        let stopped = Offer::parse("m=video 0 x 0\r\na=mid:a\r\n").unwrap();
        assert!(!stopped.lines[0].client_sends && !stopped.lines[0].client_receives);
    }

    #[test]
    fn the_certificate_is_read_wherever_it_stands() {
        let line = "m=audio 9 x 0\r\na=mid:0\r\n";
        let session = Offer::parse(&format!("v=0\r\na=fingerprint:sha-256 AB:CD\r\n{line}")).unwrap();
        let media = Offer::parse(&format!("v=0\r\n{line}a=fingerprint:sha-256 ab:cd\r\n")).unwrap();
        assert_eq!(session.fingerprints, media.fingerprints);
        assert_eq!(session.fingerprints.len(), 1);
        assert!(session.sdp.contains("a=fingerprint:sha-256 AB:CD"), "the engine reads it too");
        assert!(Offer::parse(line).unwrap().fingerprints.is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(?s).{0,400}") {
            let _ = Offer::parse(&text);
        }
    }
}
