//! The front page, the cycles, and the list behind each of a cycle's figures.

use std::collections::BTreeMap;

use minijinja::{Value, context};
use wheeltapper_core::{
    ProjectName,
    cycle::{Cycle, CycleSummary, Standing, State, Transition},
};

use super::{ClusterExample, Letter, ROWS, environment_path, environments, row, when};
use crate::{Error, cycle::words, text::one_line, web::chart};

/// Rows of a list on the front page.
const FRONT: usize = 25;

fn core_hours(seconds: f64) -> String {
    format!("{:.1}", seconds / 3600.0)
}

/// The figures of a cycle; `base` leads from the page to the cycle's folder. `listed`: its cells are still to be had.
pub(in crate::web) fn cycle(cycle: &Cycle, base: &str, listed: bool) -> Value {
    let nothing = CycleSummary::default();
    let summary = cycle.summary.as_ref().unwrap_or(&nothing);
    let rows: Vec<Value> = State::ALL
        .iter()
        .filter(|state| summary.count(**state) > 0 || matches!(**state, State::NewlyFailing | State::Fixed))
        .map(|state| {
            let of = |counts: &BTreeMap<State, u64>| counts.get(state).copied().unwrap_or_default();
            context! {
                word => words(*state), run => of(&summary.run), reused => of(&summary.reused),
                all => summary.count(*state), href => format!("{base}{state}.html"),
            }
        })
        .collect();
    let due: Vec<String> = summary.due.iter().map(|(due, count)| format!("{count} {due}")).collect();
    context! {
        figures => figures(summary),
        bar => bar(summary),
        share => summary.share_passed().map(|share| format!("{:.1} %", share * 100.0)),
        number => cycle.number,
        when => when(cycle.ended.as_deref().unwrap_or(&cycle.started)),
        // What follows the sign is a digest, for the program.
        scope => one_line(cycle.scope.split(" #").next().unwrap_or_default(), 200),
        started => when(&cycle.started),
        ended => cycle.ended.as_deref().map(when),
        rows,
        wanted => summary.wanted(), run => summary.count_run(), reused => summary.count_reused(),
        projects => summary.projects, absent => summary.absent,
        absent_href => format!("{base}not-planned.html"),
        core => core_hours(summary.core_seconds),
        due => due.join(", "),
        cells => listed.then(|| format!("{base}cells.jsonl")),
        results => format!("{base}results.jsonl"),
    }
}

/// The figures that are told in large: name, class, count.
fn figures(summary: &CycleSummary) -> Vec<Value> {
    let passed = summary.count(State::Passed) + summary.count(State::Fixed);
    let news = summary.count(State::NewlyFailing) + summary.count(State::FailingAtFirst);
    let figure = |(name, class, count): (&str, &str, u64)| context! { name, class, count };
    let always = [
        ("projects", "", summary.projects),
        ("cells", "", summary.wanted()),
        ("passed", "passed", passed),
        ("failing", "failed", summary.failing()),
        ("of them new", "failed", news),
        ("fixed", "passed", summary.count(State::Fixed)),
        ("untested", "untested", summary.count(State::Untested)),
    ];
    let rarely = [
        ("flaky", "untested", summary.count(State::Flaky)),
        ("farm errors", "farm", summary.count(State::FarmError)),
        ("left", "", summary.left),
    ];
    always.into_iter().chain(rarely.into_iter().filter(|(.., count)| *count > 0)).map(figure).collect()
}

/// The parts of a bar of all cells: class, place and width in thousandths.
fn bar(summary: &CycleSummary) -> Vec<Value> {
    let (wanted, mut before) = (summary.wanted(), 0);
    let classes = [
        ("passed", summary.count(State::Passed) + summary.count(State::Fixed)),
        ("failed", summary.failing()),
        ("untested", summary.count(State::Untested) + summary.count(State::Flaky)),
        ("farm", summary.count(State::FarmError)),
        ("", summary.count(State::Unsupported) + summary.left),
    ];
    let mut parts = Vec::new();
    for (class, count) in classes.into_iter().filter(|(_, count)| *count > 0) {
        let thousandths = |cells: u64| format!("{:.1}", 1000.0 * cells as f64 / wanted as f64);
        parts.push(context! { class, x => thousandths(before), width => thousandths(count) });
        before += count;
    }
    parts
}

/// Whether these are still the cells of this cycle: where a later one has decided about them, its lists cannot be had again.
pub(in crate::web) fn has_lists(cycle: &Cycle, standings: &[Standing]) -> bool {
    let wanted = cycle.summary.as_ref().map_or(0, CycleSummary::wanted);
    wanted == 0 || standings.iter().any(|standing| standing.cycle == cycle.number)
}

/// The list behind each state of a cycle.
pub(in crate::web) fn lists(cycle: &Cycle, standings: &[Standing]) -> Vec<(State, Value)> {
    let counted = |state: &&State| {
        let listed = cycle.summary.as_ref().is_some_and(|summary| summary.count(**state) > 0);
        listed || matches!(state, State::NewlyFailing | State::Fixed)
    };
    let mut by_state: BTreeMap<State, Vec<&Standing>> =
        State::ALL.iter().filter(counted).map(|state| (*state, Vec::new())).collect();
    for standing in standings.iter().filter(|standing| standing.cycle == cycle.number) {
        by_state.entry(standing.state).or_default().push(standing);
    }
    let gone = !has_lists(cycle, standings);
    let list = |(state, cells): (State, Vec<&Standing>)| {
        let counted = cycle.summary.as_ref().map_or(0, |summary| summary.count(state));
        let rows: Vec<Value> = cells.iter().take(ROWS).map(|cell| row(cell, "../../")).collect();
        let title = format!("Cycle {}: {}", cycle.number, words(state));
        let trail = [context! { name => format!("cycle {}", cycle.number), href => "index.html" }];
        let view = context! {
            title, trail => Value::from_iter(trail), rows, lead => None::<String>,
            count => if gone { counted } else { cells.len() as u64 }, gone => gone && counted > 0,
            more => cells.len().saturating_sub(ROWS), all => "cells.jsonl",
        };
        (state, view)
    };
    by_state.into_iter().map(list).collect()
}

