//! One WebRTC client, as cheap as it can be while an SFU can't tell it from a browser: it comes up by ICE and DTLS, publishes,
//! receives, reports, asks for what is missing, and keeps consent fresh. No I/O: datagrams and the time come in, datagrams go out.

pub mod address;
pub mod decoder;
pub mod feedback;
pub mod handshake;
pub mod publication;
pub mod receiving;
pub mod reception;
pub mod source;
pub mod vp8;
pub mod watch;
pub mod world;

use crate::{
    model::line::Line,
    path,
    wire::{
        rtcp::{self, Told},
        rtp, sdp, stun,
    },
};
use address::ClientId;
use feedback::Feedback;
use handshake::{Credentials, Handshake, HandshakeError, Identity, Keys};
use publication::{Publication, Writer};
use rand::Rng;
use receiving::Receiving;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use watch::{Timeline, Watch};
use world::{Out, World, wall};

/// Mean time between consent checks; each is drawn between 0.8 and 1.2 of it (RFC 7675 §5.1).
const CONSENT: Duration = Duration::from_secs(5);
/// A client that isn't up after this time has failed.
const PATIENCE: Duration = Duration::from_secs(25);

/// What a client is to do.
pub struct Plan {
    /// Its number.
    pub id: ClientId,
    /// When its joining began: before the first word to the SFU.
    pub begun: Instant,
    /// The SFU's address.
    pub remote: SocketAddr,
    /// Names and passwords of ICE.
    pub credentials: Credentials,
    /// What it publishes.
    pub publish: Vec<publication::Plan>,
    /// The other side's m-lines.
    pub lines: Vec<sdp::Line>,
    /// Sources that it shall get.
    pub subscribe: Vec<u32>,
    /// What its line loses on the way to it.
    pub downlink: Line,
    /// Its ways from and to the server, where they are modelled more closely.
    pub path: Option<path::Plan>,
    /// What is noted of it, if anything.
    pub watch: Option<watch::Plan>,
}

/// What happened to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// ICE and DTLS are up, this long after the joining began.
    Up(Duration),
    /// The first media came, this long after the joining began.
    Media(Duration),
    /// It can't go on.
    Failed(HandshakeError),
    /// It didn't come up in time.
    Late,
}

enum State {
    Rising(Box<Handshake>),
    Up(Box<Keys>),
    Failed,
}

/// The client.
pub struct Client {
    id: ClientId,
    begun: Instant,
    remote: SocketAddr,
    credentials: Credentials,
    state: State,
    plans: Vec<publication::Plan>,
    publications: Vec<Publication>,
    transport_seq: u16,
    receiving: Receiving,
    feedback: Feedback,
    next_consent: Instant,
    /// What it subscribes to.
    pub subscribe: Vec<u32>,
    news: Vec<News>,
}

impl Client {
    /// A client that begins to connect now, `since` the load began.
    pub fn new(plan: Plan, identity: &Identity, now: Instant, since: Duration) -> Self {
        let patience = plan.watch.as_ref().map(watch::Plan::patience).unwrap_or_default();
        let watch = plan.watch.as_ref().map(|plan| Watch::new(plan, since));
        Self {
            id: plan.id,
            begun: plan.begun,
            remote: plan.remote,
            credentials: plan.credentials,
            state: State::Rising(Box::new(Handshake::new(identity, now))),
            plans: plan.publish,
            publications: Vec::new(),
            transport_seq: 0,
            feedback: Feedback::new(plan.id, &plan.lines),
            receiving: Receiving::new(&plan.lines, plan.downlink, patience, watch),
            next_consent: now + CONSENT,
            subscribe: plan.subscribe,
            news: Vec::new(),
        }
    }

