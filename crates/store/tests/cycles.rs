//! Cycles: where cells stand is derived once, and told once.

#![allow(clippy::unwrap_used)] // A test's bodies and the functions that serve them may panic.

mod support;

use support::record;
use wheeltapper_core::{
    Artifact, Outcome,
    cycle::{CellName, Due, State},
};
use wheeltapper_store::{Decision, Settled, Store};

const ENVIRONMENT: &str = "debian12-cp313";

fn cell(project: &str) -> CellName {
    CellName {
        project: project.parse().unwrap(),
        environment: ENVIRONMENT.to_owned(),
        artifact: Artifact::Sdist,
    }
}

async fn open() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    (folder, store)
}

/// Stores a result of `project` in this run.
async fn bring(store: &Store, id: &str, run: &str, project: &str, outcome: Outcome, second: u32) {
    let mut record = record(id, project, ENVIRONMENT, outcome, second);
    record.run = run.to_owned();
    store.record(&record, &Default::default()).await.unwrap();
}

fn settled(state: State, result: &str, before: Option<&str>) -> Settled {
    Settled { state, result: result.to_owned(), before: before.map(str::to_owned), core_s: 1.5 }
}

#[tokio::test]
async fn a_cycle_is_gone_on_with_and_its_summary_adds_up() {
    let (_folder, store) = open().await;
    let cycle = store.begin_cycle("cycle-1", "top 3", "2026-11-22T10:00:00Z").await.unwrap();
    assert_eq!(cycle.number, 1);
    let decisions = [
        (cell("a"), Decision::Due(Due::NeverRun)),
        (cell("b"), Decision::Due(Due::NewerRelease)),
        (cell("c"), Decision::Stands(State::Passed)),
    ];
    store.decide(1, &decisions).await.unwrap();
    store.note_absent(1, &[("gone".parse().unwrap(), "no such project".to_owned())]).await.unwrap();
    store.advance_cycle(1, "here", 4).await.unwrap();
    bring(&store, "r1", "cycle-1", "a", Outcome::Passed, 1).await;
    store.settle(1, &cell("a"), &settled(State::Passed, "r1", None)).await.unwrap();

    // Decided about again after a kill: what has settled stays.
    store.decide(1, &decisions).await.unwrap();
    let again = store.cycles(1).await.unwrap().remove(0);
    assert_eq!((again.cursor.as_str(), again.listed, again.ended), ("here", 4, None));

    let summary = store.end_cycle(1, "2026-11-22T11:00:00Z").await.unwrap();
    assert_eq!((summary.wanted(), summary.count_reused(), summary.count_run(), summary.left), (3, 1, 1, 1));
    assert_eq!((summary.projects, summary.absent), (4, 1));
    assert_eq!(summary.core_seconds, 1.5);
    assert_eq!(summary.due.get(&Due::NewerRelease), Some(&1));
    assert_eq!(store.cycles(9).await.unwrap()[0].summary.as_ref(), Some(&summary));
}

#[tokio::test]
async fn news_is_written_once_with_where_it_comes_from() {
    let (_folder, store) = open().await;
    bring(&store, "old", "earlier", "a", Outcome::Passed, 1).await;
    store.begin_cycle("cycle-1", "top 1", "2026-11-22T10:10:00Z").await.unwrap();
    store.decide(1, &[(cell("a"), Decision::Due(Due::NewerRelease))]).await.unwrap();
    bring(&store, "new-1", "cycle-1", "a", Outcome::BuildFailed, 700).await;
    bring(&store, "new-2", "cycle-1", "a", Outcome::BuildFailed, 720).await;
    let earlier = store.verdicts_before(&cell("a"), "cycle-1").await.unwrap();
    assert_eq!(earlier, [("old".to_owned(), Outcome::Passed)]);
    assert_eq!(store.cell_results(&cell("a"), "cycle-1").await.unwrap().len(), 2);
    let failed = store.result("new-2").await.unwrap().unwrap();
    assert_eq!(store.failures_of(&failed.request).await.unwrap(), 2);
    for _ in 0..2 {
        store.settle(1, &cell("a"), &settled(State::NewlyFailing, "new-2", Some("old"))).await.unwrap();
    }
    let news = store.transitions(Some(1), None).await.unwrap();
    assert_eq!(news.len(), 1);
    assert_eq!((news[0].state, news[0].before.as_ref().unwrap().0.as_str()), (State::NewlyFailing, "old"));
    let standing = store.standings(None).await.unwrap().remove(0);
    assert_eq!(standing.since.as_ref().map(|(_, version)| version.as_str()), Some("1.0"));
    let began = standing.since;

    // In the next cycle it fails on: no news, and the same beginning. Then it is fixed.
    store.begin_cycle("cycle-2", "top 1", "2026-11-22T11:00:00Z").await.unwrap();
    let stored = store.stored_cells(&["a".parse().unwrap()]).await.unwrap();
    let stored = &stored.values().next().unwrap()[0];
    assert_eq!((stored.failures, stored.standing), (2, Some((1, State::NewlyFailing))));
    store.decide(2, &[(cell("a"), Decision::Stands(State::StillFailing))]).await.unwrap();
    let standing = store.standings(Some(&["a".parse().unwrap()])).await.unwrap().remove(0);
    assert_eq!((standing.cycle, standing.state, standing.due), (2, State::StillFailing, None));
    assert_eq!(standing.since, began);
    assert!(store.transitions(Some(2), None).await.unwrap().is_empty());

    store.begin_cycle("cycle-3", "top 1", "2026-11-22T12:00:00Z").await.unwrap();
    store.decide(3, &[(cell("a"), Decision::Due(Due::NewerRelease))]).await.unwrap();
    bring(&store, "good", "cycle-3", "a", Outcome::Passed, 3000).await;
    store.settle(3, &cell("a"), &settled(State::Fixed, "good", Some("new-2"))).await.unwrap();
    let standing = store.standings(None).await.unwrap().remove(0);
    assert_eq!((standing.state, standing.since), (State::Fixed, None));
    let all = store.transitions(None, Some(&"a".parse().unwrap())).await.unwrap();
    assert_eq!(all.iter().map(|news| news.state).collect::<Vec<_>>(), [State::Fixed, State::NewlyFailing]);
    assert_eq!(store.newest_time().await.unwrap().as_deref(), Some("2026-11-22T12:00:00.000000000Z"));
}
