use super::*;
use proptest::prelude::*;

const HEAD: Header = Header { sender: 1, media: 2, base: 65_530, number: 7 };

fn written(arrivals: &[Option<i64>]) -> Vec<u8> {
    let mut bytes = vec![];
    write(&mut bytes, HEAD, arrivals).unwrap();
    bytes
}

/// What comes out of the parser, in microseconds on the receiver's clock.
fn read(bytes: &[u8]) -> Vec<(u16, Option<i64>)> {
    let feedback = Feedback::parse(bytes).unwrap();
    let reference = i64::from(feedback.reference()) * REFERENCE_UNIT_US;
    feedback.packets().map(|(sequence, at)| (sequence, at.map(|at| reference + at))).collect()
}

#[test]
fn a_hand_made_packet_reads_as_the_draft_says() {
    #[rustfmt::skip]
    let bytes = [
        0x8f, 205, 0, 8, 0, 0, 0, 1, 0, 0, 0, 2,
        0xff, 0xff, 0, 12, 0, 0, 3, 9, // base 65,535, 12 packets, reference 3 (192 ms), feedback 9
        0x20, 0x02, // run: 2 × small
        0x80 | 0x20, 0b0000_0001, // 14 one-bit symbols: 1 at the first and (beyond the count) last place
        0, 4, 8, // deltas 0, 1 ms, 2 ms
        // the vector ends the count at 12: positions 0..10
        0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let feedback = Feedback::parse(&bytes).unwrap();
    assert_eq!((feedback.base(), feedback.count(), feedback.reference(), feedback.number()), (65_535, 12, 3, 9));
    let mut expected = vec![(65_535, Some(0)), (0, Some(1_000)), (1, Some(3_000))];
    expected.extend((2..11).map(|sequence| (sequence, None)));
    assert_eq!(feedback.packets().collect::<Vec<_>>(), expected);
}

#[test]
fn two_bit_vectors_and_negative_deltas_read() {
    let arrivals = [Some(200_000), Some(180_000), None, Some(1_000_000), Some(1_000_250)];
    let expected: Vec<_> =
        arrivals.iter().enumerate().map(|(at, arrival)| (HEAD.base.wrapping_add(at as u16), *arrival)).collect();
    assert_eq!(read(&written(&arrivals)), expected);
}

#[test]
fn what_cannot_be_said_is_refused_and_appends_nothing() {
    let mut bytes = vec![];
    assert_eq!(write(&mut bytes, HEAD, &[Some(0), Some(9_000_000)]), Err(WriteError::TooFarApart));
    let many = vec![None; usize::from(MAX_PACKETS) + 1];
    assert_eq!(write(&mut bytes, HEAD, &many), Err(WriteError::TooMany(many.len())));
    assert!(bytes.is_empty());
}

#[test]
fn run_lengths_cannot_amplify() {
    let mut bytes = written(&[None; 20]);
    bytes[14..16].copy_from_slice(&60_000u16.to_be_bytes());
    assert_eq!(Feedback::parse(&bytes).unwrap_err(), FeedbackError::TooMany(60_000));
}

#[test]
fn a_reserved_status_is_refused() {
    let mut bytes = written(&[Some(0); 8]);
    bytes[20] |= 0x60;
    assert_eq!(Feedback::parse(&bytes).unwrap_err(), FeedbackError::Reserved);
}

#[test]
fn every_cut_is_refused() {
    let bytes = written(&[Some(0), None, Some(70_000), Some(71_000)]);
    for end in 0..bytes.len() {
        assert!(Feedback::parse(&bytes[..end]).is_err(), "{end}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        start in 0i64..0xff_fff0 * REFERENCE_UNIT_US,
        steps in proptest::collection::vec(proptest::option::weighted(0.7, -60_000i64..90_000), 1..300),
    ) {
        let mut at = start;
        let arrivals: Vec<Option<i64>> = steps
            .into_iter()
            .map(|step| {
                at = (at + step?).max(0);
                Some(at)
            })
            .collect();
        // The first arrival gives the reference time; nothing may lie before its wrap.
        let bytes = written(&arrivals);
        prop_assert_eq!(bytes.len() % 4, 0);
        let expected: Vec<(u16, Option<i64>)> = arrivals
            .iter()
            .enumerate()
            .map(|(at, arrival)| (HEAD.base.wrapping_add(at as u16), arrival.map(|us| us / TICK_US * TICK_US)))
            .collect();
        prop_assert_eq!(read(&bytes), expected);
    }

    #[test]
    fn random_bytes_never_panic_and_stay_bounded(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
        like_feedback in any::<bool>(),
    ) {
        if like_feedback && bytes.len() >= HEADER {
            let words = (bytes.len() / 4 - 1) as u16;
            bytes[0] = 0x80 | (bytes[0] & 0x20) | FORMAT;
            bytes[1] = PAYLOAD_TYPE;
            bytes[2..4].copy_from_slice(&words.to_be_bytes());
            bytes[14] &= 1;
        }
        if let Ok(feedback) = Feedback::parse(&bytes) {
            prop_assert_eq!(feedback.packets().count(), usize::from(feedback.count()));
            prop_assert!(feedback.count() <= MAX_PACKETS);
        }
    }
}
