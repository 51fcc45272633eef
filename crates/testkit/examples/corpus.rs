//! Adds a case to the corpus of causes from a stored result: `corpus DATA_FOLDER PROJECT ENVIRONMENT`. Prints the file's path and
//! what is expected; whoever adds it reads the log, and corrects the expectation where the rules are wrong.

#![allow(clippy::print_stdout)]

use anyhow::{Context as _, Result, bail};
use wheeltapper_core::ProjectName;
use wheeltapper_store::Store;
use wheeltapper_testkit::corpus::{Case, folder};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, project, environment] = &arguments[..] else {
        bail!("usage: corpus DATA_FOLDER PROJECT ENVIRONMENT");
    };
    let name: ProjectName = project.parse()?;
    let store = Store::open(data.as_ref()).await?;
    let records = store.latest(&name).await?;
    let record = records
        .iter()
        .find(|record| {
            record.evidence.environment.name == *environment && record.verdict.outcome.is_failure()
        })
        .with_context(|| format!("no failure of {name} on {environment} is stored"))?;
    let phase = record.verdict.cause.as_ref().context("the failure has no cause")?.phase;
    let log = store.log(&record.id, phase).await?.unwrap_or_default();
    let case = Case::of(record, &String::from_utf8_lossy(&log))?;
    let python: Vec<&str> = case.python.split('.').take(2).collect();
    let path = folder().join(format!("{}-{}-py{}.toml", case.project, case.version, python.join("")));
    let text = toml::to_string_pretty(&case)?;
    // Where this machine keeps its interpreters is nobody's business.
    let text = std::env::var("HOME").map_or(text.clone(), |home| text.replace(&home, "/home/tap"));
    std::fs::write(&path, text)?;
    println!("{}\n{:#?}", path.display(), case.expected);
    Ok(())
}
