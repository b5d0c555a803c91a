//! What publishers are told of the demand.

use super::*;

fn wanted(f: &mut Fixture) -> Vec<(Vec<String>, bool)> {
    std::mem::take(&mut f.out.events)
        .into_iter()
        .filter_map(|event| match event {
            Occurrence::LayersWanted { layers, paused, .. } => {
                Some((layers.iter().map(ToString::to_string).collect(), paused))
            }
            _ => None,
        })
        .collect()
}

fn told(layers: &[&str]) -> Vec<(Vec<String>, bool)> {
    vec![(layers.iter().map(ToString::to_string).collect(), layers.is_empty())]
}

fn pass(f: &mut Fixture, seconds: u64) {
    for _ in 0..seconds * 10 {
        f.pass(100);
    }
}

#[test]
fn layers_that_nobody_wants_are_named_after_a_while_and_wanted_ones_at_once() {
    let mut f = Fixture::new();
    let sender = simulcast(&mut f);
    f.video(sender, rid("q"), 1, true);
    pass(&mut f, 3);
    assert_eq!(wanted(&mut f), [], "others may come");
    pass(&mut f, 3);
    assert_eq!(wanted(&mut f), told(&[]));
    let receiver = f.join(2, vec![line("0", Kind::Video, false, &[])], &[], &[subscribe("0", "video", 360)]);
    assert_eq!(wanted(&mut f), told(&["q", "h"]), "the lower one for when the line gets narrow");
    f.router.subscribe(f.now, receiver, &[subscribe("0", "video", 0)], &mut f.out).unwrap();
    assert_eq!(wanted(&mut f), told(&["q", "h", "f"]));
    f.router.subscribe(f.now, receiver, &[subscribe("0", "video", 90)], &mut f.out).unwrap();
    let other = f.join(3, vec![line("0", Kind::Video, false, &[])], &[], &[subscribe("0", "video", 360)]);
    pass(&mut f, 6);
    assert_eq!(wanted(&mut f), told(&["q", "h"]), "the most that anyone wants");
    f.router.close(other, CloseReason::ClientClosed, &mut f.out);
    pass(&mut f, 6);
    assert_eq!(wanted(&mut f), told(&["q"]));
    f.router.close(receiver, CloseReason::ClientClosed, &mut f.out);
    pass(&mut f, 6);
    assert_eq!(wanted(&mut f), told(&[]));
}

#[test]
fn what_has_not_begun_is_not_called_unwanted() {
    let mut f = Fixture::new();
    let sender = simulcast(&mut f);
    // A camera that takes long to start: others hear of the video with its first packet, and can't want it before.
    pass(&mut f, 20);
    assert_eq!(wanted(&mut f), []);
    f.video(sender, rid("q"), 1, true);
    pass(&mut f, 3);
    assert_eq!(wanted(&mut f), []);
    pass(&mut f, 3);
    assert_eq!(wanted(&mut f), told(&[]));
}

#[test]
fn a_paused_layer_that_comes_back_is_forwarded_soon() {
    let mut f = Fixture::new();
    let sender = simulcast(&mut f);
    let receiver = f.join(2, vec![line("0", Kind::Video, false, &[])], &[], &[subscribe("0", "video", 0)]);
    let mut seq = 0;
    let mut run = |f: &mut Fixture, layers: &[&str], ms: u64| {
        for _ in 0..ms / 20 {
            seq += 1;
            for layer in layers {
                let asked = f.out.requests.iter().any(|(_, of)| *of == rid(layer));
                f.out.requests.retain(|(_, of)| *of != rid(layer));
                f.video(sender, rid(layer), seq, asked);
            }
            f.pass(20);
        }
        f.received(receiver).last().and_then(|(_, layer)| *layer)
    };
    assert_eq!(run(&mut f, &["q"], 3_000), rid("q"), "the others are paused");
    assert_eq!(run(&mut f, &["q", "h", "f"], 300), rid("f"));
}
