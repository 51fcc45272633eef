//! Whether a wheel that claims the stable ABI (PEP 384) keeps to it: by the names of its extension modules, and by the symbols
//! of CPython that they want. Strangers' binaries are read, and nothing of them is loaded.

use wheeltapper_core::{
    Finding,
    stable_abi::{Unpromised, unpromised},
};
use wheeltapper_index::{Wheel, undefined_symbols};

/// The most modules that are read, and the most lines of evidence.
const MOST_MODULES: usize = 200;
const MOST_LINES: usize = 20;

/// What is wrong with the claim, or `None` where nothing is found. `installs` are the paths below site-packages.
pub(super) fn broken_promise(wheel: &mut Wheel, installs: &[String]) -> Option<Finding> {
    let bound: Vec<String> = installs.iter().filter(|path| is_bound_to_one_python(path)).cloned().collect();
    if !bound.is_empty() {
        let text = "the wheel claims the stable ABI and holds modules of one Python version";
        return Some(Finding::new("abi3-not-kept", text, bound));
    }
    let minor =
        wheel.name().python.iter().filter_map(|tag| tag.strip_prefix("cp3")?.parse::<u32>().ok()).min()?;
    let modules: Vec<String> = wheel
        .members()
        .iter()
        .filter(|member| member.path.ends_with(".so"))
        .take(MOST_MODULES)
        .map(|member| member.path.clone())
        .collect();
    let mut lines = Vec::new();
    for module in modules {
        // What cannot be unpacked has been told with the wheel's problems.
        let Ok(Some(bytes)) = wheel.read(&module) else { continue };
        let symbols = undefined_symbols(&bytes).unwrap_or_default();
        let line = |broken: Unpromised| format!("{module}: {broken}");
        lines.extend(unpromised(symbols, minor).into_iter().map(line));
    }
    let count = lines.len();
    let first = lines.first()?.clone();
    lines.truncate(MOST_LINES);
    let symbols = if count == 1 { "a symbol".to_owned() } else { format!("{count} symbols") };
    let text =
        format!("the wheel claims the stable ABI of Python 3.{minor} and uses {symbols} beyond it: {first}");
    Some(Finding::new("abi3-not-kept", text, lines))
}

/// True for an extension module that only one version of Python loads, by its name.
fn is_bound_to_one_python(path: &str) -> bool {
    path.ends_with(".so") && path.contains(".cpython-")
}
