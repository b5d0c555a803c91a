//! Who has which tokens. Nothing is ever minted: what isn't burnt is somewhere.

use crate::population::Group;
use chroom_primitives::Balance;
use std::collections::BTreeMap;

/// Who may hold tokens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Account {
    /// The reserve that emission comes from, with what is set aside of it.
    Reserve,
    /// The treasury.
    Treasury,
    /// The validators' pot.
    Validators,
    /// Orchestrators that play no part in an attack.
    Orchestrators,
    /// Applications: escrows and wallets.
    Applications,
    /// All operators of a group: bonds and wallets.
    Operators(Group),
}

/// An account has too little.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{account:?} has {has}, not {amount}")]
pub struct Shortage {
    /// The account.
    pub account: Account,
    /// What it has.
    pub has: Balance,
    /// What it should pay.
    pub amount: Balance,
}

/// All tokens.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ledger {
    accounts: BTreeMap<Account, Balance>,
    issued: Balance,
    burnt: Balance,
}

impl Ledger {
    /// Issues tokens at the beginning.
    pub fn endow(&mut self, account: Account, amount: Balance) {
        *self.accounts.entry(account).or_default() += amount;
        self.issued += amount;
    }

    /// What an account has.
    pub fn balance(&self, account: Account) -> Balance {
        self.accounts.get(&account).copied().unwrap_or_default()
    }

    /// What was burnt so far.
    pub fn burnt(&self) -> Balance {
        self.burnt
    }

    /// Moves tokens.
    pub fn pay(&mut self, from: Account, to: Account, amount: Balance) -> Result<(), Shortage> {
        self.take(from, amount)?;
        *self.accounts.entry(to).or_default() += amount;
        Ok(())
    }

    /// Burns tokens.
    pub fn burn(&mut self, from: Account, amount: Balance) -> Result<(), Shortage> {
        self.take(from, amount)?;
        self.burnt += amount;
        Ok(())
    }

    fn take(&mut self, account: Account, amount: Balance) -> Result<(), Shortage> {
        let has = self.balance(account);
        let rest = has.checked_sub(amount).ok_or(Shortage { account, has, amount })?;
        self.accounts.insert(account, rest);
        Ok(())
    }

    /// Whether all accounts and what was burnt add up to what was issued.
    pub fn is_conserved(&self) -> bool {
        self.accounts.values().sum::<Balance>() + self.burnt == self.issued
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_moved_or_burnt_and_nobody_overdraws() {
        let mut ledger = Ledger::default();
        ledger.endow(Account::Reserve, 10);
        ledger.pay(Account::Reserve, Account::Treasury, 4).unwrap();
        ledger.burn(Account::Reserve, 1).unwrap();
        assert_eq!((ledger.balance(Account::Reserve), ledger.balance(Account::Treasury), ledger.burnt()), (5, 4, 1));
        assert!(ledger.is_conserved());
        let shortage = Shortage { account: Account::Treasury, has: 4, amount: 5 };
        assert_eq!(ledger.pay(Account::Treasury, Account::Reserve, 5), Err(shortage));
        assert_eq!(ledger.burn(Account::Validators, 1).unwrap_err().has, 0);
        assert!(ledger.is_conserved());
        ledger.accounts.insert(Account::Validators, 1);
        assert!(!ledger.is_conserved());
    }
}
