//! Candidates bond and leave, validators are paid and offend.

use crate::{
    AccountId, Balance, Runtime, Session, Validators,
    tests::random::{actors::session_keys, world::World},
};
use frame_support::traits::ValidatorRegistration;
use pallet_chroom_validators::Exposures;
use pallet_session::SessionInterface;
use sp_staking::offence::{OffenceDetails, OnOffenceHandler};

type SessionCall = pallet_session::Call<Runtime>;
type ValidatorsCall = pallet_chroom_validators::Call<Runtime>;

impl World {
    pub(super) fn validate(&mut self) {
        let who = self.someone();
        let call = match self.dice.below(25) {
            0..=4 => ValidatorsCall::join { amount: self.chr(3_000) },
            5..=7 => ValidatorsCall::unbond { amount: self.chr(1_500) },
            8 => ValidatorsCall::leave {},
            9..=12 => ValidatorsCall::withdraw {},
            13 => ValidatorsCall::set_payee { payee: self.anyone() },
            14 | 15 => return self.cancel_slash(),
            16 => return self.change_keys(),
            _ => {
                let owed = Validators::pending_pay(who.clone());
                let latest = Validators::era_info().active.index;
                let era = self.dice.pick(&owed).map_or(latest, |(era, _)| era);
                ValidatorsCall::payout { era, validator: who.clone() }
            }
        };
        self.send(who, call);
    }

    fn cancel_slash(&mut self) {
        let waiting: Vec<_> = pallet_chroom_validators::UnappliedSlashes::<Runtime>::iter_keys().collect();
        if let Some((era, id)) = self.dice.pick(&waiting) {
            self.command(ValidatorsCall::cancel_slash { era, ids: vec![id].try_into().unwrap() });
        }
    }

    /// Somebody takes its session keys away, or all who have none set theirs.
    fn change_keys(&mut self) {
        if self.dice.once_in(4) {
            let who = self.someone();
            // Without keys nobody serves, whatever the rules say of candidates who leave: the last ones would stop the chain.
            let serving = pallet_session::QueuedKeys::<Runtime>::get();
            let others = serving.iter().filter(|(other, _)| *other != who && Session::is_registered(other));
            if others.count() >= 2 {
                self.send(who, SessionCall::purge_keys {});
            }
            return;
        }
        for (place, who) in self.actors.people.iter().enumerate() {
            if !Session::is_registered(who) {
                let outcome = <Session as SessionInterface>::set_keys(who, session_keys(place));
                self.tally.note("Session::set_keys", outcome);
            }
        }
    }

    /// Validators in office equivocate, as pallet-offences tells of it; of the era before sometimes, as reports come late.
    pub(super) fn offend(&mut self) {
        let active = Validators::era_info().active;
        let (era, session) = if self.dice.once_in(4) && active.index > 0 {
            (active.index - 1, active.first_session.saturating_sub(1))
        } else {
            (active.index, Session::current_index())
        };
        // A block whose author it disables is no block: such reports wait for the next one.
        let author = &self.authors.current;
        let mut serving: Vec<(AccountId, Balance)> =
            Exposures::<Runtime>::iter_prefix(era).filter(|(who, _)| author.as_ref() != Some(who)).collect();
        let offenders = if self.dice.once_in(4) { 2 } else { 1 };
        let mut details = Vec::new();
        while details.len() < offenders && !serving.is_empty() {
            let offender = serving.remove(self.dice.below(serving.len() as u32) as usize);
            let reporters = (0..self.dice.below(3)).map(|_| self.anyone()).collect();
            details.push(OffenceDetails { offender, reporters });
        }
        let share = self.dice.percent(25);
        let shares = vec![share; details.len()];
        let _ = <Validators as OnOffenceHandler<_, _, _>>::on_offence(&details, &shares, session);
        self.tally.note("Validators::on_offence", Ok(()));
    }
}
