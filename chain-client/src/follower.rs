//! Follows finalised blocks.

use crate::{
    Membership, QueryError,
    link::{Connection, Link},
    query::{self, AtBlock},
    settled::{awaits_migration, settled},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// A subscription that is silent for this long is given up: five blocks' time. Finality may really pause; then a new
/// connection does no harm.
const SILENCE: Duration = Duration::from_secs(30);
/// Pause before the first new attempt; doubled up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause between attempts.
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// Time that reading a block's register may take.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The register as of the last finalised block.
pub(crate) async fn first(link: &Link) -> Result<Membership, QueryError> {
    let connection = link.current().await;
    let at = connection.api.at_current_block().await.map_err(subxt::Error::from)?;
    read(&settled(&connection, at).await?, None).await
}

/// Publishes the register as of each finalised block, until nobody listens. Never gives up.
pub(crate) async fn follow(link: Arc<Link>, membership: watch::Sender<Arc<Membership>>) {
    let mut pause = MIN_PAUSE;
    loop {
        let connection = link.current().await;
        let before = membership.borrow().block;
        let error = match follow_over(&connection, &membership).await {
            Ok(()) => return,
            Err(error) => error,
        };
        if membership.borrow().block > before {
            pause = MIN_PAUSE;
        }
        tracing::warn!(url = &*connection.url, %error, "lost the chain's finalised blocks, connecting anew");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
        if let Err(error) = link.replace(&connection).await {
            tracing::warn!(%error, "no chain node can be reached");
        }
    }
}

/// Why following over one connection ended.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error("no finalised block for {} s", SILENCE.as_secs())]
    Silence,
    #[error("the subscription ended")]
    Ended,
    #[error("reading a block took longer than {} s", READ_TIMEOUT.as_secs())]
    Slow,
    #[error(transparent)]
    Query(#[from] QueryError),
}

async fn follow_over(connection: &Connection, membership: &watch::Sender<Arc<Membership>>) -> Result<(), FollowError> {
    let subscribing = connection.api.stream_blocks();
    let mut blocks = match tokio::time::timeout(SILENCE, subscribing).await {
        Ok(blocks) => blocks.map_err(|e| QueryError::from(subxt::Error::from(e)))?,
        Err(_) => return Err(FollowError::Silence),
    };
    loop {
        let next = tokio::select! {
            next = tokio::time::timeout(SILENCE, blocks.next()) => next,
            () = membership.closed() => return Ok(()),
        };
        let mut block = match next {
            Ok(Some(block)) => block.map_err(|e| QueryError::from(subxt::Error::from(e)))?,
            Ok(None) => return Err(FollowError::Ended),
            Err(_) => return Err(FollowError::Silence),
        };
        // After a pause there may be many: the newest says it all.
        while let Some(Some(newer)) = futures::FutureExt::now_or_never(blocks.next()) {
            block = newer.map_err(|e| QueryError::from(subxt::Error::from(e)))?;
        }
        let known = membership.borrow().clone();
        if block.number() <= u64::from(known.block) {
            // The new connection's node lags, or repeats what was known when subscribing.
            continue;
        }
        let reading = async {
            let at = block.at().await.map_err(subxt::Error::from).map_err(QueryError::from)?;
            if awaits_migration(connection, &at).await? {
                return Ok(None);
            }
            read(&at, Some(&known)).await.map(Some)
        };
        match tokio::time::timeout(READ_TIMEOUT, reading).await {
            Ok(read) => {
                // The next block has it, with what a new runtime made of it.
                let Some(read) = read? else { continue };
                tracing::trace!(block = read.block, epoch = read.epoch.current.0, "finalised");
                membership.send_replace(Arc::new(read));
            }
            Err(_) => return Err(FollowError::Slow),
        }
    }
}

/// Reads a block's register; what did not change since `known` is taken from there.
async fn read(at: &AtBlock, known: Option<&Membership>) -> Result<Membership, QueryError> {
    let epoch = query::call(at, query::api().epoch_info()).await?.0;
    let generation = crate::account::generation(at).await?;
    let nodes = match known {
        Some(known) if known.generation == generation => known.nodes.clone(),
        _ => query::registrations(at).await?,
    };
    // Block numbers are 32 bits wide on this chain.
    let block = u32::try_from(at.block_number()).unwrap_or(u32::MAX);
    Ok(Membership { block, block_hash: at.block_hash(), epoch, generation, nodes })
}
