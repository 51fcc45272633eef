//! A launcher on its own, for this crate's tests: a program that uses the crate is its own launcher.

fn main() {
    wheeltapper_sandbox::launcher_main()
}
