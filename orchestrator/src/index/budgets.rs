//! What applications can pay, as the index has it.

use super::{Directory, Index};
use crate::allocation::Budget;

impl Index {
    /// Notes what an application can pay. Returns what was known before.
    pub fn set_budget(&self, application: &str, budget: Budget) -> Budget {
        let before = self.state.write().budgets.insert(application.to_owned(), budget).unwrap_or_default();
        if before == Budget::Unknown {
            self.heard.send_replace(());
        }
        before
    }

    /// Waits until it is known what an application can pay. It was asked for at the start, so this is for those who come with it.
    pub async fn budget_known(&self, application: &str) {
        let mut heard = self.heard.subscribe();
        while self.budget(application) == Budget::Unknown && heard.changed().await.is_ok() {}
    }
}