/// Every cell that a cycle wanted, one JSON object a line.
pub(in crate::web) fn cells_jsonl(cycle: &Cycle, standings: &[Standing]) -> Vec<u8> {
    let mut lines = Vec::new();
    for standing in standings.iter().filter(|standing| standing.cycle == cycle.number) {
        let result = standing.result.as_ref();
        let line = serde_json::json!({
            "project": standing.cell.project, "environment": standing.cell.environment,
            "artifact": standing.cell.artifact, "state": standing.state,
            "how": if standing.due.is_some() { "run" } else { "reused" }, "due": standing.due,
            "version": result.map(|result| &result.version), "outcome": result.map(|result| result.outcome),
            "cause": result.and_then(|result| result.cause.as_ref()),
            "signature": result.and_then(|result| result.signature.as_ref()),
            "result": result.map(|result| &result.id),
            "failing_since": standing.since.as_ref().map(|(time, _)| time),
        });
        lines.extend_from_slice(line.to_string().as_bytes());
        lines.push(b'\n');
    }
    lines
}

/// Projects that a cycle could not plan.
pub(in crate::web) fn absent(cycle: &Cycle, absent: &[(ProjectName, String)]) -> Value {
    let rows: Vec<Value> = absent
        .iter()
        .take(ROWS)
        .map(|(project, why)| context! { project => project.as_str(), why => one_line(why, 300) })
        .collect();
    context! { number => cycle.number, count => absent.len(), rows }
}

/// The front page.
pub(in crate::web) fn front(
    cycles: &[Cycle],
    standings: &[Standing],
    news: &[Transition],
    examples: &BTreeMap<String, ClusterExample>,
    letters: &[Letter],
) -> Result<Value, Error> {
    let last = cycles.iter().find(|cycle| cycle.is_telling());
    let base = last.map(|cycle| format!("cycle/{}/", cycle.number)).unwrap_or_default();
    let by_cell: BTreeMap<_, &Standing> =
        standings.iter().map(|standing| (&standing.cell, standing)).collect();
    let list = |states: &[State], id: &str, title: &str| {
        let items: Vec<&&Standing> = news
            .iter()
            .filter(|item| states.contains(&item.state))
            .filter_map(|item| by_cell.get(&item.cell))
            .collect();
        let state = items.first().map_or(states[0], |standing| standing.state);
        let rows: Vec<Value> = items
            .iter()
            .take(FRONT)
            .map(|standing| {
                let signature = standing.result.as_ref().and_then(|result| result.signature.as_ref());
                let title = signature.and_then(|signature| examples.get(signature));
                let title = title.map(|example| one_line(&example.title, 120));
                match title {
                    Some(cause) => context! { cause, ..row(standing, "") },
                    None => row(standing, ""),
                }
            })
            .collect();
        context! {
            id, title, count => items.len(), rows, href => format!("{base}{state}.html"),
            more => items.len() > FRONT,
        }
    };
    let lists = match last {
        None => Vec::new(),
        Some(_) => vec![
            list(&[State::NewlyFailing], "newly-failing", "Newly failing"),
            list(&[State::FailingAtFirst], "failing-at-first", "Failing when first seen"),
            list(&[State::Fixed], "fixed", "Fixed"),
        ],
    };
    let letters: Vec<Value> =
        letters.iter().map(|letter| context! { label => &letter.label, href => &letter.path }).collect();
    Ok(context! {
        cycle => last.map(|last| cycle(last, &base, true)),
        charts => chart::charts(cycles)?,
        news => lists,
        letters,
        environments => environments(standings).iter().map(|name| {
            let here = || standings.iter().filter(|standing| standing.cell.environment == *name);
            context! {
                name => one_line(name, 60), href => environment_path(name), cells => here().count(),
                failing => here().filter(|standing| standing.is_failing()).count(),
            }
        }).collect::<Vec<_>>(),
    })
}

/// All cycles.
pub(in crate::web) fn cycles(cycles: &[Cycle]) -> Result<Value, Error> {
    let rows: Vec<Value> = cycles
        .iter()
        .map(|cycle| {
            let nothing = CycleSummary::default();
            let summary = cycle.summary.as_ref().unwrap_or(&nothing);
            context! {
                number => cycle.number,
                href => cycle.ended.is_some().then(|| format!("cycle/{}/index.html", cycle.number)),
                started => when(&cycle.started),
                wanted => summary.wanted(), run => summary.count_run(), failing => summary.failing(),
                newly => summary.count(State::NewlyFailing) + summary.count(State::FailingAtFirst),
                fixed => summary.count(State::Fixed),
                share => summary.share_passed().map(|share| format!("{:.1} %", share * 100.0)),
                core => core_hours(summary.core_seconds),
            }
        })
        .collect();
    Ok(context! { cycles => rows, charts => chart::charts(cycles)? })
}
