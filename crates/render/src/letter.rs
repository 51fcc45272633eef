//! A letter to one who is concerned with projects: its subject, its text, its HTML. Whom it is to, and whether it is due,
//! is the coordinator's. Every word of it may come from a stranger: one line each, control characters shown, markup escaped.

use std::collections::BTreeSet;

use minijinja::{Environment as Templates, UndefinedBehavior, Value, context, syntax::SyntaxConfig};
use wheeltapper_core::{
    ProjectName, Record,
    cycle::{Standing, State},
};

use crate::{
    Error,
    groups::blamed,
    project_path, repro_line, short_word,
    site::template_fault,
    text::{one_line, pad},
};

/// Items of a letter that are told in full.
const ITEMS: usize = 40;
/// Decisive lines of an item.
const LINES: usize = 6;

/// What one letter tells.
#[derive(Debug, Clone, Copy)]
pub struct Letter<'a> {
    /// Whom it is to; empty when no name is known.
    pub name: &'a str,
    /// True for the first letter to this person.
    pub first: bool,
    /// What there is to tell, in order.
    pub items: &'a [Item<'a>],
    /// Where all cells of the projects stand.
    pub standings: &'a [&'a Standing],
    /// The site's public address, ending in `/`.
    pub address: Option<&'a str>,
}

/// One piece of news: cells of one project that came out alike.
#[derive(Debug, Clone)]
pub struct Item<'a> {
    /// The project that it is told of: the blamed one.
    pub project: &'a ProjectName,
    /// The cells' project and release; another than `project` when a dependency is to blame.
    pub failing: (&'a ProjectName, &'a str),
    /// Whether it was mended.
    pub fixed: bool,
    /// The cells' standings.
    pub cells: Vec<&'a Standing>,
    /// The record of the first of them.
    pub record: &'a Record,
    /// Further projects that the same failure holds up.
    pub dependants: Vec<&'a ProjectName>,
}

/// A letter's parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// HTML.
    pub html: String,
}

/// Writes a letter.
///
/// # Errors
/// [`Error::Template`], a bug.
pub fn letter(letter: &Letter<'_>) -> Result<Written, Error> {
    let mut templates = Templates::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    templates.set_syntax(syntax.map_err(|source| template_fault("syntax", source))?);
    for (name, source) in [
        ("letter.txt", include_str!("../templates/mail/letter.txt")),
        ("letter.html", include_str!("../templates/mail/letter.html")),
    ] {
        templates.add_template(name, source).map_err(|source| template_fault(name, source))?;
    }
    let subject = subject(letter);
    let view = view(letter, &subject);
    let render = |name: &str| {
        let rendered =
            templates.get_template(name).and_then(|template| template.render(context! { view => &view }));
        rendered.map_err(|source| template_fault(name, source))
    };
    Ok(Written { text: render("letter.txt")?, html: render("letter.html")?, subject })
}

fn subject(letter: &Letter<'_>) -> String {
    let failing: BTreeSet<&ProjectName> =
        letter.items.iter().filter(|item| !item.fixed).map(|item| item.project).collect();
    let fixed: BTreeSet<&ProjectName> =
        letter.items.iter().filter(|item| item.fixed).map(|item| item.project).collect();
    let named = |projects: &BTreeSet<&ProjectName>| match projects.len() {
        1 => projects.first().map(ToString::to_string).unwrap_or_default(),
        count => format!("{count} projects"),
    };
    let verb = |count: usize, one: &'static str, many: &'static str| if count == 1 { one } else { many };
    let words = match (failing.len(), fixed.len()) {
        (0, count) => format!("{} {} fixed", named(&fixed), verb(count, "is", "are")),
        (count, 0) => format!("{} {} here", named(&failing), verb(count, "fails", "fail")),
        (_, _) => format!("{} failing, {} fixed", named(&failing), named(&fixed)),
    };
    one_line(&format!("Wheeltapper: {words}"), 120)
}

fn view(letter: &Letter<'_>, subject: &str) -> Value {
    let items: Vec<Value> =
        letter.items.iter().take(ITEMS).map(|item| item_view(item, letter.address)).collect();
    let environments: BTreeSet<&str> =
        letter.standings.iter().map(|standing| standing.cell.environment.as_str()).collect();
    let projects: BTreeSet<&ProjectName> =
        letter.standings.iter().map(|standing| &standing.cell.project).collect();
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    for project in projects {
        let cells = environments.iter().map(|environment| {
            let here = letter
                .standings
                .iter()
                .filter(|one| one.cell.project == *project && one.cell.environment == *environment);
            let words: Vec<String> = here.map(|standing| word(standing)).collect();
            if words.is_empty() { "·".to_owned() } else { words.join(" ") }
        });
        rows.push((project.to_string(), cells.collect()));
    }
    let environments: Vec<String> = environments.into_iter().map(|name| one_line(name, 40)).collect();
    let greeting = match letter.name {
        "" => "Hello,".to_owned(),
        name => format!("Hello {},", one_line(name, 80)),
    };
    let lead = if letter.first {
        "Wheeltapper builds, installs, imports and tests releases of the Python Package Index, again and again. This is the \
         first letter to you: it tells what fails of your projects today, each seen in two runs. Later ones tell changes only."
    } else {
        "Of your projects this has changed. Each failure was seen in two runs."
    };
    let foot = match letter.address {
        Some(address) => format!(
            "All results: {address} · This letter was written by a program. Answer it to have no more of them, or to say where it is wrong."
        ),
        None => "This letter was written by a program. Answer it to have no more of them, or to say where it is wrong.".to_owned(),
    };
    context! {
        subject, greeting, lead, foot,
        matrix => text_matrix(&environments, &rows),
        rows => rows.iter().map(|(project, cells)| context! { project, cells }).collect::<Vec<_>>(),
        environments, items,
        more => letter.items.len().saturating_sub(ITEMS),
    }
}

