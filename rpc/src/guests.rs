//! How many connections each guest holds, so that one cannot take all places.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Counts connections by their owner (a network, a node).
#[derive(Debug)]
pub struct Guests<K: Ord + Clone> {
    most: usize,
    held: Arc<Mutex<BTreeMap<K, usize>>>,
}

/// One connection's place; given back when dropped.
#[derive(Debug)]
pub struct Place<K: Ord + Clone> {
    guest: K,
    held: Arc<Mutex<BTreeMap<K, usize>>>,
}

impl<K: Ord + Clone> Guests<K> {
    /// Lets each guest hold at most `most` connections.
    pub fn new(most: usize) -> Self {
        Self { most, held: Arc::default() }
    }

    /// A place for one more connection of this guest, unless it has its share.
    pub fn admit(&self, guest: K) -> Option<Place<K>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.get(&guest).copied().unwrap_or(0);
        if count >= self.most {
            return None;
        }
        held.insert(guest.clone(), count + 1);
        Some(Place { guest, held: self.held.clone() })
    }
}

impl<K: Ord + Clone> Clone for Guests<K> {
    fn clone(&self) -> Self {
        Self { most: self.most, held: self.held.clone() }
    }
}

impl<K: Ord + Clone> Drop for Place<K> {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match held.get_mut(&self.guest) {
            Some(count) if *count > 1 => *count -= 1,
            // The last one: nothing is kept of a guest that left.
            _ => {
                held.remove(&self.guest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_guest_has_its_own_share_and_gets_it_back() {
        let guests = Guests::new(2);
        let first = guests.admit('a').unwrap();
        let second = guests.admit('a').unwrap();
        assert!(guests.admit('a').is_none());
        let other = guests.admit('b').unwrap();
        drop(first);
        let third = guests.admit('a').unwrap();
        assert!(guests.admit('a').is_none());
        drop((second, third, other));
        assert!(guests.held.lock().unwrap().is_empty(), "nothing is kept of guests that left");
    }
}
