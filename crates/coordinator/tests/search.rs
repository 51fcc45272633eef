//! The search in a real browser, on the site as `serve` shows it: the same headers, and no server's help.

#![allow(clippy::unwrap_used)] // A test's bodies and the functions that serve them may panic.

mod support;

use std::{fs, net::TcpListener};

use support::Farm;
use wheeltapper_coordinator::web::serve;
use wheeltapper_testkit::{Browser, browser, skip, synthetic};

/// Types into the search as a user does.
const TYPES: &str = "addEventListener('load', () => {
  const input = document.getElementById('search');
  input.value = new URLSearchParams(location.search).get('types');
  input.dispatchEvent(new Event('input'));
});";

#[test]
fn a_name_that_is_typed_finds_its_project() {
    let Some(browser) = Browser::find() else { skip!("{}", browser::NONE) };
    let farm = Farm::new();
    farm.cycle(40, |_| true);
    farm.publish();
    let site = farm.site();
    // The policy of the site's pages allows scripts of its own only: this one lies beside them.
    fs::write(site.join("types.js"), TYPES).unwrap();
    let front = fs::read_to_string(site.join("index.html")).unwrap();
    let typing = front.replace("</body>", "<script src=\"types.js\"></script></body>");
    fs::write(site.join("typing.html"), typing).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.spawn(serve(listener, site));
    let typed = |text: &str| browser.open(&format!("http://{address}/typing.html?types={text}"), false);

    let name = synthetic::name(3);
    let found = typed(&name.as_str().to_uppercase().replace('-', "_"));
    let link = format!("<li><a href=\"project/{name}.html\">{name}</a></li>");
    assert!(found.contains(&link), "{found}");
    assert_eq!(found.matches("<li><a href=\"project/").count(), 1, "{found}");
    assert!(typed("qqqq").contains("No project begins with qqqq."));
    assert!(typed("a").contains("Two letters at least."));
}
