//! One WHIP or WHEP resource: a task that holds a session for a client which is not connected.

use super::{
    fragment,
    offer::{IceCredentials, Offer},
    viewer::Viewer,
};
use crate::{
    session::{Event, Handle, Join, Notifications, Publish, Refusal, Reply, Request, Subscription, TrackId},
    time::now_ms,
};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

/// How often the view is looked at without an event.
const TICK: Duration = Duration::from_secs(1);

/// What begins a resource.
pub(super) struct Opening {
    pub(super) join: Join,
    pub(super) offer: Offer,
    pub(super) publish: Vec<Publish>,
    /// A WHEP client's view.
    pub(super) viewer: Option<Viewer>,
}

/// What the client gets.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) answer: String,
    pub(super) etag: String,
    /// The participant's id, which names it towards TURN servers.
    pub(super) participant: String,
}

/// An ICE session's answer to a restart.
#[derive(Debug)]
pub(super) struct Restarted {
    pub(super) fragment: String,
    pub(super) etag: String,
}

/// What a PATCH asks.
pub(super) enum Change {
    /// More candidates of the ICE session with this tag.
    Trickle { etags: String },
    /// An ICE restart.
    Restart(IceCredentials),
}

/// What came of a PATCH.
pub(super) enum Changed {
    /// Noted; there is nothing to do.
    Noted,
    /// It is about another ICE session.
    Stale,
    /// Restarted.
    Restarted(Restarted),
}

/// What clients ask of a resource.
pub(super) enum Ask {
    /// PATCH.
    Change { change: Change, reply: oneshot::Sender<Result<Changed, Refusal>> },
    /// DELETE.
    End { reply: oneshot::Sender<()> },
}

/// Names an ICE session (RFC 9725, section 4.3.1): a strong entity tag.
fn etag(answer: &str) -> String {
    let ufrag = answer.lines().find(|line| line.starts_with("a=ice-ufrag:")).unwrap_or(answer);
    let hash = crate::digest::sha256(ufrag.as_bytes());
    format!("\"{}\"", hex::encode(hash.split_at(8).0))
}

/// Whether a list of entity tags (RFC 9110, section 13.1.1) names this one.
fn matches(etags: &str, etag: &str) -> bool {
    etags.split(',').any(|one| one.trim() == etag)
}

/// A resource whose session is there.
struct Resource {
    sessions: Handle,
    connection: crate::session::ConnectionId,
    offer: Offer,
    published: Vec<Publish>,
    viewer: Option<Viewer>,
    etag: String,
}

/// Runs a resource to its end. `opened` hears of the beginning, and if nobody waits for it any more, it ends at once.
pub(super) async fn run(
    sessions: Handle,
    opening: Opening,
    opened: oneshot::Sender<Result<Opened, Refusal>>,
    asks: mpsc::Receiver<Ask>,
    stop: CancellationToken,
) {
    let Some((connection, events)) = sessions.attach().await else {
        let _ = opened.send(Err(Refusal::Internal("this orchestrator is ending")));
        return;
    };
    let begun = Resource::begin(&sessions, connection, opening).await;
    let joined = match begun {
        Ok((mut resource, first)) => {
            if opened.send(Ok(first)).is_ok() {
                let why = resource.live(events, asks, stop).await;
                info!(connection = connection.0, why, "a WHIP or WHEP resource ends");
            }
            true
        }
        Err((refusal, joined)) => {
            let _ = opened.send(Err(refusal));
            joined
        }
    };
    if joined {
        let _ = sessions.request(connection, Request::Leave).await;
    }
    sessions.detach(connection).await;
}

impl Resource {
    /// Joins and negotiates. A failure says whether there is a session to leave.
    async fn begin(
        sessions: &Handle,
        connection: crate::session::ConnectionId,
        opening: Opening,
    ) -> Result<(Self, Opened), (Refusal, bool)> {
        let Opening { join, offer, publish, mut viewer } = opening;
        let session = match sessions.request(connection, Request::Join(Box::new(join))).await {
            Ok(Reply::Session(session)) => session,
            Ok(_) => return Err((Refusal::Internal("joining had another answer"), true)),
            Err(refusal) => return Err((refusal, false)),
        };
        let mut subscribe = Vec::new();
        if let Some(viewer) = &mut viewer {
            session.participants.iter().for_each(|participant| viewer.meet(participant));
            subscribe = viewer.choose(now_ms());
        }
        let mut resource =
            Self { sessions: sessions.clone(), connection, offer, published: publish, viewer, etag: String::new() };
        let answer = resource.negotiate(resource.offer.clone(), subscribe).await.map_err(|refusal| (refusal, true))?;
        let etag = resource.etag.clone();
        Ok((resource, Opened { answer, etag, participant: session.participant.0 }))
    }

