//! The SDP offers (RFC 8866) of WHIP and WHEP clients: what is in them, and what goes on to the media node.
//!
//! Both protocols leave a client two directions, its own and `sendrecv` (RFC 9725, section 4.4.1), and ask for an answer in one.
//! So an offer goes on in one direction. Candidates stay here: a media node is ICE-lite and needs none.

use crate::session::{Kind, Publish, Source};
use std::collections::BTreeSet;

/// Longest offer in bytes.
pub const MAX_SDP: usize = 64 * 1024;
/// Most m-lines.
const MAX_LINES: usize = 64;
/// Longest mid in bytes; what media nodes take.
const MAX_MID: usize = 16;
/// Most tracks of a kind that a client publishes: a camera and a screen, a microphone and the screen's sound.
const PUBLISHED_PER_KIND: usize = 2;

/// Which way media goes, seen from the client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// WHIP: the client sends.
    Sends,
    /// WHEP: the client receives.
    Receives,
}

impl Direction {
    fn attribute(self) -> &'static str {
        match self {
            Direction::Sends => "a=sendonly",
            Direction::Receives => "a=recvonly",
        }
    }
}

/// An offer cannot be taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OfferError {
    /// It is not an SDP of WebRTC.
    #[error("the offer is malformed: {0}")]
    Malformed(&'static str),
    /// It is one, but asks for what this endpoint does not do.
    #[error("the offer cannot be served: {0}")]
    Unsupported(&'static str),
}

/// An m-line with media.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// Its id (RFC 5888).
    pub mid: String,
    /// Sound or picture.
    pub kind: Kind,
}

/// User name fragment and password of an ICE session (RFC 8445, section 5.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IceCredentials {
    /// The user name fragment.
    pub ufrag: String,
    /// The password.
    pub pwd: String,
}

impl IceCredentials {
    /// Such credentials, if they are what RFC 8839, section 5.4 allows.
    pub fn new(ufrag: &str, pwd: &str) -> Option<Self> {
        let ice_chars = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
        let fits = (4..=256).contains(&ufrag.len()) && (22..=256).contains(&pwd.len());
        (fits && ice_chars(ufrag) && ice_chars(pwd)).then(|| Self { ufrag: ufrag.to_owned(), pwd: pwd.to_owned() })
    }
}

/// An offer, read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    sdp: String,
    lines: Vec<Line>,
    ice: IceCredentials,
}

#[derive(Default)]
struct Section<'a> {
    lines: Vec<&'a str>,
    kind: Option<Kind>,
    rejected: bool,
    mid: Option<&'a str>,
    direction: Option<&'a str>,
    fingerprint: bool,
    ufrag: Option<&'a str>,
    pwd: Option<&'a str>,
}

impl<'a> Section<'a> {
    /// What stays of a line goes into `lines`.
    fn take(&mut self, line: &'a str) {
        if let Some(mid) = line.strip_prefix("a=mid:") {
            self.mid = Some(mid);
        } else if let Some(ufrag) = line.strip_prefix("a=ice-ufrag:") {
            self.ufrag = Some(ufrag);
        } else if let Some(pwd) = line.strip_prefix("a=ice-pwd:") {
            self.pwd = Some(pwd);
        } else if line.starts_with("a=fingerprint:") {
            self.fingerprint = true;
        } else if line.starts_with("a=candidate:") || line == "a=end-of-candidates" {
            return;
        } else if matches!(line, "a=sendonly" | "a=recvonly" | "a=sendrecv" | "a=inactive") {
            self.direction = Some(line);
            return;
        }
        self.lines.push(line);
    }

    fn begin(line: &'a str) -> Self {
        let mut words = line.trim_start_matches("m=").split(' ');
        let kind = match words.next() {
            Some("audio") => Some(Kind::Audio),
            Some("video") => Some(Kind::Video),
            _ => None,
        };
        // A line of a bundle has port 0 too, and says so (RFC 8843, section 6).
        Self { lines: vec![line], kind, rejected: words.next() == Some("0"), ..Self::default() }
    }

    fn credentials(&self) -> Option<IceCredentials> {
        IceCredentials::new(self.ufrag?, self.pwd?)
    }
}

