//! Platforms as a user defines them: what each is made of, and the catalogue of those that ship with the program.
//!
//! A *platform* is a root file system, or the host itself, with interpreters in it; an *environment* is a platform with one
//! of its interpreters, and is called `<platform>-<interpreter>`: `debian13-cp313`, `debian13-i386-cp313`, `debian13-pp311`.

mod add;
mod archive;
mod build;
mod catalogue;
mod check;
mod contents;
mod debian;
mod definition;
mod emscripten;
mod error;
mod images;
mod inside;
mod machine;
mod manifest;
mod oci;
mod tree;

pub use add::{Addition, add};
pub use build::{Unpacked, finish, unpack};
pub use catalogue::{Catalogue, default_file};
pub use check::check;
pub use contents::{Provider, providers};
pub use definition::{Architecture, Definition, Installs, Origin, Source};
pub use error::Error;
pub use images::{Building, Built, Images, Inside, Lease};
pub use manifest::{Difference, differences};
pub use oci::{Image, Reference};
