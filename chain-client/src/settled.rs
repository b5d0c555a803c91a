//! Blocks whose state can be asked.
//!
//! The block that brings a new runtime has the new code already and the old one's storage still: migrations run at the beginning of the next block. Asked
//! at that block, the new code looks where nothing is yet, and answers that there is nothing. It is the last finalised one for a block's time, or
//! for as long as validators compile the code; so questions go to the block before it meanwhile, whose code and storage belong together.

use crate::{QueryError, link::Connection, query::AtBlock, runtime};
use std::sync::atomic::Ordering;

/// Blocks in a row that may each bring a runtime.
const MOST_BACK: usize = 4;

/// Whether migrations to a block's code are still to run after it, as the runtime itself decides at the beginning of the next block.
fn is_between(code: u32, migrated: Option<u32>) -> bool {
    migrated.is_none_or(|migrated| code > migrated)
}

/// Whether a block's storage is still that of the runtime before.
pub(crate) async fn awaits_migration(connection: &Connection, at: &AtBlock) -> Result<bool, QueryError> {
    let code = at.spec_version();
    // Asked once for each runtime: it doesn't go back.
    if code <= connection.migrated.load(Ordering::Relaxed) {
        return Ok(false);
    }
    let address = runtime::storage().system().last_runtime_upgrade();
    let last = at.storage().try_fetch(address, ()).await.map_err(subxt::Error::from)?;
    let last = last.map(|last| last.decode()).transpose().map_err(subxt::Error::from)?;
    let between = is_between(code, last.map(|last| last.spec_version));
    if !between {
        connection.migrated.fetch_max(code, Ordering::Relaxed);
    }
    Ok(between)
}

/// The newest block up to `at` whose code and storage belong together.
pub(crate) async fn settled(connection: &Connection, mut at: AtBlock) -> Result<AtBlock, QueryError> {
    for _ in 0..MOST_BACK {
        if !awaits_migration(connection, &at).await? {
            return Ok(at);
        }
        let Some(before) = at.block_number().checked_sub(1) else { return Ok(at) };
        tracing::debug!(block = before + 1, code = at.spec_version(), "asked at the block before the new runtime's");
        at = connection.api.at_block(before).await.map_err(subxt::Error::from)?;
    }
    Err(QueryError::Node(format!("each of its last {MOST_BACK} blocks brought a new runtime")))
}

#[cfg(test)]
mod tests {
    use super::is_between;

    #[test]
    fn storage_is_the_codes_once_migrations_ran() {
        assert!(is_between(101, Some(100)) && is_between(1, None));
        assert!(!is_between(101, Some(101)));
        assert!(!is_between(100, Some(101)), "an older code migrates nothing");
    }
}
