//! SDP offers: what is read of them by WHIP's and WHEP's endpoints and by media nodes, then what the engine makes of them.

use chroom_media_node::sfu::{
    engine::{Connection, Engine, Offer, Str0m},
    limits,
};
use chroom_orchestrator::whip::{
    fragment::{self, Fragment},
    offer::{self, Direction},
};
use std::{net::SocketAddr, time::Instant};

/// An offer of sound, simulcast, a receiving line and data channels.
pub const OFFER: &str = "v=0\r\no=- 46117317 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2 3\r\na=ice-ufrag:8hhY\r\n\
a=ice-pwd:asd88fgpdd777uzjYhagZg\r\na=ice-options:trickle\r\na=fingerprint:sha-256 \
19:E2:1C:3B:4B:9F:81:E6:B8:5C:F4:A5:A8:D8:73:04:BB:05:2F:70:9F:04:A9:0E:05:E9:26:33:E8:70:88:A2\r\na=setup:actpass\r\n\
m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n\
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=sendonly\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n\
a=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n\
a=ssrc:1 cname:c\r\na=candidate:1 1 udp 2113937151 x.local 9 typ host\r\n\
m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\na=sendonly\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n\
a=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=rid:q send\r\na=rid:f send\r\n\
a=simulcast:send q;f\r\n\
m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=mid:2\r\na=recvonly\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n\
a=rtcp-fb:96 nack\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n\
m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:3\r\na=sctp-port:5000\r\n";

pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    over_http(text);
    let Ok(offer) = Offer::parse(text) else { return };
    assert!(offer.lines.len() <= limits::MAX_LINES, "more lines than are taken");
    assert!(!offer.sdp.contains("\na=candidate:"), "an address of the client");
    let local: SocketAddr = ([127, 0, 0, 1], 9).into();
    let mut connection = Str0m::new(true).open(Instant::now(), local, "00");
    if let Err(error) = connection.accept(text) {
        assert!(!error.to_string().contains("the engine failed"), "the engine panics on an offer");
    }
}

/// What WHIP and WHEP read: what goes on to the media node reads the same, and has no address of the client.
fn over_http(text: &str) {
    for direction in [Direction::Sends, Direction::Receives] {
        let Ok(read) = offer::Offer::parse(text, direction) else { continue };
        assert!(!read.sdp().contains("\na=candidate:"), "an address of the client");
        let _ = read.publications();
        if read.sdp().len() <= offer::MAX_SDP {
            assert_eq!(offer::Offer::parse(read.sdp(), direction), Ok(read), "read otherwise when it is read again");
        }
    }
    let _ = Fragment::parse(text);
    let _ = fragment::of_answer(text);
}

pub fn seeds() -> Vec<Vec<u8>> {
    vec![
        OFFER.into(),
        OFFER.replace("a=recvonly", "a=sendonly").into(),
        OFFER.replace("a=sendonly", "a=sendrecv").into(),
    ]
}
