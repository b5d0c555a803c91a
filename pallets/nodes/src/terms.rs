//! On what terms media nodes serve in each epoch.

use crate::{Config, EpochClock, Error, NodeInfo, Pallet, Terms, TermsHistory};
use chroom_primitives::{NodeId, QosEpoch};
use frame_support::traits::Get;
use sp_runtime::DispatchResult;

impl<T: Config> Pallet<T> {
    /// The terms on which a media node served in `epoch`; `None` if it was not registered when the epoch began.
    pub fn terms(node: &NodeId, epoch: QosEpoch) -> Option<Terms> {
        TermsHistory::<T>::get(node).into_iter().rev().find(|terms| terms.from <= epoch)
    }

    /// Notes the terms of a media node for the epochs to come, and forgets those that no remembered epoch needs.
    ///
    /// A new node has none in the current epoch, whose committees are known already: whoever could register within it could try keys
    /// until the committee suits.
    pub(crate) fn record_terms(node: NodeId, info: &NodeInfo) -> DispatchResult {
        let current = T::Epochs::current();
        // What genesis sets holds in the first epoch already: it begins after.
        let from = if Self::now() == 0 { current } else { current.next() };
        let terms = Terms { from, weight: info.media_weight(), price_per_gib: info.price_per_gib };
        TermsHistory::<T>::try_mutate(node, |history| {
            match history.last_mut() {
                Some(last) if last.from == from => *last = terms,
                Some(last) if (last.weight, last.price_per_gib) == (terms.weight, terms.price_per_gib) => {}
                _ => {
                    let oldest = QosEpoch(current.0.saturating_sub(T::EpochRing::get()));
                    while history.get(1).is_some_and(|second| second.from <= oldest) {
                        history.remove(0);
                    }
                    history.try_push(terms).map_err(|_| Error::<T>::Overflow)?;
                }
            }
            Ok(())
        })
    }
}
