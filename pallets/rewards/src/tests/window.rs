//! The memory of what was claimed.

use crate::ClaimWindow;
use chroom_primitives::QosEpoch;
use proptest::prelude::*;
use std::collections::BTreeSet;

proptest! {
    #[test]
    fn it_remembers_the_last_128_epochs(epochs in proptest::collection::vec(0u32..400, 0..60)) {
        let mut window = ClaimWindow::default();
        let mut claimed = BTreeSet::new();
        for epoch in epochs {
            if !window.contains(QosEpoch(epoch)) {
                window.insert(QosEpoch(epoch));
                claimed.insert(epoch);
            }
        }
        let newest = claimed.last().copied().unwrap_or(0);
        for epoch in 0..500u32 {
            let expected = claimed.contains(&epoch) || !claimed.is_empty() && epoch + 128 <= newest;
            prop_assert_eq!(window.contains(QosEpoch(epoch)), expected, "{}", epoch);
        }
    }
}
