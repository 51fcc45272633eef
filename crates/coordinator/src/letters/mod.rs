//! Who is told what, and once. A letter and what it tells enter the store in one transaction; its file in the outbox
//! follows, under a name that is its own for good. Nothing is ever sent from here.

mod addresses;
mod concerned;
mod news;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    path::{Path, PathBuf},
};

use mail_builder::{
    MessageBuilder,
    headers::{message_id::MessageId, raw::Raw},
};
use tokio::runtime::Handle;
use wheeltapper_core::{
    Notify, ProjectName, Record, Sha256,
    cycle::{Cycle, People, Standing},
};
use wheeltapper_render::letter::{self, Item, Letter, Written};
use wheeltapper_store::{Store, StoredLetter, Told};

pub use addresses::{Person, named_people, people, recipients};
pub use concerned::ask_roles;

pub(crate) use self::concerned::remember;
use self::news::{News, Piece, Regressions};
use crate::Error;

/// How letters are written.
#[derive(Debug, Clone)]
pub struct LetterOptions {
    /// Where files are put.
    pub outbox: PathBuf,
    /// Whom letters are from, and whom answers go to.
    pub from: String,
    /// The site's public address.
    pub address: Option<String>,
}

/// Whom letters are from where nobody has been named: an address that cannot exist (RFC 2606).
pub const NOBODY: &str = "wheeltapper@wheeltapper.invalid";

/// Whether this can stand as the sender's address.
pub fn is_address(text: &str) -> bool {
    let fits = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte))
    };
    text.split_once('@').is_some_and(|(local, domain)| fits(local) && fits(domain)) && text.len() <= 254
}

/// Writes what there is to tell after this cycle; how many letters and issue texts are new in the outbox. Blocking.
///
/// # Errors
/// When the store or the disk fails. What has been told is not told again by the next call, and what has not is.
pub fn write(handle: &Handle, store: &Store, cycle: &Cycle, options: &LetterOptions) -> Result<usize, Error> {
    // Letters whose files an interrupted run has not written.
    let mut files = deliver(handle, store, &options.outbox)?;
    let standings = handle.block_on(store.standings(None))?;
    let told = handle.block_on(store.told())?;
    let people = handle.block_on(store.people())?;
    let mut records: BTreeMap<String, Record> = BTreeMap::new();
    for standing in standings.iter().filter(|standing| news::may_be_told(standing, &told)) {
        let Some(result) = &standing.result else { continue };
        if let Some(record) = handle.block_on(store.result(&result.id))? {
            records.insert(result.id.clone(), record);
        }
    }
    let regressions = Regressions::read(handle, store, &people)?;
    let news = News {
        standings: &standings,
        records: &records,
        people: &people,
        told: &told,
        regressions: &regressions,
    };
    for (contact, pieces) in news.by_contact() {
        let writer = Writer { cycle, options, standings: &standings, people: &people };
        let first = !told.iter().any(|known| known.contact == contact.key);
        let letter = writer.letter(&contact, &pieces, first)?;
        handle.block_on(store.put_letter(&letter))?;
    }
    files += deliver(handle, store, &options.outbox)?;
    Ok(files)
}

/// Writes the files of letters that have none yet.
fn deliver(handle: &Handle, store: &Store, outbox: &Path) -> Result<usize, Error> {
    let waiting = handle.block_on(store.unwritten_letters())?;
    if waiting.is_empty() {
        return Ok(0);
    }
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Site { path, source }
    };
    std::fs::create_dir_all(outbox).map_err(failed(outbox))?;
    for (id, message) in &waiting {
        let path = outbox.join(id);
        let unfinished = outbox.join(format!(".{id}.new"));
        let written = std::fs::File::create(&unfinished).and_then(|mut file| {
            file.write_all(message)?;
            file.sync_all()
        });
        written.and_then(|()| std::fs::rename(&unfinished, &path)).map_err(failed(&path))?;
        handle.block_on(store.letter_is_written(id))?;
    }
    Ok(waiting.len())
}

/// Somebody to be told: a person with an address, or a project without one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Contact {
    /// What the store knows it by: a digest of the address, or of the project.
    pub key: String,
    /// The address, and the name that goes with it; none for a project's tracker.
    pub address: Option<String>,
    pub name: String,
    /// The project whose tracker it is, where there is no address.
    pub project: Option<ProjectName>,
}

impl Contact {
    fn of(person: Person) -> Option<Contact> {
        let address = person.address?;
        let key = Sha256::of_parts(["address", &address.to_ascii_lowercase()]).short();
        Some(Contact { key, address: Some(address), name: person.name, project: None })
    }

    fn tracker(project: &ProjectName) -> Contact {
        let key = Sha256::of_parts(["project", project.as_str()]).short();
        Contact { key, address: None, name: String::new(), project: Some(project.clone()) }
    }

    /// Whom news of this project goes to; nobody where its maintainers wish for none.
    pub(crate) fn all_of(project: &ProjectName, people: Option<&People>) -> Vec<Contact> {
        if notify(people) == Some(Notify::Never) {
            return Vec::new();
        }
        let reachable: Vec<Contact> =
            people.map(recipients).unwrap_or_default().into_iter().filter_map(Contact::of).collect();
        if reachable.is_empty() { vec![Contact::tracker(project)] } else { reachable }
    }
}

