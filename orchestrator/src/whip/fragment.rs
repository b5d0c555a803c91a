//! SDP fragments (RFC 8840, section 9) in PATCH requests of WHIP and WHEP: a client's new candidates, or the credentials of an
//! ICE restart (RFC 9725, section 4.3).

use super::offer::IceCredentials;

/// The media type of fragments.
pub const MEDIA_TYPE: &str = "application/trickle-ice-sdpfrag";
/// Longest fragment in bytes.
pub const MAX_FRAGMENT: usize = 16 * 1024;

/// What a client's fragment says. Candidates are read over: an ICE-lite agent learns addresses from checks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fragment {
    /// The ICE session that it is of, or that is to begin.
    pub ice: Option<IceCredentials>,
}

/// A text is not a fragment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FragmentError {
    /// A line is not one of SDP.
    #[error("the fragment has a line that is not of the form a=… or m=…")]
    Line,
    /// Credentials that are none.
    #[error("the fragment's a=ice-ufrag and a=ice-pwd don't fit RFC 8839")]
    Credentials,
}

impl Fragment {
    /// Reads a fragment.
    pub fn parse(text: &str) -> Result<Self, FragmentError> {
        let (mut ufrag, mut pwd) = (None, None);
        for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            if !line.starts_with("a=") && !line.starts_with("m=") {
                return Err(FragmentError::Line);
            }
            // All m-lines are of one transport: the first ones count.
            if let Some(value) = line.strip_prefix("a=ice-ufrag:") {
                ufrag = ufrag.or(Some(value));
            } else if let Some(value) = line.strip_prefix("a=ice-pwd:") {
                pwd = pwd.or(Some(value));
            }
        }
        let ice = match (ufrag, pwd) {
            (None, None) => None,
            (Some(ufrag), Some(pwd)) => Some(IceCredentials::new(ufrag, pwd).ok_or(FragmentError::Credentials)?),
            _ => return Err(FragmentError::Credentials),
        };
        Ok(Self { ice })
    }
}

/// The fragment that answers an ICE restart, out of the media node's whole answer: its first m-line, which carries the transport.
pub fn of_answer(answer: &str) -> Option<String> {
    let mut lines = Vec::new();
    let mut media = 0;
    for line in answer.lines().map(str::trim_end) {
        if line.starts_with("m=") {
            media += 1;
        }
        let wanted = match media {
            0 => ["a=ice-lite", "a=ice-options:", "a=group:BUNDLE", "a=ice-ufrag:", "a=ice-pwd:", "a=candidate:"]
                .as_slice(),
            1 => ["m=", "a=mid:", "a=ice-ufrag:", "a=ice-pwd:", "a=candidate:", "a=end-of-candidates"].as_slice(),
            _ => break,
        };
        if wanted.iter().any(|start| line.starts_with(start)) {
            lines.push(line);
        }
    }
    let has = |start: &str| lines.iter().any(|line| line.starts_with(start));
    (has("a=ice-ufrag:") && has("a=ice-pwd:")).then(|| lines.iter().flat_map(|line| [*line, "\r\n"]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_name_an_ice_session() {
        let trickled = "a=group:BUNDLE 0\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=ice-ufrag:EsAw\r\n\
                        a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n";
        let ice = Fragment::parse(trickled).unwrap().ice.unwrap();
        assert_eq!((ice.ufrag.as_str(), ice.pwd.as_str()), ("EsAw", "P2uYro0UCOQ4zxjKXaWCBui1"));
        assert_eq!(Fragment::parse("a=end-of-candidates\n"), Ok(Fragment { ice: None }));
        assert_eq!(Fragment::parse("v=0\r\n"), Err(FragmentError::Line));
        assert_eq!(Fragment::parse("a=ice-ufrag:EsAw\r\n"), Err(FragmentError::Credentials));
        assert_eq!(Fragment::parse("a=ice-ufrag:x\r\na=ice-pwd:y\r\n"), Err(FragmentError::Credentials));
    }

    #[test]
    fn an_answers_transport_is_cut_out() {
        let answer = "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=ice-lite\r\n\
                      m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:node\r\na=ice-pwd:secret\r\na=rtpmap:111 opus/48000/2\r\n\
                      a=candidate:1 1 udp 1 192.0.2.1 7500 typ host\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=ice-ufrag:node\r\n";
        assert_eq!(
            of_answer(answer).unwrap(),
            "a=group:BUNDLE 0 1\r\na=ice-lite\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:node\r\na=ice-pwd:secret\r\n\
             a=candidate:1 1 udp 1 192.0.2.1 7500 typ host\r\n"
        );
        assert_eq!(of_answer("v=0\r\n"), None);
    }
}
