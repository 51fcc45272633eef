//! Where an address is to be had here: in a mirror on the disk, where one stands for it, else on the network. What a mirror
//! stands for is never asked of the network.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::address::Address;

/// Where a repository is to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a folder of the operator's.
    Mirror {
        /// What it stands for.
        address: Address,
        /// The bare repository; need not be there.
        folder: PathBuf,
    },
    /// At its address.
    Network(Address),
}

impl Place {
    /// The address, wherever it is to be had.
    pub fn address(&self) -> &Address {
        match self {
            Place::Mirror { address, .. } | Place::Network(address) => address,
        }
    }
}

/// Which folders stand for which addresses: for one repository, or for all whose address begins so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mirrors {
    /// Longest address first.
    folders: Vec<(String, PathBuf)>,
}

impl Mirrors {
    /// Mirrors as a user writes them: `https://github.com/` and the folder of what lies below it, or the address of one
    /// repository and its own folder; `https://` stands for every host, each a folder.
    ///
    /// # Errors
    /// The entry that cannot be meant, and why.
    pub fn new(written: BTreeMap<String, PathBuf>) -> Result<Mirrors, String> {
        let mut folders = Vec::new();
        for (address, folder) in written {
            let Some(rest) = address.strip_prefix("https://") else {
                return Err(format!("`{address}` does not begin with https://"));
            };
            if rest.contains(|c: char| c.is_control() || c.is_whitespace() || "@?#:\\".contains(c)) {
                return Err(format!("`{address}` is more than a host and a path"));
            }
            if !folder.is_absolute() {
                return Err(format!("{} is no absolute path", folder.display()));
            }
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let path = path.trim_end_matches('/');
            let slash = if path.is_empty() { "" } else { "/" };
            folders.push((format!("https://{}{slash}{path}", host.to_ascii_lowercase()), folder));
        }
        folders.sort_by_key(|(address, _)| std::cmp::Reverse(address.len()));
        Ok(Mirrors { folders })
    }

    /// Where an address is to be had.
    pub fn place(&self, address: &Address) -> Place {
        let standing = self.folders.iter().find_map(|(mirrored, folder)| {
            let rest = address.as_str().strip_prefix(mirrored.as_str())?;
            match rest.strip_prefix('/') {
                Some(below) => Some(below_mirror(folder, below)),
                None if rest.is_empty() => Some(folder.clone()),
                None if mirrored == "https://" => Some(below_mirror(folder, rest)),
                None => None,
            }
        });
        match standing {
            Some(folder) => Place::Mirror { address: address.clone(), folder },
            None => Place::Network(address.clone()),
        }
    }
}

/// A repository in a mirror's folder: `owner/name.git`, or `owner/name`. An address holds no `..`.
fn below_mirror(folder: &Path, below: &str) -> PathBuf {
    let plain = folder.join(below);
    let bare = folder.join(format!("{below}.git"));
    if bare.is_dir() || !plain.is_dir() { bare } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirrors(written: &[(&str, &str)]) -> Result<Mirrors, String> {
        Mirrors::new(written.iter().map(|(address, path)| ((*address).to_owned(), path.into())).collect())
    }

    fn place(mirrors: &Mirrors, address: &str) -> Option<String> {
        match mirrors.place(&Address::read(address, true).unwrap().unwrap()) {
            Place::Mirror { folder, .. } => Some(folder.display().to_string()),
            Place::Network(_) => None,
        }
    }

    #[test]
    fn the_longest_address_stands_and_a_name_is_not_its_beginning() {
        let mirrors = mirrors(&[
            ("https://GitHub.com/", "/m/github"),
            ("https://github.com/o/n", "/m/n"),
            ("https://gitlab.com/group", "/m/group"),
        ])
        .unwrap();
        assert_eq!(place(&mirrors, "https://github.com/o/n").as_deref(), Some("/m/n"));
        assert_eq!(place(&mirrors, "https://github.com/o/nn").as_deref(), Some("/m/github/o/nn.git"));
        assert_eq!(place(&mirrors, "https://gitlab.com/group/a/b").as_deref(), Some("/m/group/a/b.git"));
        assert_eq!(place(&mirrors, "https://gitlab.com/groups/a"), None);
        assert_eq!(place(&mirrors, "https://codeberg.org/o/n"), None);
    }

    #[test]
    fn one_folder_can_stand_for_every_host() {
        let mirrors = mirrors(&[("https://", "/m")]).unwrap();
        assert_eq!(place(&mirrors, "https://codeberg.org/o/n").as_deref(), Some("/m/codeberg.org/o/n.git"));
    }

    #[test]
    fn what_cannot_be_meant_is_told() {
        for (address, path, told) in [
            ("http://github.com", "/m", "does not begin"),
            ("https://me@github.com/", "/m", "more than a host"),
            ("https://github.com/", "m", "no absolute path"),
        ] {
            assert!(mirrors(&[(address, path)]).unwrap_err().contains(told));
        }
    }
}