impl Offer {
    /// Reads an offer of a client that may only send, or only receive.
    pub fn parse(text: &str, direction: Direction) -> Result<Self, OfferError> {
        use OfferError::{Malformed, Unsupported};
        if text.len() > MAX_SDP {
            return Err(Malformed("it is too long"));
        }
        let mut session = Section::default();
        let mut sections: Vec<Section<'_>> = Vec::new();
        for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            if line.chars().any(|c| c.is_control() && c != '\t') {
                return Err(Malformed("it has control characters"));
            }
            if line.starts_with("m=") {
                if sections.len() == MAX_LINES {
                    return Err(Unsupported("it has too many m-lines"));
                }
                sections.push(Section::begin(line));
                continue;
            }
            if line == "a=bundle-only"
                && let Some(section) = sections.last_mut()
            {
                section.rejected = false;
            }
            sections.last_mut().unwrap_or(&mut session).take(line);
        }
        if session.lines.first() != Some(&"v=0") {
            return Err(Malformed("it does not begin with v=0"));
        }
        let mut mids = BTreeSet::new();
        let mut lines = Vec::new();
        let mut ice = None;
        let mut sdp = joined(&session.lines);
        for section in &sections {
            let mid = section.mid.ok_or(Malformed("an m-line has no a=mid"))?;
            if !(1..=MAX_MID).contains(&mid.len()) || !mid.bytes().all(|b| b.is_ascii_alphanumeric()) {
                return Err(Unsupported("a mid has 1 to 16 letters and digits"));
            }
            if !mids.insert(mid) {
                return Err(Malformed("two m-lines have the same mid"));
            }
            sdp.push_str(&joined(&section.lines));
            let Some(kind) = section.kind else { continue };
            let offered = section.direction.or(session.direction).unwrap_or("a=sendrecv");
            if section.rejected {
                sdp.push_str("a=inactive\r\n");
                continue;
            }
            if offered != "a=sendrecv" && offered != direction.attribute() {
                return Err(Unsupported(match direction {
                    Direction::Sends => "each m-line has to be sendonly or sendrecv: this endpoint only takes media",
                    Direction::Receives => "each m-line has to be recvonly or sendrecv: this endpoint only gives media",
                }));
            }
            sdp.push_str(direction.attribute());
            sdp.push_str("\r\n");
            if !section.fingerprint && !session.fingerprint {
                return Err(Malformed("it has no a=fingerprint"));
            }
            let credentials = section.credentials().or_else(|| session.credentials());
            ice.get_or_insert(credentials.ok_or(Malformed("it has no a=ice-ufrag and a=ice-pwd"))?);
            lines.push(Line { mid: mid.to_owned(), kind });
        }
        let ice = ice.ok_or(Unsupported("it has no audio and no video"))?;
        Ok(Self { sdp, lines, ice })
    }

    /// The text for the media node.
    pub fn sdp(&self) -> &str {
        &self.sdp
    }

    /// The m-lines with media, in their order.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The credentials of the client's ICE session.
    pub fn ice(&self) -> &IceCredentials {
        &self.ice
    }

    /// What a client publishes with it: the first picture is a camera's, the second a screen's; so with sound.
    pub fn publications(&self) -> Result<Vec<Publish>, OfferError> {
        let (mut audio, mut video) = (0, 0);
        self.lines
            .iter()
            .map(|line| {
                let count = match line.kind {
                    Kind::Audio => &mut audio,
                    Kind::Video => &mut video,
                };
                *count += 1;
                if *count > PUBLISHED_PER_KIND {
                    return Err(OfferError::Unsupported("it has more than two m-lines of a kind"));
                }
                let source = match (line.kind, *count) {
                    (Kind::Audio, 1) => Source::Microphone,
                    (Kind::Audio, _) => Source::ScreenAudio,
                    (Kind::Video, 1) => Source::Camera,
                    (Kind::Video, _) => Source::Screen,
                };
                Ok(Publish { mid: line.mid.clone(), track: None, source })
            })
            .collect()
    }

    /// The same offer with another ICE session: an ICE restart (RFC 8445, section 2.4).
    pub fn restarted(&self, ice: IceCredentials) -> Self {
        let mut sdp = String::with_capacity(self.sdp.len());
        for line in self.sdp.lines() {
            if line.starts_with("a=ice-ufrag:") {
                sdp.push_str(&format!("a=ice-ufrag:{}", ice.ufrag));
            } else if line.starts_with("a=ice-pwd:") {
                sdp.push_str(&format!("a=ice-pwd:{}", ice.pwd));
            } else {
                sdp.push_str(line);
            }
            sdp.push_str("\r\n");
        }
        Self { sdp, lines: self.lines.clone(), ice }
    }
}

