//! How much of its class a node offered in an epoch: a pure function of its load reports and its callers' receipts.
//!
//! A class is a commitment ([`CapacityClass::committed_kbps`]) that is tested by real calls: orchestrators fill nodes in turns. A
//! node that has less than it registered must say in its turn that it is full, or fail its callers, or claim a load that they don't confirm. Each of the
//! three shows here how much it had.
//!
//! [`CapacityClass::committed_kbps`]: chroom_primitives::CapacityClass::committed_kbps

use super::{receipt::StoredReceipt, scoring::Observed};
use crate::datastore::offer::{MINUTE_MS, Minute, Offer, load_kbps};
use chroom_primitives::{AccountId, Score, UnixMs};
use std::collections::{BTreeMap, BTreeSet};

/// Fewest callers of an operator at one time that can show a node's failure: fewer may all have bad lines of their own.
const FEWEST_CALLERS: usize = 4;
/// So many of an epoch's worst minutes count for nothing: software restarts, lines hiccup.
const FREE_MINUTES: usize = 2;
/// Share of what they want, in percent, below which a node fails its callers even where less does them little harm: it has no more.
const SHORT_PERCENT: u64 = 95;
/// Share of its commitment, in percent, from which on callers must confirm what a node says that it carries: little less than what
/// orchestrators fill it to. Who says less is sent more.
const FILLED_PERCENT: u64 = 95;
/// Share of what a node says that it carries, in percent, that its callers must confirm. The rest is repairs, feedback and receipts that were lost.
const CONFIRMED_PERCENT: u64 = 90;

/// What callers' receipts say of a minute.
#[derive(Default)]
struct Confirmed<'a> {
    bytes: u64,
    /// What each session got, by operator.
    sessions: BTreeMap<&'a AccountId, BTreeMap<&'a [u8; 16], Got>>,
}

/// What a caller got in a minute, by its receipts.
#[derive(Default)]
struct Got {
    /// Score × milliseconds.
    weighted: u64,
    milliseconds: u64,
    /// Kb/s × milliseconds.
    delivered: u64,
    /// Kb/s × milliseconds; none where callers don't know.
    wanted: u64,
}

impl Got {
    fn add(&mut self, receipt: &StoredReceipt) {
        let time = receipt.duration_ms();
        let add = |sum: &mut u64, value: u64| *sum = sum.saturating_add(value.saturating_mul(time));
        add(&mut self.weighted, receipt.score().0.into());
        add(&mut self.milliseconds, 1);
        if receipt.wanted_kbps > 0 {
            add(&mut self.delivered, receipt.delivered_kbps.into());
            add(&mut self.wanted, receipt.wanted_kbps.into());
        }
    }

    /// Whether it was served below what full pay is for, or got clearly less than it wanted.
    fn is_failed(&self) -> bool {
        let score = self.weighted.checked_div(self.milliseconds);
        score.is_some_and(|score| score < u64::from(Score::FULL_PAY.0))
            || u128::from(self.delivered) * 100 < u128::from(self.wanted) * u128::from(SHORT_PERCENT)
    }
}

impl Confirmed<'_> {
    fn load_kbps(&self) -> u32 {
        let sessions = self.sessions.values().map(BTreeMap::len).sum::<usize>();
        let egress = self.bytes.saturating_mul(8) / MINUTE_MS;
        load_kbps(u32::try_from(egress).unwrap_or(u32::MAX), u32::try_from(sessions).unwrap_or(u32::MAX))
    }

    /// Whether nine callers in ten were failed, as most of the operators with enough callers have it.
    fn is_failed(&self) -> bool {
        let (mut failed, mut all) = (0, 0);
        for sessions in self.sessions.values().filter(|sessions| sessions.len() >= FEWEST_CALLERS) {
            let callers = sessions.values().filter(|got| got.is_failed()).count();
            all += 1;
            failed += usize::from(callers * 10 >= sessions.len() * 9);
        }
        failed * 2 > all
    }
}

