//! Questions that change nothing.

use super::{
    super::{
        error::Refusal,
        exchange::{Reply, Ticket},
        ids::SessionId,
        wire::NodeInfo,
    },
    Core, NO_SESSION, Turn, info_of,
};
use chroom_primitives::NodeId;

impl Core {
    pub(super) fn node_info(&self, t: &Turn<'_>, id: SessionId) -> NodeInfo {
        let node = self.sessions.get(&id).and_then(|session| session.node);
        node.map_or_else(|| NodeInfo::unknown(NodeId::default()), |node| info_of(t, node))
    }

    pub(super) fn ticket(&self, id: SessionId) -> Result<Reply, Refusal> {
        let session = self.sessions.get(&id).ok_or(NO_SESSION)?;
        Ok(Reply::Ticket(Box::new(Ticket {
            session: id,
            receipt_key: session.receipt_key,
            account: session.account.clone(),
            started_ms: session.started_ms,
            stays: session.stays.clone(),
        })))
    }
}