    /// Hands an offer over, and keeps what came of it.
    async fn negotiate(&mut self, offer: Offer, subscribe: Vec<Subscription>) -> Result<String, Refusal> {
        let publish = self.published.clone();
        let request = Request::Negotiate { offer: offer.sdp().to_owned(), publish, subscribe };
        let Reply::Negotiated { sdp, publish } = self.sessions.request(self.connection, request).await? else {
            return Err(Refusal::Internal("negotiating had another answer"));
        };
        for line in &mut self.published {
            let known: Option<&TrackId> = publish.iter().find(|(mid, _)| *mid == line.mid).map(|(_, track)| track);
            line.track = known.cloned();
        }
        self.offer = offer;
        self.etag = etag(&sdp);
        Ok(sdp)
    }

    /// Until the client or the room ends it; says why.
    async fn live(
        &mut self,
        mut events: Notifications,
        mut asks: mpsc::Receiver<Ask>,
        stop: CancellationToken,
    ) -> &'static str {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    // Its client can be told of no other connection: it has to come again, and finds the room wherever it is then.
                    Some(Event::Moved { .. }) => return "its media connection ended or its room moved",
                    Some(Event::Closed { .. }) | None => return "its session was ended",
                    Some(event) => {
                        if let Some(viewer) = &mut self.viewer {
                            viewer.hear(&event);
                        }
                    }
                },
                ask = asks.recv() => match ask {
                    Some(Ask::Change { change, reply }) => {
                        let _ = reply.send(self.change(change).await);
                    }
                    Some(Ask::End { reply }) => {
                        let _ = self.sessions.request(self.connection, Request::Leave).await;
                        let _ = reply.send(());
                        return "its client ended it";
                    }
                    None => return "it is forgotten",
                },
                _ = ticks.tick() => {}
                () = stop.cancelled() => return "this orchestrator ends",
            }
            self.look().await;
        }
    }

    /// Brings what the client sees up to date.
    async fn look(&mut self) {
        let Some(viewer) = &mut self.viewer else { return };
        let changes = viewer.choose(now_ms());
        if changes.is_empty() {
            return;
        }
        let request = Request::Subscribe(changes.clone());
        if let Err(refusal) = self.sessions.request(self.connection, request).await {
            debug!(connection = self.connection.0, %refusal, "a viewer's change failed, and is tried again");
            viewer.failed(&changes);
        }
    }

    async fn change(&mut self, change: Change) -> Result<Changed, Refusal> {
        match change {
            Change::Trickle { etags } if matches(&etags, &self.etag) => Ok(Changed::Noted),
            Change::Trickle { .. } => Ok(Changed::Stale),
            Change::Restart(ice) => {
                let offer = self.offer.restarted(ice);
                let answer = self.negotiate(offer, Vec::new()).await?;
                let fragment = fragment::of_answer(&answer)
                    .ok_or_else(|| Refusal::MediaNodeFailed("its answer has no ICE credentials".to_owned()))?;
                Ok(Changed::Restarted(Restarted { fragment, etag: self.etag.clone() }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_names_an_ice_session() {
        let tag = etag("v=0\r\na=ice-ufrag:abcd\r\n");
        assert_eq!(tag, etag("v=0\r\na=mid:1\r\na=ice-ufrag:abcd\r\n"));
        assert_ne!(tag, etag("v=0\r\na=ice-ufrag:efgh\r\n"));
        assert!(tag.starts_with('"') && tag.ends_with('"'));
        assert!(matches(&tag, &tag) && matches(&format!("\"x\", {tag}"), &tag));
        assert!(!matches("\"x\"", &tag) && !matches("", &tag));
        // A weak tag never matches (RFC 9110, section 13.1.1).
        assert!(!matches(&format!("W/{tag}"), &tag));
    }
}