fn joined(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| [*line, "\r\n"]).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An offer with these m-lines, each with its kind, mid and direction.
    pub fn offer(lines: &[(&str, &str, &str)]) -> String {
        let mut sdp = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=fingerprint:sha-256 AB:CD\r\n".to_owned();
        for (kind, mid, direction) in lines {
            sdp.push_str(&format!(
                "m={kind} 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:{mid}\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n\
                 a={direction}\r\na=candidate:1 1 udp 1 192.0.2.7 9 typ host\r\n"
            ));
        }
        sdp
    }

    #[test]
    fn offers_go_on_in_one_direction_and_without_candidates() {
        let text = offer(&[("audio", "0", "sendrecv"), ("video", "1", "sendonly"), ("application", "2", "sendrecv")]);
        let read = Offer::parse(&text, Direction::Sends).unwrap();
        assert_eq!(read.sdp().matches("a=sendonly").count(), 2);
        assert!(!read.sdp().contains("sendrecv") && !read.sdp().contains("candidate"), "{}", read.sdp());
        let of = |line: &Line| (line.mid.clone(), line.kind);
        assert_eq!(
            read.lines().iter().map(of).collect::<Vec<_>>(),
            [("0".into(), Kind::Audio), ("1".into(), Kind::Video)]
        );
        assert_eq!(read.ice().ufrag, "abcd");
        // Reading what goes on gives the same.
        assert_eq!(Offer::parse(read.sdp(), Direction::Sends).unwrap(), read);
        // Without an attribute a line is sendrecv; the session's counts for those without.
        let plain = text.replace("a=sendrecv\r\n", "");
        assert_eq!(Offer::parse(&plain, Direction::Sends).unwrap().lines(), read.lines());
        let receiving = plain.replace("a=sendonly\r\n", "").replace("t=0 0\r\n", "t=0 0\r\na=recvonly\r\n");
        assert!(matches!(Offer::parse(&receiving, Direction::Sends), Err(OfferError::Unsupported(_))));
        assert_eq!(Offer::parse(&receiving, Direction::Receives).unwrap().lines().len(), 2);
    }

    #[test]
    fn what_is_published_follows_from_the_order() {
        let text = offer(&[
            ("video", "a", "sendonly"),
            ("audio", "b", "sendonly"),
            ("video", "c", "sendonly"),
            ("audio", "d", "sendonly"),
        ]);
        let sources = |offer: &Offer| offer.publications().map(|all| all.into_iter().map(|p| p.source).collect());
        let read = Offer::parse(&text, Direction::Sends).unwrap();
        assert_eq!(sources(&read), Ok(vec![Source::Camera, Source::Microphone, Source::Screen, Source::ScreenAudio]));
        let many = offer(&[("video", "a", "sendonly"), ("video", "b", "sendonly"), ("video", "c", "sendonly")]);
        let many = Offer::parse(&many, Direction::Sends).unwrap();
        assert!(matches!(many.publications(), Err(OfferError::Unsupported(_))));
    }

    #[test]
    fn rejected_lines_stay_rejected() {
        let text = offer(&[("audio", "0", "sendonly"), ("video", "1", "sendonly")]);
        let text = text.replace("m=video 9", "m=video 0");
        let read = Offer::parse(&text, Direction::Sends).unwrap();
        assert_eq!(read.lines().len(), 1);
        assert!(read.sdp().ends_with("a=inactive\r\n"));
        let bundled = text.replace("a=mid:1\r\n", "a=mid:1\r\na=bundle-only\r\n");
        assert_eq!(Offer::parse(&bundled, Direction::Sends).unwrap().lines().len(), 2);
    }

    #[test]
    fn an_ice_restart_changes_the_credentials_alone() {
        let read = Offer::parse(&offer(&[("audio", "0", "sendonly"), ("video", "1", "sendonly")]), Direction::Sends);
        let read = read.unwrap();
        let ice = IceCredentials::new("efgh", "abcdefghijklmnopqrstuv").unwrap();
        let again = read.restarted(ice.clone());
        assert_eq!(again.ice(), &ice);
        assert_eq!(again.sdp().matches("a=ice-ufrag:efgh\r\n").count(), 2);
        assert_eq!(again.restarted(read.ice().clone()), read);
    }

    #[test]
    fn broken_offers_are_refused_with_the_reason() {
        let good = offer(&[("audio", "0", "sendonly")]);
        let refused = |text: &str| Offer::parse(text, Direction::Sends).unwrap_err().to_string();
        for (text, reason) in [
            ("", "v=0"),
            ("hello", "v=0"),
            (&good.replace("a=mid:0\r\n", ""), "a=mid"),
            (&good.replace("a=mid:0", "a=mid:../x"), "letters and digits"),
            (&good.replace("a=ice-pwd:0123456789012345678901\r\n", ""), "a=ice-ufrag"),
            (&good.replace("a=ice-ufrag:abcd", "a=ice-ufrag:a b"), "a=ice-ufrag"),
            (&good.replace("a=fingerprint:sha-256 AB:CD\r\n", ""), "a=fingerprint"),
            (&good.replace("s=-", "s=\u{7}"), "control"),
            (&offer(&[("audio", "0", "sendonly"), ("video", "0", "sendonly")]), "same mid"),
            (&offer(&[("audio", "0", "inactive")]), "only takes media"),
            (&offer(&[("application", "0", "sendonly")]), "no audio and no video"),
            (&offer(&[]), "no audio and no video"),
            (&format!("v=0\r\ns={}\r\n", "x".repeat(MAX_SDP)), "too long"),
            (&offer(&[("text", "x", "sendonly"); MAX_LINES + 1]), "too many"),
        ] {
            assert!(refused(text).contains(reason), "{text:.80}: {}", refused(text));
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "(v=0\r?\n)?([amst]=[ -~]{0,20}\r?\n|a=mid:[0-9]\n|m=(audio|video) [09] x\n|\\PC{0,10}){0,12}") {
            for direction in [Direction::Sends, Direction::Receives] {
                if let Ok(read) = Offer::parse(&text, direction) {
                    prop_assert!(!read.lines().is_empty());
                    prop_assert_eq!(Offer::parse(read.sdp(), direction), Ok(read));
                }
            }
        }
    }
}
