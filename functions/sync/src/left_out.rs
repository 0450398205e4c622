use std::collections::BTreeMap;

/// Maximum number of elements of a list in an answer, which Lambda limits to 6 MB.
const LISTED: usize = 1_000;

/// The numbers of elements by which the lists of an answer were shortened, as `<list>_left_out`.
pub type LeftOut = BTreeMap<&'static str, usize>;

/// Shortens a list to what an answer can hold, and counts the elements that are left out.
pub(crate) fn shorten<T>(list: &mut Vec<T>, name: &'static str, left_out: &mut LeftOut) {
    if list.len() > LISTED {
        left_out.insert(name, list.len() - LISTED);
        list.truncate(LISTED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_shortened_and_the_rest_is_counted() {
        let mut left_out = LeftOut::new();
        for (name, elements) in [("short", 1_000), ("long", 1_001)] {
            let mut list: Vec<usize> = (0..elements).collect();
            shorten(&mut list, name, &mut left_out);
            assert_eq!(list.len(), 1_000);
        }
        assert_eq!(left_out, LeftOut::from([("long", 1)]));
    }
}
