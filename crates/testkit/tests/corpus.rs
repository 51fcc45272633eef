//! Every case of the corpus of causes is judged as an expert judged it; the shares are printed.

use std::collections::BTreeMap;

use wheeltapper_core::CauseId;
use wheeltapper_testkit::corpus::cases;

/// Shares below which rules have become worse: of cases with the right cause and blame, and of those that any rule names.
const RIGHT: f64 = 0.97;
const NAMED: f64 = 0.95;

#[test]
fn the_corpus_is_judged_as_an_expert_did() {
    let cases = cases().unwrap();
    let (mut right, mut named) = (0_usize, 0_usize);
    let mut by_cause: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (name, case) in &cases {
        let judged = case.judged();
        let of_cause = by_cause.entry(case.expected.cause.as_str()).or_default();
        of_cause.1 += 1;
        named += usize::from(!matches!(judged.cause, CauseId::Unclassified | CauseId::BuildBackendError));
        if judged == case.expected {
            right += 1;
            of_cause.0 += 1;
        } else {
            wrong.push(format!("{name}: expected {:?}, judged {judged:?}", case.expected));
        }
    }
    let share = |count: usize| count as f64 / cases.len().max(1) as f64;
    println!(
        "{} cases of {} causes: {:.1} % judged right (precision), {:.1} % named by a rule (coverage)",
        cases.len(),
        by_cause.len(),
        share(right) * 100.0,
        share(named) * 100.0
    );
    for (cause, (right, all)) in &by_cause {
        println!("{right:>4} of {all:<4} {cause}");
    }
    for line in &wrong {
        println!("wrong: {line}");
    }
    assert!(cases.len() >= 40, "{} cases", cases.len());
    assert!(share(right) >= RIGHT && share(named) >= NAMED, "{}", wrong.join("\n"));
}

#[test]
fn what_is_around_a_log_does_not_change_its_verdict() {
    for (name, mut case) in cases().unwrap() {
        let before = case.judged();
        let noise = "running build_py\ncopying a.py -> build/lib\n".repeat(200);
        case.log = format!("{noise}{}", case.log);
        assert_eq!(case.judged(), before, "{name}");
    }
}
