//! What must hold at any time.

use crate::{Anchor, Balance, Balances, Nodes, Pools, Qos, Rewards, Runtime, Validators};
use frame_support::{ensure, traits::fungible::Inspect};
use sp_runtime::TryRuntimeError;

/// What held when it was checked last.
pub struct Invariants {
    issued: Balance,
}

impl Invariants {
    /// Of the chain as it is now.
    pub fn new() -> Self {
        Self { issued: Balances::total_issuance() }
    }

    /// Checks each pallet's own invariants, and those of all accounts together.
    pub fn check(&mut self) -> Result<(), TryRuntimeError> {
        Nodes::do_try_state()?;
        Qos::do_try_state()?;
        Rewards::do_try_state()?;
        Pools::do_try_state()?;
        Anchor::do_try_state()?;
        Validators::do_try_state()?;
        Self::check_pots()?;
        self.check_accounts()
    }

    /// Nobody here gives to these accounts what is not booked, so they have what they owe to the last unit.
    fn check_pots() -> Result<(), TryRuntimeError> {
        let escrows: Balance =
            pallet_chroom_rewards::Escrows::<Runtime>::iter_values().map(|escrow| escrow.balance).sum();
        let ledgers: Balance = pallet_chroom_rewards::Ledgers::<Runtime>::iter_values().map(|ledger| ledger.left).sum();
        let accrued: Balance = pallet_chroom_rewards::Accrued::<Runtime>::iter_values().sum();
        let exactly = |account, owed: Balance| Balances::balance(&account) == owed + Balances::minimum_balance();
        ensure!(exactly(Rewards::escrow_account(), escrows), "the escrow account has not what the escrows have");
        ensure!(exactly(Rewards::pot_account(), ledgers + accrued), "the pot has not what ledgers and earnings have");
        ensure!(exactly(Pools::account(), Pools::owed()), "the pools' account has not what the pools have");
        Ok(())
    }

    fn check_accounts(&mut self) -> Result<(), TryRuntimeError> {
        let mut sum: Balance = 0;
        for (who, account) in frame_system::Account::<Runtime>::iter() {
            let holds: Balance = pallet_balances::Holds::<Runtime>::get(&who).iter().map(|hold| hold.amount).sum();
            ensure!(account.data.reserved == holds, "what an account has on hold differs from its holds");
            sum += account.data.free + account.data.reserved;
        }
        let issued = Balances::total_issuance();
        ensure!(sum == issued, "the accounts don't add up to the issuance");
        ensure!(issued <= self.issued, "something was issued");
        self.issued = issued;
        Ok(())
    }
}
