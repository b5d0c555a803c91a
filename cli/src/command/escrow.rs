//! `chroom escrow`: what applications pay from.

use super::node::{refused, transaction};
use crate::{
    amount::Amount,
    chain::Chain,
    failure::{Context, Failure},
    output::{Output, facts},
    owner::Owner,
};
use chroom_primitives::{AccountId, NodeId};
use clap::{Args, Subcommand};
use serde_json::json;
use std::str::FromStr;

const EXAMPLES: &str = "Examples:
  chroom escrow show 5FLSigC9…
  chroom escrow deposit 5FLSigC9… 250 --suri-file payer.suri
  chroom escrow authorize 0x8f3c… 1.5 --suri-file app.suri      up to 1.5 CHR per GiB
  chroom escrow authorize 0x8f3c… --revoke --suri-file app.suri

Orchestrators that the application's own account bonded for need no authorisation.";

/// What applications pay from
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// Add to an application's escrow
    #[command(after_help = EXAMPLES)]
    Deposit(Deposit),
    /// Let an orchestrator spend from the signer's escrow, up to a price
    #[command(after_help = EXAMPLES)]
    Authorize(Authorize),
    /// Show an application's escrow
    #[command(after_help = EXAMPLES)]
    Show(Show),
}

/// Arguments of `deposit`.
#[derive(Debug, Args)]
pub struct Deposit {
    #[command(flatten)]
    chain: Chain,
    #[command(flatten)]
    owner: Owner,
    /// The application's account (SS58, or an EVM address)
    #[arg(value_parser = account)]
    application: AccountId,
    /// CHR to add
    amount: Amount,
}

/// Arguments of `authorize`.
#[derive(Debug, Args)]
pub struct Authorize {
    #[command(flatten)]
    chain: Chain,
    /// The application, whose escrow pays.
    #[command(flatten)]
    owner: Owner,
    /// The orchestrator
    orchestrator: NodeId,
    /// Highest price of a node in CHR per GiB; holds for the current epoch, a lower one than before from the next on
    #[arg(required_unless_present = "revoke")]
    price: Option<Amount>,
    /// Let it spend nothing any more, from the next epoch on
    #[arg(long, conflicts_with = "price")]
    revoke: bool,
}

/// Arguments of `show`.
#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    chain: Chain,
    /// The application's account (SS58, or an EVM address)
    #[arg(value_parser = account)]
    application: AccountId,
}

/// Reads an account: SS58, or an EVM address.
pub fn account(text: &str) -> Result<AccountId, String> {
    if let Ok(address) = NodeId::from_str(text) {
        return Ok(address.account());
    }
    AccountId::from_str(text)
        .map_err(|_| "an account is an SS58 address (5Grw…) or an EVM address (0x and 40 hex digits)".to_owned())
}

/// Runs the command.
pub async fn run(command: &Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::Deposit(deposit) => {
            let signer = deposit.owner.signer()?;
            let chain = deposit.chain.connect().await?;
            let outcome = chain
                .deposit_escrow(&signer, &deposit.application, deposit.amount.0)
                .await
                .map_err(|error| refused(&error))?;
            let balance = chain.escrow(&deposit.application).await.context("cannot read the escrow")?;
            let json = json!({
                "application": deposit.application.to_string(),
                "deposited": deposit.amount.0.to_string(),
                "balance": balance.to_string(),
                "transaction": transaction(&outcome),
            });
            output.show(&json, |_| {
                facts(&[
                    ("application", deposit.application.to_string()),
                    ("deposited", deposit.amount.to_string()),
                    ("balance", Amount(balance).to_string()),
                    ("fee", Amount(outcome.fee).to_string()),
                ])
            });
        }
        Command::Authorize(authorize) => {
            let application = authorize.owner.signer()?;
            let chain = authorize.chain.connect().await?;
            let (orchestrator, price) = (authorize.orchestrator, authorize.price.filter(|_| !authorize.revoke));
            let outcome =
                chain.authorize(&application, orchestrator, price.map(|price| price.0)).await.map_err(|error| {
                    let failure = refused(&error);
                    if error.is("Rewards", "NoEscrow") {
                        failure.hint("chroom escrow deposit fills the application's escrow first")
                    } else {
                        failure
                    }
                })?;
            let json = json!({
                "application": application.account().to_string(),
                "orchestrator": orchestrator,
                "maxPricePerGib": price.map(|price| price.0.to_string()),
                "transaction": transaction(&outcome),
            });
            output.show(&json, |_| {
                facts(&[
                    ("application", application.account().to_string()),
                    ("orchestrator", orchestrator.to_string()),
                    ("may agree to", price.map_or("nothing".to_owned(), |price| format!("{price} per GiB"))),
                    ("fee", Amount(outcome.fee).to_string()),
                ])
            });
        }
        Command::Show(show) => {
            let chain = show.chain.connect().await?;
            let balance = chain.escrow(&show.application).await.context("cannot read the escrow")?;
            let json = json!({ "application": show.application.to_string(), "balance": balance.to_string() });
            output.show(&json, |_| Amount(balance).to_string());
        }
    }
    Ok(())
}
