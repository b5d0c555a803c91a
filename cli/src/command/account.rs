//! `chroom account`: what an account owns, and sending it.

use super::{
    escrow::account,
    node::{refused, transaction},
};
use crate::{
    amount::Amount,
    chain::Chain,
    failure::{Context, Failure},
    output::{Output, facts},
    owner::Owner,
};
use chroom_primitives::AccountId;
use clap::{Args, Subcommand};
use serde_json::json;

const EXAMPLES: &str = "Examples:
  chroom account balance 5FLSigC9…
  chroom account balance 0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266     the account of an EVM wallet
  chroom account send 0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266 500 --suri-file payer.suri";

/// Accounts
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// Show what an account owns
    #[command(after_help = EXAMPLES)]
    Balance(Balance),
    /// Send CHR
    #[command(after_help = EXAMPLES)]
    Send(Send),
}

/// Arguments of `balance`.
#[derive(Debug, Args)]
pub struct Balance {
    #[command(flatten)]
    chain: Chain,
    /// The account (SS58, or an EVM address)
    #[arg(value_parser = account)]
    account: AccountId,
}

/// Arguments of `send`.
#[derive(Debug, Args)]
pub struct Send {
    #[command(flatten)]
    chain: Chain,
    #[command(flatten)]
    owner: Owner,
    /// Who gets it (SS58, or an EVM address)
    #[arg(value_parser = account)]
    to: AccountId,
    /// How many CHR
    amount: Amount,
}

/// Runs the command.
pub async fn run(command: &Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::Balance(balance) => {
            let chain = balance.chain.connect().await?;
            let owns = chain.balance(&balance.account).await.context("cannot read the balance")?;
            let json = json!({
                "account": balance.account.to_string(),
                "free": owns.free.to_string(),
                "held": owns.held.to_string(),
                "frozen": owns.frozen.to_string(),
            });
            output.show(&json, |_| {
                facts(&[
                    ("account", balance.account.to_string()),
                    ("free", Amount(owns.free).to_string()),
                    ("held", Amount(owns.held).to_string()),
                ])
            });
        }
        Command::Send(send) => {
            let signer = send.owner.signer()?;
            let chain = send.chain.connect().await?;
            let outcome = chain.transfer(&signer, &send.to, send.amount.0).await.map_err(|error| refused(&error))?;
            let json = json!({
                "from": signer.account().to_string(),
                "to": send.to.to_string(),
                "amount": send.amount.0.to_string(),
                "transaction": transaction(&outcome),
            });
            output.show(&json, |_| {
                format!(
                    "{} sent to {} in block {}; fee {}",
                    send.amount,
                    send.to,
                    outcome.block_number,
                    Amount(outcome.fee)
                )
            });
        }
    }
    Ok(())
}
