//! Videos that the line doesn't carry all at once.

use super::*;

/// Two cameras of 84 kb/s and a microphone, for half a second. What came on each of the receiver's lines, by their numbers.
fn run(f: &mut Fixture, senders: [SessionKey; 2], receiver: SessionKey, seq: &mut u64) -> [Vec<u64>; 3] {
    for _ in 0..25 {
        *seq += 1;
        for sender in senders {
            // A key frame comes when it was asked for.
            let keyframe = f.out.requests.iter().any(|(of, _)| *of == sender);
            f.out.requests.retain(|(of, _)| *of != sender);
            f.video(sender, None, *seq, keyframe);
        }
        f.audio(senders[0], *seq, 30);
        f.pass(20);
    }
    let sent = std::mem::take(&mut f.out.sent);
    ["0", "1", "2"].map(|name| {
        let on_line = sent.iter().filter(|(to, on, ..)| (*to, *on) == (receiver, mid(name)));
        on_line.map(|(_, _, seq, ..)| *seq).collect()
    })
}

#[test]
fn on_a_narrow_line_the_pinned_video_plays_and_the_other_waits() {
    let mut f = Fixture::new();
    let lines = || vec![line("v", Kind::Video, true, &[]), line("a", Kind::Audio, true, &[])];
    let first = f.join(1, lines(), &[publish("v", "one"), publish("a", "voice")], &[]);
    let second = f.join(2, lines(), &[publish("v", "two")], &[]);
    let lines =
        [("0", Kind::Video), ("1", Kind::Video), ("2", Kind::Audio)].map(|(name, kind)| line(name, kind, false, &[]));
    let wishes = [("0", "one"), ("1", "two"), ("2", "voice")].map(|(name, track)| subscribe(name, track, 0));
    let receiver = f.join(3, lines.into(), &[], &wishes);
    let (senders, mut seq) = ([first, second], 0);
    let mut run = |f: &mut Fixture| run(f, senders, receiver, &mut seq);
    let [one, two, _] = run(&mut f);
    assert!(one.len() > 20 && two.len() > 20, "nothing is known of the line");

    // With 40 kb/s for the sound.
    f.estimate(receiver, 180);
    (0..3).for_each(|_| _ = run(&mut f));
    let told = |f: &mut Fixture| {
        let told = |event| match event {
            Occurrence::VideosPaused(tracks) => Some(tracks.iter().map(ToString::to_string).collect::<Vec<_>>()),
            _ => None,
        };
        std::mem::take(&mut f.out.events).into_iter().filter_map(told).collect::<Vec<_>>()
    };
    assert_eq!(told(&mut f), [["two"]]);
    let [one, two, voice] = run(&mut f);
    assert_eq!((one.len(), two.len(), voice.len()), (25, 0, 25), "equals: the one wanted first");
    let pin = |priority| Subscribe { priority, ..subscribe("1", "two", 0) };
    f.router.subscribe(f.now, receiver, &[pin(Priority::High)], &mut f.out).unwrap();
    let [before, two, voice] = run(&mut f);
    assert!(before.is_empty() && two.len() >= 24 && voice.len() == 25, "{before:?} {two:?}");
    f.router.subscribe(f.now, receiver, &[pin(Priority::VeryLow)], &mut f.out).unwrap();
    let [again, two, _] = run(&mut f);
    assert!(again.len() >= 24 && two.is_empty());
    assert_eq!(one.last().map(|last| last + 1), again.first().copied(), "its numbers go on");

    assert_eq!(told(&mut f), [["one"], ["two"]]);
    f.estimate(receiver, 1_000);
    run(&mut f);
    assert_eq!(told(&mut f), [Vec::<String>::new()], "nothing is paused any more");
    let both = run(&mut f);
    assert!(both.iter().all(|line| line.len() == 25));
}