    /// Whether its connection came up.
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Up(_))
    }

    /// What was noted of it, if it is watched.
    pub fn timeline(&self) -> Option<&Timeline> {
        self.receiving.watch.as_ref().map(Watch::timeline)
    }

    /// What happened since this was last asked.
    pub fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// When [`Client::tick`] is to be called; `origin` is when the load began.
    pub fn deadline(&self, origin: Instant) -> Instant {
        match &self.state {
            State::Rising(handshake) => handshake.deadline().min(self.begun + PATIENCE),
            State::Failed => self.next_consent + Duration::from_secs(3_600),
            State::Up(_) => {
                let publications = self.publications.iter().map(|publication| origin + publication.due());
                publications
                    .chain([origin + self.feedback.deadline(&self.receiving)])
                    .fold(self.next_consent, Instant::min)
            }
        }
    }

    /// Takes in a datagram that arrived at `arrived`, in nanoseconds of the system's clock. It is opened in place.
    pub fn receive<O: Out>(&mut self, datagram: &mut [u8], arrived: u64, world: &mut World<'_, O>) {
        match datagram.first() {
            Some(0..=3) => self.stun(datagram, world),
            Some(20..=63) => {
                if let State::Rising(handshake) = &mut self.state {
                    let received = handshake.receive(datagram);
                    match received {
                        Ok(()) => self.rise(world),
                        Err(error) => self.fail(News::Failed(error)),
                    }
                }
            }
            Some(128..=191) => {
                let State::Up(keys) = &mut self.state else { return };
                if rtp::is_rtcp(datagram) {
                    if let Ok(plain) = keys.read.open_rtcp(datagram) {
                        let told = rtcp::read(&plain);
                        told.into_iter().for_each(|told| self.told(told, world));
                    } else {
                        world.counts.corrupt += 1;
                    }
                } else {
                    let first = self.receiving.packet(datagram, arrived, &keys.read, &mut self.feedback, world);
                    if first {
                        self.news.push(News::Media(world.now.saturating_duration_since(self.begun)));
                    }
                }
            }
            _ => world.counts.unknown += 1,
        }
    }

    fn stun<O: Out>(&mut self, datagram: &[u8], world: &mut World<'_, O>) {
        match stun::read(datagram) {
            Some(stun::Message::Request(id)) => {
                let answer = stun::success(id, self.remote, &self.credentials.local_password);
                world.out.send(self.id, self.remote, &answer);
            }
            Some(stun::Message::Success(_)) => {
                if let State::Rising(handshake) = &mut self.state {
                    handshake.checked(world.now);
                    self.rise(world);
                }
            }
            None => world.counts.unknown += 1,
        }
    }

    fn rise<O: Out>(&mut self, world: &mut World<'_, O>) {
        let State::Rising(handshake) = &mut self.state else { return };
        let (id, remote, out) = (self.id, self.remote, &mut *world.out);
        match handshake.tick(world.now, &self.credentials, |datagram| out.send(id, remote, datagram)) {
            Ok(None) if world.now >= self.begun + PATIENCE => self.fail(News::Late),
            Ok(None) => {}
            Ok(Some(keys)) => {
                world.counts.profile = Some(keys.profile);
                self.state = State::Up(Box::new(keys));
                let plans = std::mem::take(&mut self.plans);
                let start = world.since;
                self.publications =
                    plans.into_iter().map(|plan| Publication::new(plan, start, &mut *world.random)).collect();
                self.feedback.start(start, world.random);
                self.next_consent = world.now + CONSENT.mul_f64(world.random.random_range(0.1..1.2));
                self.news.push(News::Up(world.now.saturating_duration_since(self.begun)));
            }
            Err(error) => self.fail(News::Failed(error)),
        }
    }

    fn fail(&mut self, news: News) {
        self.state = State::Failed;
        self.news.push(news);
    }

    fn told<O: Out>(&mut self, told: Told, world: &mut World<'_, O>) {
        match told {
            Told::Report(ssrc, time) => self.receiving.reported(ssrc, time, world.since),
            Told::Keyframe(ssrc) => {
                world.counts.keyframes_asked += 1;
                if let Some(publication) = self.publications.iter_mut().find(|publication| publication.ssrc() == ssrc) {
                    publication.want_keyframe();
                }
            }
            Told::Missing(ssrc, missing) => {
                let State::Up(keys) = &self.state else { return };
                let found = self.publications.iter_mut().find(|publication| publication.ssrc() == ssrc);
                let Some(publication) = found else { return };
                let (id, remote, out) = (self.id, self.remote, &mut *world.out);
                for seq in missing {
                    world.counts.resent += 1;
                    let transport_seq = &mut self.transport_seq;
                    let mut writer = Writer { srtp: &keys.write, transport_seq, packet: &mut *world.packet };
                    let sent = publication.resend(seq, &mut writer, |packet| out.send(id, remote, packet));
                    world.counts.corrupt += u64::from(sent.is_err());
                }
            }
        }
    }

    /// Lets time pass.
    pub fn tick<O: Out>(&mut self, world: &mut World<'_, O>) {
        let (id, remote) = (self.id, self.remote);
        let State::Up(keys) = &mut self.state else {
            self.rise(world);
            return;
        };
        for publication in &mut self.publications {
            if publication.due() > world.since {
                continue;
            }
            let source = publication.source();
            let active = world.sources.is_active(source);
            let mut writer =
                Writer { srtp: &keys.write, transport_seq: &mut self.transport_seq, packet: &mut *world.packet };
            let (sources, counts, out) = (&mut *world.sources, &mut *world.counts, &mut *world.out);
            let sent = publication.poll(world.since, active, world.random, &mut writer, |number, packet| {
                let subscribers = sources.get_mut(source).map_or(0, |source| source.send(number, wall()));
                counts.published += 1;
                counts.due += subscribers;
                out.burst(id, remote, packet);
            });
            world.out.flush();
            world.counts.corrupt += u64::from(sent.is_err());
        }
        let out = &mut *world.out;
        let mut send = |datagram: &[u8]| out.send(id, remote, datagram);
        self.feedback.poll(world.since, &mut self.receiving, &mut keys.write, world.packet, world.counts, &mut send);
        if world.now >= self.next_consent {
            self.next_consent = world.now + CONSENT.mul_f64(world.random.random_range(0.8..1.2));
            send(&self.credentials.check(world.random.random()));
            world.counts.checks += 1;
        }
    }
}
