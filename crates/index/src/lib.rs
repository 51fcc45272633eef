//! The package index: which one is configured, a client of its Simple API, a store of its files, the proxy of
//! it that sandboxes talk to, the installer fetched from it, and safe readers of the archives it lists. Nothing
//! here runs a package's code, and no secret of a private index leaves this crate but to its own origin.

mod client;
pub mod configuration;
mod credentials;
mod elf;
mod error;
mod filename;
mod files;
pub mod http;
mod page;
mod process;
mod provision;
pub mod proxy;
mod remote;
mod roles;
#[cfg(test)]
mod testing;
mod transport;
pub mod unpack;
mod wheel;

pub use client::{Client, ClientOptions};
pub use configuration::{Configuration, Index, Surroundings};
pub use credentials::Credentials;
pub use elf::undefined_symbols;
pub use error::{Error, Kind, Result};
pub use filename::{DistributionName, SdistFormat, WheelName};
pub use files::{Files, FilesOptions, Incoming, Lease, digest_of, is_at};
pub use http::Patience;
pub use page::{CoreMetadata, File, ProjectPage, ProjectStatus};
pub use provision::{OLDEST_UV, PINNED_UV, Uv};
pub use proxy::{LocalFile, Proxy, ProxyOptions, Rate, Recording, Serving};
pub use unpack::Limits;
pub use wheel::{Member, Wheel, WheelProblem};
