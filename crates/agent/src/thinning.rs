//! Requirements of tests that cannot be installed together: the one that stands in the way is loosened, else left out, and the
//! rest of the list is kept. Pure: by the resolver's words.

use wheeltapper_core::{Runner, TestPlan, pep508_rs::Requirement};

/// The most requirements of a plan that are changed one after the other.
pub(crate) const MOST_CHANGES: usize = 8;

/// The plan with the requirement changed that the resolver names first, and what was done with it. `None` when it names none of
/// the plan's own that could be changed.
pub(crate) fn thinned(plan: &TestPlan, words: &str) -> Option<(TestPlan, String)> {
    let words = words.to_ascii_lowercase().replace('_', "-");
    let named = |requirement: &Requirement| mention(&words, requirement.name.as_ref());
    let own = plan.requirements.iter().enumerate().filter_map(|(at, text)| Some((at, text.parse().ok()?)));
    let (_, at, requirement): (usize, usize, Requirement) = own
        .filter_map(|(at, requirement): (usize, Requirement)| Some((named(&requirement)?, at, requirement)))
        // Who has a bound stands in the way rather than who takes any version.
        .min_by_key(|(place, _, requirement)| (requirement.version_or_url.is_none(), *place))?;
    let mut plan = plan.clone();
    let text = plan.requirements[at].clone();
    let said = if requirement.version_or_url.is_some() {
        let loose = Requirement { version_or_url: None, ..requirement };
        plan.requirements[at] = loose.to_string();
        format!("the version of {text} is left open, since it cannot be installed beside the rest")
    } else if is_runner(plan.runner, requirement.name.as_ref()) {
        return None;
    } else {
        plan.requirements.remove(at);
        format!("{text} is left out, since it cannot be installed here beside the rest")
    };
    plan.why.push(said.clone());
    Some((plan, said))
}

/// Where a project is named as a whole word.
fn mention(words: &str, project: &str) -> Option<usize> {
    let is_part = |character: char| character.is_ascii_alphanumeric() || "-.".contains(character);
    words.match_indices(project).map(|(at, _)| at).find(|at| {
        let after = words[at + project.len()..].trim_start_matches('.');
        !words[..*at].ends_with(is_part) && !after.starts_with(is_part)
    })
}

fn is_runner(runner: Runner, project: &str) -> bool {
    match runner {
        Runner::Pytest => project == "pytest",
        Runner::Trial => project == "twisted",
        Runner::Zope => project == "zope-testrunner",
        Runner::Django => project == "django",
        Runner::Unittest | Runner::Script => false,
    }
}

#[cfg(test)]
mod tests {
    use wheeltapper_core::plan::Working;

    use super::*;

    fn after(requirements: &[&str], words: &str) -> Option<String> {
        let plan = TestPlan {
            runner: Runner::Pytest,
            command: vec!["pytest".to_owned()],
            directory: ".".to_owned(),
            working: Working::SourceTree,
            environment: Default::default(),
            requirements: requirements.iter().map(ToString::to_string).collect(),
            extras: Vec::new(),
            source: "sdist".to_owned(),
            expected_tests: None,
            deselected: Vec::new(),
            system_packages: Vec::new(),
            timeout_s: None,
            why: Vec::new(),
        };
        thinned(&plan, words).map(|(plan, _)| plan.requirements.join(" "))
    }

    #[test]
    fn only_what_stands_in_the_way_changes() {
        let words = "Because you require pydantic<2 and pydantic==2.14.3, we can conclude that your requirements are \
                     unsatisfiable.";
        let list = ["pytest", "pydantic<2", "pydantic-settings", "respx"];
        assert_eq!(after(&list, words).as_deref(), Some("pytest pydantic pydantic-settings respx"));
        let gone = "Because some-old was not found in the package registry and you require some-old";
        assert_eq!(after(&["pytest", "Some_Old"], gone).as_deref(), Some("pytest"));
    }

    #[test]
    fn the_runner_stays_and_what_is_not_named_is_left_alone() {
        assert_eq!(after(&["pytest", "b"], "Because pytest needs c"), None);
        assert_eq!(after(&["pytest<4", "b"], "Because pytest==3.9 needs c").as_deref(), Some("pytest b"));
        assert_eq!(after(&["pytest", "b"], "Because c==1 cannot be used"), None);
    }
}
