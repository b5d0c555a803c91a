//! The mix of a room: asked for by signalling, made by the media node.

use super::*;
use chroom_media_node::processing::{
    audio::{CHANNELS, FRAME, opus},
    cost,
};
use str0m::format::Codec;

/// A tone in place of a voice.
struct Voice {
    hertz: f64,
    encoder: opus::Encoder,
    turn: usize,
}

impl Voice {
    fn new(hertz: f64) -> Self {
        Self { hertz, encoder: opus::Encoder::new().unwrap(), turn: 0 }
    }

    /// The next 20 ms.
    fn speak(&mut self, person: &mut Person) {
        let sample = |n: usize| {
            let at = (self.turn * FRAME + n) as f64 / 48_000.0;
            ((at * self.hertz * std::f64::consts::TAU).sin() * 12_000.0) as i16
        };
        let samples: Vec<i16> = (0..FRAME).flat_map(|n| [sample(n); CHANNELS]).collect();
        let (packet, timestamp) = (self.encoder.encode(&samples).unwrap(), (self.turn * FRAME) as u32);
        person.media.write(&person.lines.mids[0], None, Codec::Opus, timestamp, packet, -20);
        self.turn += 1;
    }
}

/// How much of what came on a line is a tone of this frequency: the mean over tenths of a second that aren't silent.
fn share(media: &Client, mid: &str, hertz: f64) -> f64 {
    let mut decoder = opus::Decoder::new().unwrap();
    let packets = media.sound[mid].iter().skip(20);
    let samples: Vec<i16> = packets.flat_map(|(_, packet)| decoder.decode(packet).unwrap().to_vec()).collect();
    let shares = samples.chunks_exact(4_800 * CHANNELS).filter_map(|window| {
        let (mut sine, mut cosine, mut power) = (0.0, 0.0, 0.0);
        for (n, sample) in window.iter().step_by(CHANNELS).enumerate() {
            let (s, c) = (n as f64 / 48_000.0 * hertz * std::f64::consts::TAU).sin_cos();
            sine += f64::from(*sample) * s;
            cosine += f64::from(*sample) * c;
            power += f64::from(*sample).powi(2);
        }
        (power / 4_800.0 > 10_000.0).then(|| ((sine * sine + cosine * cosine) / (power * 2_400.0)).sqrt())
    });
    let shares: Vec<f64> = shares.collect();
    shares.iter().sum::<f64>() / shares.len().max(1) as f64
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_the_mix_hears_all_others_in_one_track() {
    let _alone = ALONE.lock().await;
    let world = World::start(0).await;
    let node = Node::start(&world).await;
    until("the orchestrator knows the node", async || {
        (get(world.address, "/health").await?["mediaNodes"] == 1).then_some(())
    })
    .await;
    let mut speakers = [Person::join(&world, 1, "ada").await, Person::join(&world, 2, "bob").await];
    speakers.iter_mut().for_each(|person| person.source = None);

    // Eve publishes nothing, and asks with her offer.
    let (mut signalling, mut eve) = (world.client().await, Client::new(3));
    signalling.join("eve").await;
    let mut api = eve.rtc.sdp_api();
    let line = api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None).to_string();
    let (offer, pending) = api.apply().unwrap();
    let wish = json!({ "mid": line, "mix": true });
    let offer = json!({ "sdp": offer.to_sdp_string(), "publish": [], "subscribe": [wish] });
    let answer = signalling.call("session.negotiate", offer).await.unwrap();
    let answer = SdpAnswer::from_sdp_string(answer["sdp"].as_str().unwrap()).unwrap();
    eve.rtc.sdp_api().accept_answer(pending, answer).unwrap();
    eve.drain();
    // Ada, who speaks, asks later, and for nothing that is no track and the mix at once.
    let ada_line = speakers[0].lines.mids[2].clone();
    let both = json!({ "subscribe": [{ "mid": ada_line, "track": speakers[1].tracks[0], "mix": true }] });
    assert_eq!(speakers[0].signalling.call("session.subscribe", both).await.unwrap_err().code, -32602);
    let wish = json!({ "subscribe": [{ "mid": ada_line, "mix": true }] });
    speakers[0].signalling.call("session.subscribe", wish).await.unwrap();

    let mut voices = [Voice::new(400.0), Voice::new(900.0)];
    let (deadline, mut next) = (Instant::now() + PATIENCE, Instant::now());
    let count = |media: &Client, mid: &str| media.sound.get(mid).map_or(0, Vec::len);
    while count(&eve, &line) < 150 || count(&speakers[0].media, &ada_line) < 150 {
        speakers.iter_mut().for_each(|person| person.media.turn());
        eve.turn();
        if Instant::now() >= next && speakers.iter().all(|person| person.media.connected) {
            next += Duration::from_millis(20);
            voices.iter_mut().zip(&mut speakers).for_each(|(voice, person)| voice.speak(person));
        }
        let came = (count(&eve, &line), count(&speakers[0].media, &ada_line));
        assert!(Instant::now() < deadline, "in vain: the mix; packets that eve and ada got: {came:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (first, second) = (share(&eve, &line, 400.0), share(&eve, &line, 900.0));
    assert!(first > 0.4 && second > 0.4, "eve hears both: {first} {second}");
    let ada = &speakers[0].media;
    let (own, other) = (share(ada, &ada_line, 400.0), share(ada, &ada_line, 900.0));
    assert!(other > 0.6 && own < 0.25, "ada hears bob and not herself: {other} {own}");
    assert_eq!(count(&speakers[1].media, &speakers[1].lines.mids[2]), 0, "bob asked for nothing");
    let figures = node.studio.figures();
    assert_eq!((figures.jobs, figures.reserved, figures.refused), (1, cost::mix(1).0, 0), "one mix, and one for ada");

    for person in &mut speakers {
        person.signalling.call("session.leave", json!({})).await.unwrap();
    }
    signalling.call("session.leave", json!({})).await.unwrap();
    until("the mix is over with its room", async || (node.studio.figures().jobs == 0).then_some(())).await;
    assert_eq!(node.studio.figures().reserved, 0);
    node.kill().await;
}
