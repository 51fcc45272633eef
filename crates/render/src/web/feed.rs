//! A project's news as an Atom feed (RFC 4287).

use std::collections::BTreeMap;

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};
use wheeltapper_core::{Phase, ProjectName, Record, cycle::Transition};

use crate::{
    Error,
    cycle::words,
    site::{ReportFile, project_path, safe},
    text::visible,
};

/// Entries of a feed at most.
const ENTRIES: usize = 40;

/// Where a feed lies.
pub(super) fn path(project: &ProjectName) -> String {
    format!("project/{}.atom", safe(project.as_str()))
}

/// The feed of a project's changes, the newest first.
pub(super) fn feed(
    project: &ProjectName,
    news: &[Transition],
    cells: &[(Record, BTreeMap<Phase, Vec<u8>>)],
    address: Option<&str>,
) -> Result<ReportFile, Error> {
    let written = write(project, news, cells, address);
    let bytes = written.map_err(|source| Error::Feed(source.to_string()))?;
    Ok(ReportFile::whole(path(project), bytes))
}

fn write(
    project: &ProjectName,
    news: &[Transition],
    cells: &[(Record, BTreeMap<Phase, Vec<u8>>)],
    address: Option<&str>,
) -> std::io::Result<Vec<u8>> {
    let mut writer = Writer::new(Vec::new());
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("utf-8"), None)))?;
    let name = format!("urn:wheeltapper:project:{project}");
    let began = cells.iter().map(|(record, _)| record.started.as_str()).max().unwrap_or_default();
    let updated = news.first().map_or(began, |item| item.started.as_str());
    writer
        .create_element("feed")
        .with_attribute(("xmlns", "http://www.w3.org/2005/Atom"))
        .write_inner_content(|writer| {
            text(writer, "id", &name)?;
            text(writer, "title", &format!("{project}: what changed"))?;
            text(writer, "updated", &whole_seconds(updated))?;
            writer
                .create_element("author")
                .write_inner_content(|writer| text(writer, "name", "Wheeltapper"))?;
            if let Some(address) = address {
                link(writer, "alternate", &format!("{address}{}", project_path(project)))?;
                link(writer, "self", &format!("{address}{}", path(project)))?;
            }
            for item in news.iter().take(ENTRIES) {
                let cell = &item.cell;
                let place = format!("{} ({})", cell.environment, cell.artifact);
                writer.create_element("entry").write_inner_content(|writer| {
                    text(writer, "id", &format!("{name}:{}:{}", item.cycle, item.result))?;
                    let title = format!("{project} {}: {} on {place}", item.version, words(item.state));
                    text(writer, "title", &title)?;
                    text(writer, "updated", &whole_seconds(&item.started))?;
                    if let Some(address) = address {
                        link(writer, "alternate", &format!("{address}{}", project_path(project)))?;
                    }
                    let before = item.before.as_ref().map(|(_, version)| format!(" Before: {version}."));
                    let said = format!("{} on {place}.{}", item.outcome, before.unwrap_or_default());
                    let record =
                        cells.iter().map(|(record, _)| record).find(|record| record.id == item.result);
                    let cause = record.and_then(|record| record.verdict.cause.as_ref());
                    let cause = cause.map(|cause| format!(" {}.", cause.title)).unwrap_or_default();
                    text(writer, "summary", &format!("{said}{cause}"))
                })?;
            }
            Ok(())
        })?;
    Ok(writer.into_inner())
}

fn text(writer: &mut Writer<Vec<u8>>, element: &str, words: &str) -> std::io::Result<()> {
    writer.create_element(element).write_text_content(BytesText::new(&visible(words)))?;
    Ok(())
}

fn link(writer: &mut Writer<Vec<u8>>, relation: &str, address: &str) -> std::io::Result<()> {
    writer
        .create_element("link")
        .with_attribute(("rel", relation))
        .with_attribute(("href", address))
        .write_empty()?;
    Ok(())
}

/// The time without parts of a second.
fn whole_seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => time.to_owned(),
    }
}