/// The part of `committed_kbps` that the node had to offer in `from..to`, in parts per 10,000.
pub fn offered(
    committed_kbps: u32,
    offers: &BTreeMap<Minute, Offer>,
    observed: &Observed,
    from: UnixMs,
    to: UnixMs,
) -> u16 {
    let whole = Minute(from.div_ceil(MINUTE_MS))..Minute(to / MINUTE_MS);
    let mut confirmed: BTreeMap<Minute, Confirmed<'_>> = BTreeMap::new();
    for (session, receipt) in &observed.receipts {
        let minute = Minute(receipt.to_ms / MINUTE_MS);
        let Some(facts) = observed.sessions.get(session).filter(|_| whole.contains(&minute)) else { continue };
        let confirmed = confirmed.entry(minute).or_default();
        confirmed.bytes = confirmed.bytes.saturating_add(receipt.rx_bytes);
        confirmed.sessions.entry(&facts.operator).or_default().entry(session).or_default().add(receipt);
    }
    let nobody = Confirmed::default();
    let minutes: BTreeSet<Minute> =
        offers.keys().filter(|minute| whole.contains(minute)).chain(confirmed.keys()).copied().collect();
    let seen: Vec<Seen<'_>> = minutes
        .iter()
        .map(|minute| Seen { offer: offers.get(minute), confirmed: confirmed.get(minute).unwrap_or(&nobody) })
        .collect();
    // An orchestrator may be down for a while, and its callers' receipts with it.
    let filled = seen.iter().filter(|seen| seen.is_filled(committed_kbps)).count();
    let unconfirmed = seen.iter().filter(|seen| seen.is_filled(committed_kbps) && seen.is_unconfirmed()).count();
    let overstates = unconfirmed * 2 > filled;
    let mut had: Vec<u32> = seen.iter().map(|seen| seen.had_kbps(committed_kbps, overstates)).collect();
    had.sort_unstable();
    let had = had.get(FREE_MINUTES).copied().unwrap_or(committed_kbps);
    let part = u64::from(had).saturating_mul(10_000) / u64::from(committed_kbps.max(1));
    u16::try_from(part.min(10_000)).unwrap_or(10_000)
}

/// All that is known of a minute.
struct Seen<'a> {
    offer: Option<&'a Offer>,
    confirmed: &'a Confirmed<'a>,
}

