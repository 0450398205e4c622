//! The order in which a batch is sent to the forward queue.

use std::collections::HashSet;

/// Splits items into rounds of at most `most` items and at most one of each group; each group's items keep their order. A
/// request to a FIFO queue that succeeds for only some messages could otherwise swap two of a group.
pub(crate) fn rounds<G: Eq + std::hash::Hash>(groups: &[G], most: usize) -> Vec<Vec<usize>> {
    let mut left: Vec<usize> = (0..groups.len()).collect();
    let mut rounds = Vec::new();
    while !left.is_empty() {
        let mut seen = HashSet::new();
        let (mut round, mut later) = (Vec::new(), Vec::new());
        for index in left {
            // A waiting group counts as seen too: none of its items may overtake.
            let is_first = seen.insert(&groups[index]);
            if is_first && round.len() < most { round.push(index) } else { later.push(index) }
        }
        rounds.push(round);
        left = later;
    }
    rounds
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_round_has_one_item_of_each_group() {
        assert_eq!(rounds(&["a", "a", "b", "a", "c"], 10), [vec![0, 2, 4], vec![1], vec![3]]);
        assert_eq!(rounds(&["a", "b", "c"], 2), [vec![0, 1], vec![2]]);
        assert_eq!(rounds::<u8>(&[], 10), Vec::<Vec<usize>>::new());
    }

    proptest! {
        #[test]
        fn every_item_is_in_one_round_and_groups_keep_their_order(groups in proptest::collection::vec(0..5_u8, 0..60), most in 1..12_usize) {
            let rounds = rounds(&groups, most);
            for round in &rounds {
                let of_round: HashSet<u8> = round.iter().map(|index| groups[*index]).collect();
                prop_assert!(!round.is_empty() && round.len() <= most && of_round.len() == round.len());
            }
            let sent: Vec<usize> = rounds.concat();
            for group in 0..5 {
                let in_order: Vec<usize> = (0..groups.len()).filter(|index| groups[*index] == group).collect();
                let as_sent: Vec<usize> = sent.iter().copied().filter(|index| groups[*index] == group).collect();
                prop_assert_eq!(in_order, as_sent);
            }
            prop_assert_eq!(sent.len(), groups.len());
        }
    }
}
