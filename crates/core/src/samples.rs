//! For unit tests: evidence as a stored record has it; fields that come later have their defaults.

use serde_json::{Value, json};

/// The JSON of a cell of `thing` 1.0 in which nothing has happened.
pub(crate) fn evidence() -> Value {
    json!({
        "project": "thing", "version": "1.0", "artifact": "sdist",
        "selected": {"newest": null, "why": "pinned"}, "requires_python": null, "yanked": false,
        "project_status": null,
        "environment": {
            "name": "e", "os": "linux", "platform": "debian 12", "arch": "x86_64", "libc": null,
            "implementation": "cpython", "python": "3.13.0", "installer": "uv",
            "digest": crate::Sha256::of(b"x"),
            "limits": {"sandbox": "full", "cgroup": "v2", "network": "index-only", "privileged": false},
        },
        "distribution": null, "build": null, "wheel": null, "tested": null, "phases": {}, "imports": [],
        "test_plan": null, "tests": null, "leftovers": [], "foreign_writes": [], "installed": [],
        "classifiers": [], "unsupported": null, "untested": null, "farm_error": null,
    })
}

/// A plan that runs pytest on all there is.
pub(crate) fn plan() -> crate::TestPlan {
    serde_json::from_value(json!({
        "runner": "pytest", "command": ["pytest"], "directory": ".", "working": "source-tree", "environment": {},
        "requirements": ["pytest"], "extras": [], "source": "sdist", "expected_tests": null, "deselected": [],
        "why": [],
    }))
    .expect("the plan is whole")
}
