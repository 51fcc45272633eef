//! Projects ranked by downloads: a list with a date and a source in its first lines.

use std::collections::HashMap;

use crate::ProjectName;

/// Names in order of downloads, the most downloaded first.
#[derive(Debug, Clone, Default)]
pub struct Popularity {
    names: Vec<ProjectName>,
    ranks: HashMap<ProjectName, usize>,
}

impl Popularity {
    /// The list that ships with the program.
    pub fn shipped() -> Self {
        Self::parse(include_str!("../../../data/popular.txt")).unwrap_or_default()
    }

    /// Reads a list: one name a line, `#` begins a comment.
    ///
    /// # Errors
    /// The number and text of the first line that is no project name.
    pub fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut list = Popularity::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or("").trim();
            if line.is_empty() {
                continue;
            }
            let name: ProjectName = line.parse().map_err(|_| (index + 1, line.to_owned()))?;
            if !list.ranks.contains_key(&name) {
                list.names.push(name.clone());
                list.ranks.insert(name, list.names.len());
            }
        }
        Ok(list)
    }

    /// The first `count` names.
    pub fn top(&self, count: usize) -> &[ProjectName] {
        &self.names[..count.min(self.names.len())]
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The rank of a project, from 1.
    pub fn rank(&self, name: &ProjectName) -> Option<usize> {
        self.ranks.get(name).copied()
    }

    /// Every name with its rank, from 1.
    pub fn ranks(&self) -> impl Iterator<Item = (ProjectName, u32)> {
        (1..).zip(&self.names).map(|(rank, name)| (name.clone(), rank))
    }

    /// Up to three listed names that are spelled nearly like this one, the nearest and most downloaded first.
    pub fn near(&self, name: &ProjectName) -> Vec<&ProjectName> {
        let most = if name.as_str().len() <= 4 { 1 } else { 2 };
        let mut near: Vec<(usize, usize, &ProjectName)> = self
            .names
            .iter()
            .enumerate()
            .filter(|(_, known)| known.as_str().len().abs_diff(name.as_str().len()) <= most)
            .filter_map(|(rank, known)| {
                let distance = strsim::damerau_levenshtein(known.as_str(), name.as_str());
                (distance > 0 && distance <= most).then_some((distance, rank, known))
            })
            .collect();
        near.sort();
        near.into_iter().take(3).map(|(_, _, name)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_list_is_long_and_knows_near_names() {
        let list = Popularity::shipped();
        assert!(list.len() >= 14_900, "{}", list.len());
        let near = list.near(&"reqests".parse().unwrap());
        assert_eq!(near.first().map(|name| name.as_str()), Some("requests"));
        assert_eq!(Popularity::parse("a\n!\n").unwrap_err(), (2, "!".to_owned()));
    }
}
