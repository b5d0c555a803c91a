//! Who authors blocks: any validator in office that isn't disabled, but for one that is away for a while; now and then slots stay empty.

use super::{super::chain::slot_of, dice::Dice};
use crate::{AccountId, Executive, Header, Runtime, RuntimeCall, SLOT_MS, Session, System, UncheckedExtrinsic};
use codec::Encode;
use frame_support::storage::{TransactionOutcome, with_transaction};
use sp_consensus_babe::{
    BABE_ENGINE_ID,
    digests::{PreDigest, SecondaryPlainPreDigest},
};
use sp_runtime::{Digest, DigestItem, DispatchError, traits::Header as _};

/// The chain's authors.
pub struct Authors {
    slot: u64,
    away: Option<AccountId>,
    /// Whose the block is that is open.
    pub current: Option<AccountId>,
}

impl Authors {
    pub fn new() -> Self {
        Self { slot: slot_of(0), away: None, current: None }
    }

    /// Opens the next block and sets its time.
    pub fn open(&mut self, dice: &mut Dice) {
        self.slot += if dice.once_in(30) { u64::from(1 + dice.below(5)) } else { 1 };
        let validators = Session::validators();
        if dice.once_in(40) {
            self.away = dice.pick(&validators);
        } else if dice.once_in(20) {
            self.away = None;
        }
        let number = validators.len() as u32;
        let first = dice.below(number);
        let mut places: Vec<u32> = (first..number).chain(0..first).collect();
        // Last, in case that there is no other.
        places.sort_by_key(|place| self.away.as_ref() == validators.get(*place as usize));
        // A block that begins a session is a validator's of that one, of whom there may be more.
        let queued = pallet_session::QueuedKeys::<Runtime>::decode_len().unwrap_or_default() as u32;
        places.extend(number..queued);
        let opened = places.into_iter().find(|place| self.try_open(*place));
        let place = opened.unwrap_or_else(|| {
            panic!(
                "nobody may author a block: of {number} validators and {queued} to come {:?} are disabled",
                Session::disabled_validators()
            )
        });
        self.current = Session::validators().get(place as usize).cloned();
        let set_time = pallet_timestamp::Call::<Runtime>::set { now: self.slot * SLOT_MS };
        let set_time = UncheckedExtrinsic::new_bare(RuntimeCall::Timestamp(set_time));
        Executive::apply_extrinsic(set_time).unwrap().unwrap();
    }

    /// Opens the next block by the validator at `place`, unless it is disabled in the session that the block belongs to: only the block itself
    /// shows which that is.
    fn try_open(&self, place: u32) -> bool {
        let plain = SecondaryPlainPreDigest { slot: self.slot.into(), authority_index: place };
        let logs = vec![DigestItem::PreRuntime(BABE_ENGINE_ID, PreDigest::SecondaryPlain(plain).encode())];
        let (number, parent) = (System::block_number() + 1, System::parent_hash());
        let header = Header::new(number, Default::default(), Default::default(), parent, Digest { logs });
        let opened = with_transaction(|| {
            Executive::initialize_block(&header);
            let is_there = (place as usize) < Session::validators().len();
            if !is_there || Session::disabled_validators().contains(&place) {
                TransactionOutcome::Rollback(Ok::<_, DispatchError>(false))
            } else {
                TransactionOutcome::Commit(Ok(true))
            }
        });
        opened == Ok(true)
    }

    /// Closes the block that is open.
    pub fn close(&self) {
        Executive::finalize_block();
    }
}
