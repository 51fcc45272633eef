//! `wheeltapper reclassify`: today's rules judge stored results again, and what changed is shown.

use std::{collections::BTreeMap, io::Write as _};

use wheeltapper_core::{
    Phase, Record, Verdict,
    classify::{RULES, classify},
};
use wheeltapper_store::Store;

use crate::{
    commands::show::blocking,
    exit::{Exit, Failure},
    paths::Paths,
    view,
};

/// Judges every stored result again, or those of one run; with `dry_run`, nothing is written.
pub fn reclassify(paths: &Paths, run: Option<&str>, dry_run: bool) -> Result<Exit, Failure> {
    blocking(paths, async |store| {
        let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
        let (mut judged, mut changed) = (0_u64, 0_u64);
        let mut pages = store.every_result(run);
        let mut out = std::io::stdout().lock();
        loop {
            let page = pages.next_page().await?;
            if page.is_empty() {
                break;
            }
            for record in page {
                judged += 1;
                let verdict = judged_again(store, &record).await?;
                if verdict == record.verdict {
                    continue;
                }
                let (old, new) = (told(&record.verdict), told(&verdict));
                let rejudged = Record { verdict, ..record };
                if old != new {
                    changed += 1;
                    writeln!(out, "{}", wheeltapper_render::visible(&line(&rejudged, &old, &new)))?;
                    *counts.entry((old, new)).or_default() += 1;
                }
                if !dry_run {
                    store.rejudge(&rejudged).await?;
                }
            }
        }
        if judged == 0
            && let Some(run) = run
        {
            return Err(Failure::new(Exit::Input, format!("no result of a run `{run}` is stored")));
        }
        let mut ranked: Vec<_> = counts.into_iter().collect();
        ranked.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        if !ranked.is_empty() {
            writeln!(out)?;
        }
        for ((old, new), count) in ranked {
            writeln!(out, "{count:>6}  {old} → {new}")?;
        }
        let stored = if dry_run { "; nothing was written" } else { "" };
        view::remark(&format!(
            "{judged} results judged by rules {RULES}, {changed} verdicts changed{stored}"
        ));
        Ok(Exit::Success)
    })
}

/// What today's rules say of a stored result.
pub async fn judged_again(store: &Store, record: &Record) -> Result<Verdict, Failure> {
    let logs: BTreeMap<Phase, String> = store
        .logs(&record.id)
        .await?
        .into_iter()
        .map(|(phase, log)| (phase, String::from_utf8_lossy(&log).into_owned()))
        .collect();
    Ok(classify(&record.evidence, &logs))
}

/// A verdict in a few words: `build-failed missing-header (platform)`.
fn told(verdict: &Verdict) -> String {
    let reason = verdict.reason.map(|reason| format!(" {reason}")).unwrap_or_default();
    let cause = verdict.cause.as_ref().map(|cause| {
        let dependency = cause
            .dependency
            .as_ref()
            .map(|dependency| format!(" {}", dependency.project))
            .unwrap_or_default();
        format!(" {} ({}{dependency})", cause.id, cause.blame)
    });
    format!("{}{reason}{}", verdict.outcome, cause.unwrap_or_default())
}

fn line(record: &Record, old: &str, new: &str) -> String {
    let evidence = &record.evidence;
    format!(
        "{} {} · {} · {}: {old} → {new}",
        evidence.project, evidence.version, evidence.environment.name, evidence.artifact
    )
}