/// A cell in a word, with a sign that tells it without colour.
fn word(standing: &Standing) -> String {
    let Some(result) = &standing.result else { return "·".to_owned() };
    match standing.state {
        State::Flaky => "~ flaky".to_owned(),
        _ => format!("{} {}", result.outcome.sign(), short_word(result.outcome)),
    }
}

fn text_matrix(environments: &[String], rows: &[(String, Vec<String>)]) -> String {
    let first = rows.iter().map(|(project, _)| project.len()).max().unwrap_or_default().clamp(8, 40);
    let mut lines = vec![format!("{}  {}", pad("", first), environments.join("  "))];
    for (project, cells) in rows {
        let cells: Vec<String> =
            cells.iter().zip(environments).map(|(cell, name)| pad(cell, name.chars().count())).collect();
        lines.push(format!("{}  {}", pad(project, first), cells.join("  ")).trim_end().to_owned());
    }
    lines.join("\n")
}

fn item_view(item: &Item<'_>, address: Option<&str>) -> Value {
    let (project, version) = item.failing;
    let record = item.record;
    let cause = record.verdict.cause.as_ref();
    let what = if item.fixed { "no longer fails".to_owned() } else { format!("{}", record.verdict.outcome) };
    let heading = match item.fixed || item.project == project {
        true => format!("{project} {version}: {what}"),
        false => format!("{}: {project} {version} fails because of it ({what})", item.project),
    };
    let heading = one_line(&heading, 160);
    let places: BTreeSet<String> = item
        .cells
        .iter()
        .map(|cell| format!("{} ({})", one_line(&cell.cell.environment, 60), cell.cell.artifact))
        .collect();
    let since = item.cells.iter().filter_map(|cell| cell.since.as_ref()).min();
    let since = since.map(|(time, version)| {
        format!("{} UTC, version {}", time.chars().take(16).collect::<String>().replace('T', " "), version)
    });
    let cause = cause.filter(|_| !item.fixed);
    let lines: Vec<String> = cause
        .iter()
        .flat_map(|cause| &cause.evidence)
        .take(LINES)
        .map(|line| one_line(&line.text, 200))
        .collect();
    let fix = record.evidence.fix.as_ref().filter(|fix| fix.verified && !item.fixed);
    let mut dependants: Vec<&str> = item.dependants.iter().take(30).map(|project| project.as_str()).collect();
    let more = item.dependants.len().saturating_sub(dependants.len());
    let further = format!("and {more} more");
    if more > 0 {
        dependants.push(&further);
    }
    context! {
        rule => "-".repeat(heading.chars().count().min(72)),
        heading,
        places => places.into_iter().collect::<Vec<_>>().join(", "),
        since => since.map(|since| one_line(&since, 80)).filter(|_| !item.fixed),
        cause => cause.map(|cause| one_line(&format!("{} ({})", cause.title, cause.id), 200)),
        detail => cause.map(|cause| one_line(&cause.detail, 400)),
        blame => cause.map(|cause| one_line(&format!(
            "{}, {} confidence", blamed(cause.blame.as_str(), cause.dependency.as_ref()), cause.confidence), 160)),
        dependants => dependants.join(", "),
        lines,
        fix => fix.map(|fix| one_line(&fix.to_string(), 300)),
        repro => (!item.fixed).then(|| one_line(&repro_line(record), 300)),
        link => address.map(|address| format!("{address}{}", project_path(project))),
    }
}

/// A letter as the text of an issue, for a project whose people have no address: where to, who there has a role on the
/// index, and what to write.
pub fn issue(
    project: &ProjectName,
    tracker: Option<&str>,
    roles: &[(String, String)],
    written: &Written,
) -> String {
    let tracker = match tracker {
        Some(address) => format!("<{}>", one_line(address, 300).replace(['<', '>'], "")),
        None => "no tracker is named by its metadata".to_owned(),
    };
    let shown = roles.iter().take(20).map(|(role, user)| one_line(&format!("{user} ({role})"), 80));
    let people: Vec<String> = shown.collect();
    let index =
        if people.is_empty() { String::new() } else { format!("On the index: {}\n", people.join(", ")) };
    // A fence longer than any in the text cannot be closed by it.
    let longest = written.text.split(|character| character != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    format!(
        "To: the issue tracker of {project}, {tracker}\n{index}Title: {}\n\n{fence}text\n{}\n{fence}\n",
        written.subject, written.text
    )
}
