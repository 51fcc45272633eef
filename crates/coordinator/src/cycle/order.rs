//! The order in which a cycle walks projects: the most downloaded first, the rest shuffled, but the same way every time.
//! A place in the order is a text that outlives a kill and a list that has changed meanwhile.

use std::collections::HashMap;

use wheeltapper_core::{Popularity, ProjectName, Sha256, VersionSpecifiers};

/// Projects in the order of their turn.
#[derive(Debug, Clone, Default)]
pub struct Order {
    places: Vec<(u64, ProjectName)>,
    specifiers: HashMap<ProjectName, VersionSpecifiers>,
}

/// Unranked projects come after all ranked ones.
const UNRANKED: u64 = 1 << 63;

impl Order {
    /// The order of these projects. Of a project that is named several times the first specifiers hold.
    pub fn of(
        projects: impl IntoIterator<Item = (ProjectName, VersionSpecifiers)>,
        popularity: &Popularity,
    ) -> Self {
        let mut order = Order::default();
        for (name, specifiers) in projects {
            if !specifiers.is_empty() {
                order.specifiers.entry(name.clone()).or_insert(specifiers);
            }
            order.places.push((rank(&name, popularity), name));
        }
        order.places.sort_unstable();
        order.places.dedup();
        order
    }

    /// How many projects there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many projects lie before or at this place.
    pub fn position(&self, cursor: &str) -> usize {
        self.places.partition_point(|place| shown(place).as_str() <= cursor)
    }

    /// At most `count` projects from this position on, and the place of the last of them.
    pub fn batch(&self, position: usize, count: usize) -> Option<(Vec<ProjectName>, String)> {
        let rest = self.places.get(position..)?;
        let batch = &rest[..count.min(rest.len())];
        let cursor = shown(batch.last()?);
        Some((batch.iter().map(|(_, name)| name.clone()).collect(), cursor))
    }

    /// Which versions of a project are wanted.
    pub fn specifiers(&self, project: &ProjectName) -> VersionSpecifiers {
        self.specifiers.get(project).cloned().unwrap_or_else(VersionSpecifiers::empty)
    }
}

fn rank(name: &ProjectName, popularity: &Popularity) -> u64 {
    match popularity.rank(name) {
        Some(rank) => rank as u64,
        None => {
            let digest = Sha256::of_parts(["order", name.as_str()]).0;
            let (head, _) = digest.split_at(8);
            UNRANKED | u64::from_be_bytes(head.try_into().expect("eight of 32 bytes")) >> 1
        }
    }
}

/// A place as text: sorts as the order does.
fn shown((rank, name): &(u64, ProjectName)) -> String {
    format!("{rank:016x} {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(names: &[&str]) -> Order {
        let popularity = Popularity::parse("boto3\nsix\n").unwrap();
        let any = VersionSpecifiers::empty;
        Order::of(names.iter().map(|name| (name.parse().unwrap(), any())), &popularity)
    }

    #[test]
    fn the_most_downloaded_come_first_and_the_rest_is_shuffled_the_same_way() {
        let names: Vec<String> = (0..100).map(|number| format!("p{number:03}")).collect();
        let mut all: Vec<&str> = names.iter().map(String::as_str).collect();
        all.extend(["six", "boto3", "six"]);
        let one = order(&all);
        all.reverse();
        let other = order(&all);
        assert_eq!(one.places, other.places);
        assert_eq!(one.len(), 102);
        let (first, _) = one.batch(0, 3).unwrap();
        assert_eq!([first[0].as_str(), first[1].as_str()], ["boto3", "six"]);
        let unranked: Vec<&str> = one.places[2..].iter().map(|(_, name)| name.as_str()).collect();
        assert!(!unranked.is_sorted());
    }

    #[test]
    fn a_place_survives_a_changed_list() {
        let before = order(&["a", "b", "c", "d", "six"]);
        let (walked, cursor) = before.batch(0, 3).unwrap();
        let after = order(&["a", "b", "c", "d", "e", "f", "six"]);
        let rest = after.batch(after.position(&cursor), 9).map(|(rest, _)| rest).unwrap_or_default();
        assert!(walked.iter().all(|name| !rest.contains(name)), "none twice");
        let left = before.batch(before.position(&cursor), 9).unwrap().0;
        assert!(left.iter().all(|name| rest.contains(name)), "none lost");
        assert_eq!(after.position(""), 0);
        assert!(after.batch(7, 1).is_none());
    }
}