impl Seen<'_> {
    /// What the node says that it carries.
    fn said_kbps(&self) -> u64 {
        self.offer.map_or(0, |offer| offer.load_kbps.into())
    }

    fn is_filled(&self, committed_kbps: u32) -> bool {
        self.said_kbps() * 100 >= u64::from(committed_kbps) * FILLED_PERCENT
    }

    fn is_unconfirmed(&self) -> bool {
        u64::from(self.confirmed.load_kbps()) * 100 < self.said_kbps() * CONFIRMED_PERCENT
    }

    /// What the node had, as far as it shows.
    fn had_kbps(&self, committed_kbps: u32, overstates: bool) -> u32 {
        let offered = self.offer.map_or(committed_kbps, |offer| offer.offered_kbps);
        let confirmed = self.confirmed.load_kbps();
        if self.confirmed.is_failed() {
            offered.min(confirmed)
        } else if overstates && self.is_filled(committed_kbps) && self.is_unconfirmed() {
            let had = u64::from(confirmed) * 100 / CONFIRMED_PERCENT;
            offered.min(u32::try_from(had).unwrap_or(u32::MAX))
        } else {
            offered
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qos::scoring::SessionFacts;
    use chroom_primitives::NodeId;
    use proptest::prelude::*;

    const COMMITTED: u32 = 50_000;
    const FIRST: u64 = 30_000_000;
    const FROM: UnixMs = FIRST * MINUTE_MS;
    const MINUTES: u64 = 60;
    const TO: UnixMs = FROM + MINUTES * MINUTE_MS;

    /// An hour in which the node offers its limit, and says that it has a load.
    fn hour(offered_kbps: u32, load_kbps: u32) -> BTreeMap<Minute, Offer> {
        (0..MINUTES).map(|n| (Minute(FIRST + n), Offer { offered_kbps, load_kbps })).collect()
    }

    /// Callers of operators, each with `kbps` of which a share arrives, in the first minutes.
    fn callers(observed: &mut Observed, operator: u8, count: u8, kbps: u64, arrives: u64, minutes: u64) {
        for n in 0..count {
            let session = [operator.wrapping_mul(64).wrapping_add(n); 16];
            let facts = SessionFacts {
                operator: AccountId::new([operator; 32]),
                application: AccountId::new([9; 32]),
                orchestrator: NodeId([operator; 20]),
            };
            observed.sessions.insert(session, facts);
            for seq in 1..=minutes * 12 {
                let from_ms = FROM + (seq - 1) * 5_000;
                let receipt = StoredReceipt {
                    seq,
                    from_ms,
                    to_ms: from_ms + 4_999,
                    rx_packets: 1_000,
                    rx_lost: 0,
                    rx_bytes: kbps * arrives / 100 * 5_000 / 8,
                    tx_bytes: 0,
                    rtt_ms: 20,
                    jitter_ms: 2,
                    wanted_kbps: kbps as u32,
                    delivered_kbps: (kbps * arrives / 100) as u32,
                    payload: String::new(),
                    signature: Vec::new(),
                };
                observed.receipts.push((session, receipt));
            }
        }
    }

    fn part(offers: &BTreeMap<Minute, Offer>, observed: &Observed) -> u16 {
        offered(COMMITTED, offers, observed, FROM, TO)
    }

    #[test]
    fn a_node_that_offers_its_class_has_all_of_it() {
        assert_eq!(part(&hour(100_000, 0), &Observed::default()), 10_000);
        assert_eq!(part(&BTreeMap::new(), &Observed::default()), 10_000, "what was not heard is held against nobody");
        let mut full = Observed::default();
        callers(&mut full, 1, 16, 2_500, 100, MINUTES);
        assert_eq!(part(&hour(50_000, 40_000), &full), 10_000);
    }

    #[test]
    fn a_limit_below_the_class_counts_and_two_bad_minutes_dont() {
        assert_eq!(part(&hour(30_000, 0), &Observed::default()), 6_000);
        let mut offers = hour(100_000, 0);
        for n in 0..3 {
            assert_eq!(part(&offers, &Observed::default()), 10_000);
            offers.insert(Minute(FIRST + 10 * n), Offer { offered_kbps: 5_000, load_kbps: 5_000 });
        }
        assert_eq!(part(&offers, &Observed::default()), 1_000);
    }

    #[test]
    fn who_fails_its_callers_shows_what_they_got() {
        let failing = |arrives, count| {
            let mut observed = Observed::default();
            callers(&mut observed, 1, count, 2_500, arrives, 10);
            part(&hour(100_000, 1_000), &observed)
        };
        assert_eq!(failing(70, 12), 4_200);
        assert_eq!(failing(90, 12), 5_400, "good enough for full pay, but it had no more");
        assert_eq!(failing(95, 12), 10_000);
        assert_eq!(failing(70, 3), 10_000, "too few to tell");
    }

    #[test]
    fn a_few_bad_lines_and_one_operators_word_show_nothing() {
        let mut observed = Observed::default();
        callers(&mut observed, 1, 3, 2_500, 20, 10);
        callers(&mut observed, 2, 6, 2_500, 100, 10);
        assert_eq!(part(&hour(100_000, 1_000), &observed), 10_000);
        callers(&mut observed, 1, 8, 2_500, 20, 10);
        assert_eq!(part(&hour(100_000, 1_000), &observed), 10_000, "one operator of two");
        callers(&mut observed, 3, 8, 2_500, 20, 10);
        assert!(part(&hour(100_000, 1_000), &observed) < 10_000, "two of three");
    }

    #[test]
    fn a_load_that_callers_dont_confirm_is_not_there() {
        let mut observed = Observed::default();
        callers(&mut observed, 1, 9, 2_500, 100, 60);
        assert_eq!(part(&hour(100_000, 49_000), &observed), 5_000);
        assert_eq!(part(&hour(100_000, 47_000), &observed), 10_000, "not filled, and so it was sent more");
        callers(&mut observed, 2, 9, 2_500, 100, 60);
        assert_eq!(part(&hour(100_000, 49_000), &observed), 10_000, "repairs and feedback");
        // Half of the hour without receipts is an orchestrator's outage.
        let mut outage = Observed::default();
        callers(&mut outage, 1, 19, 2_500, 100, 31);
        assert_eq!(part(&hour(100_000, 49_000), &outage), 10_000);
        // Voices are small and many.
        let mut voices = Observed::default();
        callers(&mut voices, 1, 63, 40, 100, 60);
        callers(&mut voices, 2, 36, 40, 100, 60);
        assert_eq!(part(&hour(100_000, 99 * 500), &voices), 10_000);
    }

    #[test]
    fn only_whole_minutes_of_the_epoch_count() {
        let mut observed = Observed::default();
        callers(&mut observed, 1, 12, 2_500, 50, 10);
        let offers = hour(10_000, 40_000);
        assert_eq!(offered(COMMITTED, &offers, &observed, FROM + 1, FROM + 3 * MINUTE_MS), 10_000);
        assert_eq!(offered(COMMITTED, &offers, &observed, TO, FROM), 10_000);
    }

    proptest! {
        #[test]
        fn offering_less_never_counts_as_more(
            offers in prop::collection::btree_map(FIRST..FIRST + MINUTES, (0u32..120_000, 0u32..120_000), 0..60),
            less in 0u32..50_000, committed in 0u32..1_000_000,
        ) {
            let of = |less: u32| offers
                .iter()
                .map(|(minute, (offered, load))| {
                    (Minute(*minute), Offer { offered_kbps: offered.saturating_sub(less), load_kbps: *load })
                })
                .collect();
            let (all, fewer): (BTreeMap<_, _>, BTreeMap<_, _>) = (of(0), of(less));
            let seen = Observed::default();
            let (all, fewer) =
                (offered(committed, &all, &seen, FROM, TO), offered(committed, &fewer, &seen, FROM, TO));
            prop_assert!(fewer <= all && all <= 10_000);
        }
    }
}
