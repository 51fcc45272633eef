//! Dev only: what the tests of every room share. Fixture packages and what is expected of them, archives made of
//! them byte for byte alike each time, archives made to hurt, and a fake index on the loopback that serves either
//! and misbehaves on demand. No room depends on it outside its tests.

mod archive;
pub mod browser;
pub mod corpus;
pub mod expected;
pub mod fake_index;
mod fixture;
mod git_repository;
pub mod hostile;
mod metadata;
mod oci;
mod sdist;
pub mod skip;
pub mod synthetic;
mod wheel;

pub use archive::Artifact;
pub use browser::Browser;
pub use expected::Expected;
pub use fake_index::{FakeIndex, Fault, Published, Style};
pub use fixture::Fixture;
pub use git_repository::{GitRepository, TreeEntry};
pub use metadata::CoreMetadata;
pub use oci::{OciImage, OciRegistry, oci_index};
pub use sdist::{BACKEND, build_sdist, build_sdist_of_version};
pub use wheel::{WheelSpec, build_wheel};

use std::path::PathBuf;

/// The workspace's root folder.
pub fn workspace() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).canonicalize().expect("the workspace exists")
}
