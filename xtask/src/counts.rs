//! What the test runners say at their end, as numbers.

use std::ops::AddAssign;

/// Tests by how they ended. `ignored` ones are marked `#[ignore]` and did not run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tests that passed, those that skipped themselves included.
    pub passed: u64,
    /// Tests that failed, were too slow, or could not be run.
    pub failed: u64,
    /// Tests marked `#[ignore]`.
    pub ignored: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

/// The counts of one run of `cargo nextest run`; none if it never came to an end.
pub fn nextest(output: &str) -> Option<Counts> {
    let line = output.lines().rev().map(str::trim).find(|line| line.starts_with("Summary ["))?;
    let (_, said) = line.split_once("tests run:").or_else(|| line.split_once("test run:"))?;
    // `3 passed (1 slow), 2 failed, 1 timed out, 4 skipped`
    Some(by_word(said, ','))
}

/// The sum over all `test result:` lines of `cargo test`; none if there is no such line.
pub fn libtest(output: &str) -> Option<Counts> {
    let mut sum = None;
    for line in output.lines().filter_map(|line| line.trim().strip_prefix("test result: ")) {
        let (_, said) = line.split_once(". ")?;
        let mut counts = by_word(said, ';');
        // `N filtered out` is about what was not asked for.
        counts.ignored = number_before(said, " ignored");
        *sum.get_or_insert_with(Counts::default) += counts;
    }
    sum
}

fn by_word(said: &str, separator: char) -> Counts {
    let mut counts = Counts::default();
    for part in said.split(separator).map(str::trim) {
        let mut words = part.split(' ');
        let Some(number) = words.next().and_then(|word| word.parse::<u64>().ok()) else { continue };
        match words.next() {
            Some("passed") => counts.passed += number,
            Some("failed" | "timed" | "exec") => counts.failed += number,
            Some("skipped") => counts.ignored += number,
            _ => {}
        }
    }
    counts
}

fn number_before(said: &str, word: &str) -> u64 {
    let before = said.split_once(word).map_or("", |(before, _)| before);
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nextest_summaries_are_read() {
        let all = "x\n     Summary [   4.018s] 21 tests run: 21 passed, 0 skipped\nerror: y\n";
        assert_eq!(nextest(all), Some(Counts { passed: 21, failed: 0, ignored: 0 }));
        let bad = "     Summary [   1.2s] 9/12 tests run: 5 passed (1 slow, 2 flaky), 3 failed, 1 timed out, 4 skipped";
        assert_eq!(nextest(bad), Some(Counts { passed: 5, failed: 4, ignored: 4 }));
        let one = "     Summary [   0.1s] 1 test run: 1 passed, 0 skipped";
        assert_eq!(nextest(one), Some(Counts { passed: 1, failed: 0, ignored: 0 }));
        assert_eq!(nextest("error: could not compile"), None);
    }

    #[test]
    fn libtest_results_are_summed() {
        let output = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 5 filtered out; finished in 0.00s\n\
                      test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s\n";
        assert_eq!(libtest(output), Some(Counts { passed: 5, failed: 1, ignored: 1 }));
        assert_eq!(libtest("nothing"), None);
    }
}
