//! RTCP, opened: receivers' reports, NACKs, arrival times, estimates.

use chroom_media_node::sfu::{
    congestion::Feedback as Arrivals,
    rtcp::{self, Feedback},
};

pub fn run(input: &[u8]) {
    rtcp::read(input, |feedback| match feedback {
        Feedback::Nack { pairs, .. } => {
            let asked = rtcp::missing(pairs).count();
            assert!(asked <= input.len() / 4 * 17, "more than a NACK can name");
        }
        Feedback::Arrivals(packet) => {
            if let Ok(arrivals) = Arrivals::parse(packet) {
                let told = arrivals.packets().count();
                assert!(told <= usize::from(arrivals.count()), "more packets than the feedback counts");
            }
        }
        Feedback::Report(_) | Feedback::Keyframe { .. } | Feedback::Estimate(_) | Feedback::Sent { .. } => {}
    });
}

pub fn seeds() -> Vec<Vec<u8>> {
    let report =
        [0x81, 201, 0, 7, 0, 0, 0, 9, 0, 0, 0, 5, 12, 0, 0, 40, 0, 1, 0, 3, 0, 0, 0, 77, 1, 2, 3, 4, 0, 0, 1, 0];
    let nack = [0x81, 205, 0, 3, 0, 0, 0, 9, 0, 0, 0, 5, 0xFF, 0xF0, 0x80, 0x01];
    let arrivals = [0x8F, 205, 0, 5, 0, 0, 0, 9, 0, 0, 0, 5, 0, 10, 0, 4, 0, 0, 1, 7, 0x20, 4, 8, 9, 250, 3, 0, 0];
    let remb = [0x8F, 206, 0, 5, 0, 0, 0, 9, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 1, 0x0B, 0xFF, 0xFF, 0, 0, 0, 5];
    let sender = [
        0x80, 200, 0, 6, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 1, 0, 0, 0, 0, 3, 0, 0, 4, 0, 0x81, 202, 0, 2, 0, 0,
        0, 9, 1, 1, b'c', 0,
    ];
    let compound = [report.as_slice(), &nack, &arrivals, &remb].concat();
    vec![report.to_vec(), nack.to_vec(), arrivals.to_vec(), remb.to_vec(), sender.to_vec(), compound]
}
