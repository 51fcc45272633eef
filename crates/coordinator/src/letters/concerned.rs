//! What is remembered of who is concerned with a project: its metadata, its maintainers' wishes, its roles on the index.

use std::collections::BTreeSet;

use wheeltapper_agent::Report;
use wheeltapper_core::{
    ProjectName,
    cycle::{Cycle, People},
    evidence::Artifact,
};
use wheeltapper_index::Client;
use wheeltapper_store::Store;

use crate::Error;

/// Questions to the index at a time.
const AT_A_TIME: usize = 16;

/// Remembers what a cell's metadata says. Wishes stand in source trees: a wheel, which has none, leaves them as they are.
pub(crate) async fn remember(store: &Store, report: &Report) -> Result<(), wheeltapper_store::Error> {
    let Some(read) = &report.people else { return Ok(()) };
    let evidence = &report.evidence;
    let change = |known: &mut People| {
        let (wishes, roles) = (known.wishes.take(), std::mem::take(&mut known.roles));
        let wishes = match evidence.artifact {
            Artifact::Sdist => evidence.contact.clone(),
            Artifact::Wheel => evidence.contact.clone().or(wishes),
        };
        *known = People { wishes, roles, ..read.clone() };
    };
    store.change_people(&evidence.project, change).await
}

/// Asks the index for the roles in all projects of which this cycle ran a cell. What it does not tell stays as it was.
///
/// # Errors
/// When the store fails.
pub async fn ask_roles(client: &Client, store: &Store, cycle: &Cycle) -> Result<(), Error> {
    let standings = store.standings(None).await?;
    let run = standings.into_iter().filter(|one| one.cycle == cycle.number && one.due.is_some());
    let projects: BTreeSet<ProjectName> = run.map(|standing| standing.cell.project).collect();
    let mut asked = tokio::task::JoinSet::new();
    for project in projects {
        if asked.len() >= AT_A_TIME {
            note(store, asked.join_next().await).await?;
        }
        let client = client.clone();
        asked.spawn(async move { client.roles(&project).await.ok().flatten().map(|roles| (project, roles)) });
    }
    while !asked.is_empty() {
        note(store, asked.join_next().await).await?;
    }
    Ok(())
}

type Answer = Option<(ProjectName, Vec<(String, String)>)>;

async fn note(store: &Store, answer: Option<Result<Answer, tokio::task::JoinError>>) -> Result<(), Error> {
    if let Some(Ok(Some((project, roles)))) = answer {
        store.change_people(&project, |known| known.roles = roles).await?;
    }
    Ok(())
}
