//! A real orchestrator over real media nodes: it lays a room's tree, media crosses it, a node dies.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "../../media-node/tests/harness/mod.rs"]
mod harness;
#[allow(dead_code, unused_imports)]
mod world;

use chroom_chain_client::Membership;
use chroom_media_node::{
    cascade::{
        gate,
        quic::{Cascade, CascadeConfig},
    },
    health::{Health, Registered},
    rpc::{Admission, MediaService},
    sfu::{Sfu, SfuConfig, event::CloseReason},
};
use chroom_orchestrator::chain::{Chain, ChainState};
use chroom_primitives::{Hash, NodeId, Role};
use chroom_rpc::{server, tls::Identity};
use chroom_wallet::Wallet;
use harness::{Client, Lines, Source, publisher_lines};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use str0m::{
    change::{SdpAnswer, SdpApi},
    media::{Direction, MediaKind},
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use world::{World, get, media_entry, media_record, until};

/// Longest time that anything may take here.
const PATIENCE: Duration = Duration::from_secs(60);

/// A media node as its program puts it together, on loopback.
struct Node {
    id: NodeId,
    sfu: Arc<Sfu>,
    cascade: Arc<Cascade>,
    is_full: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

fn membership(state: &ChainState) -> Arc<Membership> {
    Arc::new(Membership {
        block: state.block,
        block_hash: Hash::zero(),
        epoch: state.epoch.clone(),
        generation: 0,
        nodes: state.nodes.clone(),
    })
}

impl Node {
    async fn start(world: &World) -> Self {
        let wallet = Wallet::generate();
        let identity = Identity::new(&wallet).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        world.chain.register(wallet.node_id(), Role::Media, &address.to_string());
        let mut chain = world.chain.state();
        let (sender, members) = watch::channel(membership(&chain.borrow()));
        let following = tokio::spawn(async move {
            while chain.changed().await.is_ok() {
                let state = chain.borrow_and_update().clone();
                sender.send_replace(membership(&state));
            }
        });

        let pipes = CascadeConfig { listen: "127.0.0.1:0".parse().unwrap(), advertise: None };
        let prepared = Cascade::prepare(&pipes, &identity, gate::of(members.clone())).unwrap();
        let config = SfuConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            tcp: false,
            advertise: None,
            shards: 1,
            egress_loss: None,
        };
        let sfu = Arc::new(Sfu::start_with(&config, Some(prepared.room_end())).unwrap());
        let cascade = Arc::new(prepared.start(sfu.rooms()).unwrap());
        let health = Arc::new(Health::new(Registered::Active, 1_000_000, 1_000));
        let service = MediaService::new(sfu.clone(), health, Admission::new(members), CancellationToken::new())
            .with_cascade(cascade.clone());
        let routes = service.routes();
        let serving = tokio::spawn(async move {
            server::serve(listener, &identity, routes, std::future::pending()).await.unwrap();
        });

        let id = wallet.node_id();
        let is_full = Arc::new(AtomicBool::new(false));
        let (chain, publishers) = (world.chain.clone(), world.registries.iter().map(|one| one.publisher()));
        let (publishers, full) = (publishers.collect::<Vec<_>>(), is_full.clone());
        let reporting = tokio::spawn(async move {
            let record = media_record(&wallet, &chain, address);
            loop {
                for publish in &publishers {
                    publish(media_entry(&wallet, &chain, &record, full.load(Ordering::Relaxed)));
                }
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        });
        Self { id, sfu, cascade, is_full, tasks: vec![following, serving, reporting] }
    }

    /// Says that it takes no more, until the orchestrator knows.
    async fn fill(&self, world: &World) {
        self.is_full.store(true, Ordering::Relaxed);
        until("the orchestrator knows that the node is full", async || {
            let network = get(world.address, "/v1/network").await?;
            let entry = network["nodes"].as_array()?.iter().find(|entry| entry["id"] == self.id.to_hex())?.clone();
            (entry["load"]["cpu"].as_f64()? > 0.9).then_some(())
        })
        .await;
    }

    /// Nodes that its pipes are up to, for how many rooms each.
    async fn pipes(&self) -> BTreeSet<(NodeId, u32)> {
        let figures = self.cascade.figures().await.unwrap();
        figures.peers.iter().filter(|peer| peer.up).map(|peer| (peer.node, peer.rooms)).collect()
    }

    /// As `kill -9`.
    async fn kill(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.cascade.die().await;
        self.sfu.stop(CloseReason::Draining).await;
    }
}

/// Somebody in the call, who sends sound and a picture and hears two others.
struct Person {
    signalling: world::Client,
    media: Client,
    lines: Lines,
    source: Option<Source>,
    tracks: Vec<Value>,
    info: Value,
}

fn lines(api: &mut SdpApi<'_>) -> Lines {
    let mut lines = publisher_lines(api);
    for _ in 0..2 {
        lines.mids.push(api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None).to_string());
    }
    lines
}

impl Person {
    async fn join(world: &World, number: u8, identity: &str) -> Self {
        let mut signalling = world.client().await;
        let info = signalling.join(identity).await;
        let mut person = Self {
            signalling,
            media: Client::new(number),
            lines: Lines::default(),
            source: None,
            tracks: vec![Value::Null; 2],
            info,
        };
        person.negotiate(&[]).await;
        person
    }

    /// Makes a peer connection that hears these tracks.
    async fn negotiate(&mut self, hears: &[&Value]) {
        let mut api = self.media.rtc.sdp_api();
        self.lines = lines(&mut api);
        let (offer, pending) = api.apply().unwrap();
        let publish: Vec<Value> = ["microphone", "camera"]
            .iter()
            .zip(&self.lines.mids)
            .zip(&self.tracks)
            .map(|((source, mid), track)| match track {
                Value::Null => json!({ "mid": mid, "source": source }),
                track => json!({ "mid": mid, "source": source, "track": track }),
            })
            .collect();
        let offer = json!({ "sdp": offer.to_sdp_string(), "publish": publish, "subscribe": self.wishes(hears) });
        let answer = self.signalling.call("session.negotiate", offer).await.unwrap();
        let track = |mid: &String| {
            let published = answer["publish"].as_array().unwrap();
            published.iter().find(|one| one["mid"] == *mid).unwrap()["track"].clone()
        };
        self.tracks = self.lines.mids[..2].iter().map(track).collect();
        let sdp = SdpAnswer::from_sdp_string(answer["sdp"].as_str().unwrap()).unwrap();
        self.media.rtc.sdp_api().accept_answer(pending, sdp).unwrap();
        self.media.drain();
        self.source = Some(Source::new(&self.lines));
    }

    fn wishes(&self, hears: &[&Value]) -> Vec<Value> {
        let mids = self.lines.mids.iter().skip(2);
        mids.zip(hears).map(|(mid, track)| json!({ "mid": mid, "track": track })).collect()
    }

    async fn hear(&mut self, tracks: &[&Value]) {
        let wishes = json!({ "subscribe": self.wishes(tracks) });
        self.signalling.call("session.subscribe", wishes).await.unwrap();
    }

    /// The numbers of the packets that it heard of the `n`th track.
    fn heard(&self, n: usize) -> BTreeSet<u64> {
        self.media.unique(&self.lines.mids[2 + n])
    }

    fn turn(&mut self) {
        self.media.turn();
        if let Some(source) = &mut self.source {
            source.send(&mut self.media);
        }
    }
}

/// Lets the call go on until a condition holds.
async fn run(what: &str, people: &mut [Person; 3], done: impl Fn(&[Person; 3]) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done(people) {
        people.iter_mut().for_each(Person::turn);
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_over_three_nodes_survives_the_death_of_one() {
    let world = World::start(0).await;
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(Node::start(&world).await);
    }
    until("the orchestrator knows the nodes", async || {
        (get(world.address, "/health").await?["mediaNodes"] == 3).then_some(())
    })
    .await;
    let of = |person: &Person| nodes.iter().find(|node| person.info["node"]["id"] == node.id.to_hex()).unwrap();

    let ada = Person::join(&world, 1, "ada").await;
    of(&ada).fill(&world).await;
    let bob = Person::join(&world, 2, "bob").await;
    of(&bob).fill(&world).await;
    let eve = Person::join(&world, 3, "eve").await;
    let (first, second, third) = (of(&ada), of(&bob), of(&eve));
    assert_eq!(eve.info["nodes"], json!([first.id.to_hex(), second.id.to_hex(), third.id.to_hex()]));

    let voices: Vec<Value> = [&ada, &bob, &eve].iter().map(|person| person.tracks[0].clone()).collect();
    let mut people = [ada, bob, eve];
    let hears = [[1, 2], [0, 2], [0, 1]];
    for (person, [a, b]) in people.iter_mut().zip(hears) {
        person.hear(&[&voices[a], &voices[b]]).await;
    }
    run("everyone hears both others", &mut people, |people| {
        people.iter().all(|person| person.heard(0).len() > 50 && person.heard(1).len() > 50)
    })
    .await;
    // The third's standby is the second: their pipe is up, and no room crosses it.
    assert_eq!(first.pipes().await, BTreeSet::from([(second.id, 1), (third.id, 1)]));
    assert_eq!(third.pipes().await, BTreeSet::from([(first.id, 1), (second.id, 0)]));

    let killed = Instant::now();
    second.kill().await;
    let [ada, bob, eve] = &mut people;
    let moved = loop {
        tokio::select! {
            moved = bob.signalling.event("moved") => break moved,
            () = tokio::time::sleep(Duration::from_millis(1)) => [&mut *ada, &mut *eve].into_iter().for_each(Person::turn),
        }
    };
    assert_ne!(moved["node"]["id"], second.id.to_hex());
    println!("bob is told to move {:?} after his node was killed", killed.elapsed());
    // Those who are well hear each other all the while.
    let before = (ada.heard(1), eve.heard(0));
    bob.media = Client::new(4);
    bob.negotiate(&[&voices[0], &voices[2]]).await;
    assert_eq!(bob.tracks[0], voices[1], "track ids stay");
    let (ada_heard, eve_heard) = (ada.heard(0).len(), eve.heard(1).len());
    run("bob is back, and those who heard him do again", &mut people, |people| {
        let [ada, bob, eve] = people;
        let again = ada.heard(0).len() > ada_heard + 50 && eve.heard(1).len() > eve_heard + 50;
        again && bob.heard(0).len() > 50 && bob.heard(1).len() > 50
    })
    .await;
    println!("everyone hears everyone {:?} after the kill", killed.elapsed());
    let [ada, _, eve] = &people;
    for (heard, before) in [(ada.heard(1), before.0), (eve.heard(0), before.1)] {
        let (from, to) = (*before.first().unwrap(), *heard.last().unwrap());
        assert!(heard.len() > before.len() && heard.len() as u64 == to - from + 1, "a gap between those who are well");
    }
    assert_eq!(third.cascade.figures().await.unwrap().failovers, 0, "the root was well");

    for person in &mut people {
        person.signalling.call("session.leave", json!({})).await.unwrap();
    }
    until("the tree is gone", async || {
        let pipes = [first.pipes().await, third.pipes().await];
        pipes.iter().flatten().all(|(_, rooms)| *rooms == 0).then_some(())
    })
    .await;
    for node in [first, third] {
        node.kill().await;
    }
}
