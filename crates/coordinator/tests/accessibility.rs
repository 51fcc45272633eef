//! axe-core in a real browser on one page of each kind: nothing serious. The checker is fetched from its registry, once, and
//! is no part of the project; where it or a browser cannot be had the test says that it is skipped.

#![allow(clippy::unwrap_used)] // A test's bodies and the functions that serve them may panic.

mod support;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use support::Farm;
use wheeltapper_testkit::{Browser, browser, skip, synthetic};

/// The version that is asked for.
const CHECKER: &str = "axe-core@4.10.3";
/// Where the findings stand in the page that the browser prints.
const MARK: &str = "axe-findings:";

/// The checker's script, fetched with npm into the build folder.
fn checker() -> Option<String> {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("axe");
    let script = kept.join("package/axe.min.js");
    if !script.is_file() {
        fs::create_dir_all(&kept).ok()?;
        let quiet = |command: &mut Command| {
            let done = command.current_dir(&kept).stdin(Stdio::null()).stderr(Stdio::null()).output();
            done.ok().filter(|output| output.status.success())
        };
        let packed = quiet(Command::new("npm").args(["pack", "--silent", CHECKER]))?;
        let archive = String::from_utf8(packed.stdout).ok()?.lines().last()?.trim().to_owned();
        quiet(Command::new("tar").args(["-xzf", &archive]))?;
    }
    fs::read_to_string(script).ok()
}

#[test]
fn a_checker_of_accessibility_finds_nothing_serious() {
    let Some(browser) = Browser::find() else { skip!("{}", browser::NONE) };
    let Some(checker) = checker() else { skip!("axe-core cannot be fetched with npm") };
    let farm = Farm::new();
    farm.cycle(40, |_| true);
    farm.cycle(40, |project| project < 10);
    farm.publish();
    let site = farm.site();
    let maintainer = fs::read_dir(site.join("maintainer")).unwrap().flatten().next().unwrap().file_name();
    let failing = synthetic::name(3);
    let pages = [
        "index.html".to_owned(),
        "cycles.html".to_owned(),
        "clusters.html".to_owned(),
        "a-z/index.html".to_owned(),
        "a-z/a.html".to_owned(),
        "cycle/2/index.html".to_owned(),
        "cycle/2/newly-failing.html".to_owned(),
        "cycle/2/not-planned.html".to_owned(),
        "environment/debian12-cp311.html".to_owned(),
        format!("project/{failing}.html"),
        format!("log/{failing}/debian12-cp311-sdist.html"),
        format!("maintainer/{}", maintainer.to_string_lossy()),
    ];
    let run = format!(
        "<script>{}</script><script>axe.run().then((found) => {{ const out = document.createElement('pre'); \
         out.textContent = '{MARK}' + JSON.stringify(found.violations.map((one) => [one.impact, one.id, \
         one.nodes.slice(0, 3).map((node) => node.html)])); document.body.append(out); }});</script></body>",
        checker.replace("</script", "<\\/script")
    );
    for (page, dark) in pages.iter().flat_map(|page| [(page, false), (page, true)]) {
        let path = site.join(page);
        let html = fs::read_to_string(&path).unwrap();
        // The pages allow no script of others': the copy that is checked does.
        let (head, rest) = html.split_once("<meta http-equiv=\"Content-Security-Policy\"").unwrap();
        let rest = rest.split_once('>').unwrap().1;
        let copy = path.with_extension("checked.html");
        fs::write(&copy, format!("{head}{rest}").replace("</body>", &run)).unwrap();
        let dom = browser.open(&format!("file://{}", copy.display()), dark);
        let findings = dom.rsplit(MARK).next().unwrap().split("</pre>").next().unwrap();
        assert!(dom.contains("<pre>axe-findings:"), "{page}: the checker did not come to its end");
        let findings =
            findings.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        let findings: Vec<(Option<String>, String, Vec<String>)> = serde_json::from_str(&findings).unwrap();
        let serious =
            findings.iter().filter(|(impact, ..)| matches!(impact.as_deref(), Some("serious" | "critical")));
        let serious: Vec<_> = serious.collect();
        assert!(serious.is_empty(), "{page} (dark: {dark}): {serious:#?}");
    }
}
