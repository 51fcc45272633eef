//! Distributions made to hurt whoever unpacks them. Each is a small honest package with one trick in it, under a
//! project of its own. Where a trick reaches out, it reaches for the path that the test gives, so that the test can
//! see whether it got there.

mod sdist;
mod wheel;

pub use sdist::SdistTrick;
pub use wheel::WheelTrick;

use std::path::Path;

use anyhow::Result;

use crate::{Artifact, CoreMetadata};

/// How much a bomb unpacks to: 1 GiB, of some kilobytes or a megabyte.
pub const BOMB: u64 = 1 << 30;

/// Every hostile distribution that reaches for this path (which should not exist), sdists first.
///
/// # Errors
/// When one cannot be made.
pub fn all(outside: &Path) -> Result<Vec<Artifact>> {
    let sdists = SdistTrick::ALL.iter().map(|trick| trick.build(outside));
    let wheels = WheelTrick::ALL.iter().map(|trick| trick.build(outside));
    sdists.chain(wheels).collect()
}

/// The metadata of the package around a trick.
fn metadata(kind: &str, trick: &str) -> CoreMetadata {
    CoreMetadata {
        name: format!("tap-{kind}-{trick}"),
        version: "1.0".to_owned(),
        description: Some("Must not be unpacked as it asks to be.".to_owned()),
        requires_python: None,
        classifiers: Vec::new(),
        dependencies: Vec::new(),
        optional_dependencies: Default::default(),
        urls: Default::default(),
        scripts: Default::default(),
        entry_points: Default::default(),
    }
}

/// This absolute path, as seen from a folder as deep as any that archives are unpacked into.
fn climbing(outside: &Path) -> String {
    let path = outside.to_str().expect("tests give UTF-8 paths");
    format!("{}{}", "../".repeat(30), path.trim_start_matches('/'))
}

/// An enum of tricks with their names.
macro_rules! tricks {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_meta])* $variant,)+ }

        impl $name {
            /// Every trick.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// Its name, as in the project's.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }
        }
    };
}
use tricks;