/// Of what the maintainers of a project wish to hear.
fn notify(people: Option<&People>) -> Option<Notify> {
    people?.wishes.as_ref()?.notify
}

struct Writer<'a> {
    cycle: &'a Cycle,
    options: &'a LetterOptions,
    standings: &'a [Standing],
    people: &'a BTreeMap<ProjectName, People>,
}

impl Writer<'_> {
    fn letter(&self, contact: &Contact, pieces: &[Piece<'_>], first: bool) -> Result<StoredLetter, Error> {
        let items: Vec<Item<'_>> = pieces.iter().map(|piece| piece.item.clone()).collect();
        let shown: BTreeSet<&ProjectName> =
            items.iter().flat_map(|item| [item.project, item.failing.0]).collect();
        let standings: Vec<&Standing> = self
            .standings
            .iter()
            .filter(|standing| shown.contains(&standing.cell.project))
            .take(2000)
            .collect();
        let address =
            self.options.address.as_ref().map(|address| format!("{}/", address.trim_end_matches('/')));
        let written = letter::letter(&Letter {
            name: &contact.name,
            first,
            items: &items,
            standings: &standings,
            address: address.as_deref(),
        })?;
        let told: Vec<Told> = pieces.iter().flat_map(|piece| piece.told(&contact.key)).collect();
        let parts: Vec<String> = told.iter().map(|told| format!("{:?} {}", told.cell, told.what)).collect();
        let digest = Sha256::of_parts(parts.iter().map(String::as_str)).short();
        let name = format!("{:05}-{}-{}", self.cycle.number, contact.key, &digest[..6]);
        let (id, message) = match (&contact.address, &contact.project) {
            (Some(to), _) => (format!("{name}.eml"), self.message(&name, contact, to, &written)?),
            (None, Some(project)) => {
                let people = self.people.get(project);
                let tracker = people.and_then(tracker);
                let roles = people.map(|people| people.roles.as_slice()).unwrap_or_default();
                let text = letter::issue(project, tracker.as_deref(), roles, &written);
                (format!("{name}.md"), text.into_bytes())
            }
            (None, None) => (format!("{name}.md"), written.text.clone().into_bytes()),
        };
        Ok(StoredLetter { id, cycle: self.cycle.number, contact: contact.key.clone(), message, told })
    }

    /// The letter as a message (RFC 5322), text and HTML.
    fn message(&self, id: &str, contact: &Contact, to: &str, written: &Written) -> Result<Vec<u8>, Error> {
        let from = self.options.from.as_str();
        let domain = from.split_once('@').map_or("wheeltapper.invalid", |(_, domain)| domain);
        let ended = self.cycle.ended.as_deref().unwrap_or(&self.cycle.started);
        let date = ended.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_second);
        let mut unsubscribe = format!("<mailto:{from}?subject=unsubscribe%20{}>", contact.key);
        let web = self.options.address.as_deref().filter(|address| address.starts_with("https://"));
        if let Some(address) = web {
            unsubscribe =
                format!("<{}/unsubscribe/{}>, {unsubscribe}", address.trim_end_matches('/'), contact.key);
        }
        let mut message = MessageBuilder::new()
            .from(("Wheeltapper", from))
            .message_id(MessageId::new(format!("{id}@{domain}")))
            .date(date)
            .subject(written.subject.as_str())
            .header("List-Id", Raw::new(format!("<results.{domain}>")))
            .header("List-Unsubscribe", Raw::new(unsubscribe))
            .header("Auto-Submitted", Raw::new("auto-generated"))
            .header("X-Unsent", Raw::new("1"))
            .text_body(written.text.as_str())
            .html_body(written.html.as_str());
        message =
            if contact.name.is_empty() { message.to(to) } else { message.to((contact.name.as_str(), to)) };
        if web.is_some() {
            // RFC 8058; whoever sends this letter answers there.
            message = message.header("List-Unsubscribe-Post", Raw::new("List-Unsubscribe=One-Click"));
        }
        message.write_to_vec().map_err(|source| Error::Site { path: self.options.outbox.join(id), source })
    }
}

/// Where a project wants its issues: where its maintainers wish, else the link whose label says so (the well-known labels of
/// project URLs), else none.
fn tracker(people: &People) -> Option<String> {
    const LABELS: [&str; 8] =
        ["issues", "bugs", "issue", "bug", "tracker", "issuetracker", "bugtracker", "bugreports"];
    let normal = |label: &str| -> String {
        label.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
    };
    let sound = |address: &&str| {
        let known = ["https://", "http://"].iter().any(|scheme| address.starts_with(scheme));
        known
            && address.len() <= 500
            && address.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"'`\\".contains(&byte))
    };
    let wished = people.wishes.as_ref().and_then(|wishes| wishes.url.as_deref());
    let links = people.links.iter().filter(|(label, _)| LABELS.contains(&normal(label).as_str()));
    wished.into_iter().chain(links.map(|(_, address)| address.as_str())).find(sound).map(str::to_owned)
}

#[cfg(test)]
mod tests;
