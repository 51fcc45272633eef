//! The real binary, end to end: on the fixtures against a fake index, on bad input, interrupted, and on real packages.

mod bad_input;
mod cycles;
mod elsewhere;
mod emscripten;
mod fixtures;
mod interrupted;
mod keeping;
mod killed;
mod oci;
mod plain_user;
mod platforms;
mod real_packages;
mod recipes;
mod repository;
mod reuse;
mod stored;
mod support;
mod windows;
