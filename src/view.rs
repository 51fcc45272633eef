//! What people see while the program works: one place that writes to standard error, and the live view of a run.

use std::{
    io::{IsTerminal as _, Write as _},
    sync::mpsc,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use wheeltapper_coordinator::Event;
use wheeltapper_core::Record;
use wheeltapper_render::visible;

use crate::{args::Format, exit::Failure};

/// True when standard output is a terminal that takes colour, and NO_COLOR is not set.
pub fn colour_on_stdout() -> bool {
    std::io::stdout().is_terminal() && colour_wanted()
}

fn colour_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|value| value != "dumb")
}

/// The width of the terminal in columns, or 100 where there is none.
pub fn width() -> usize {
    terminal_size::terminal_size().map_or(100, |(width, _)| usize::from(width.0))
}

/// Prints an error with its way out.
pub fn failure(failure: &Failure) {
    let mut err = std::io::stderr().lock();
    let _ = writeln!(err, "error: {}", visible(&failure.to_string()));
    if let Some(hint) = &failure.hint {
        let _ = writeln!(err, " hint: {}", visible(hint));
    }
}

/// Prints a remark that is no error.
pub fn remark(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", visible(text));
}

/// Follows a cycle until it ends. Its records are many, and in the store.
pub fn watch(events: &mpsc::Receiver<Event>, jobs: usize) {
    let mut view: Box<dyn View> =
        if std::io::stderr().is_terminal() { Box::new(Live::new(jobs)) } else { Box::new(Plain::default()) };
    loop {
        match events.recv_timeout(Duration::from_millis(500)) {
            Ok(Event::Ended) | Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Ok(event) => view.event(&event),
            Err(mpsc::RecvTimeoutError::Timeout) => view.tick(),
        }
    }
    view.end();
}

/// Follows a run until its events end; returns the records in the order in which they settled.
pub fn follow(events: mpsc::Receiver<Event>, format: Format, jobs: usize) -> Vec<Record> {
    // Records on the same terminal would run into the live lines.
    let apart = format != Format::Json || !std::io::stdout().is_terminal();
    let mut view: Box<dyn View> = if std::io::stderr().is_terminal() && apart {
        Box::new(Live::new(jobs))
    } else {
        Box::new(Plain::default())
    };
    let mut records = Vec::new();
    loop {
        match events.recv_timeout(Duration::from_millis(500)) {
            Ok(event) => {
                view.event(&event);
                if let Event::Settled(_, record) = event {
                    if format == Format::Json {
                        print_record(&record);
                    }
                    records.push(*record);
                }
            }
            Err(mpsc::RecvTimeoutError::Timeout) => view.tick(),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    view.end();
    records
}

/// One record, one line, at once.
pub fn print_record(record: &Record) {
    let mut out = std::io::stdout().lock();
    if serde_json::to_writer(&mut out, record).is_ok() {
        let _ = writeln!(out);
        let _ = out.flush();
    }
}

trait View {
    fn event(&mut self, event: &Event);
    fn tick(&mut self);
    fn end(&mut self);
}

/// How far the work has come, and what that says of its end.
struct Progress {
    wanted: usize,
    settled: usize,
    reused: usize,
    /// Of a cycle: projects decided about, and projects left to decide about.
    decided: usize,
    undecided: usize,
    due: usize,
    began: Instant,
    /// When the last cell settled.
    last: Instant,
}

impl Default for Progress {
    fn default() -> Self {
        let began = Instant::now();
        Progress { wanted: 0, settled: 0, reused: 0, decided: 0, undecided: 0, due: 0, began, last: began }
    }
}

impl Progress {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Planned(count) => self.wanted = *count,
            Event::Added => self.wanted += 1,
            Event::Decided { due, projects, left, .. } => {
                self.wanted += due;
                self.due += due;
                self.decided += projects;
                self.undecided = *left;
            }
            Event::Settled(slot, _) => {
                self.settled += 1;
                self.reused += usize::from(slot.is_none());
                self.last = Instant::now();
            }
            Event::Started(..) | Event::Phase(..) | Event::Lost(..) | Event::Ended => {}
        }
    }

    /// From what the cells that were run have taken so far, and from how many of the projects decided about so far were
    /// due. Nothing is claimed before `least` cells have settled.
    fn estimate(&self, least: usize) -> String {
        let ran = self.settled - self.reused;
        let expected = match self.decided {
            0 => 0.0,
            decided => self.undecided as f64 * self.due as f64 / decided as f64,
        };
        let left = self.wanted.saturating_sub(self.settled) as f64 + expected;
        if left < 0.5 && self.undecided == 0 {
            return "done".to_owned();
        }
        if ran < least {
            return "no estimate yet".to_owned();
        }
        let each = self.began.elapsed().as_secs_f64() / ran as f64;
        // What runs now has taken longer than all that is left was to take: the past says nothing of it.
        if self.last.elapsed().as_secs_f64() > each * left.max(3.0) {
            return format!("{left:.0} cells left, which take longer than the others did; no estimate");
        }
        let seconds = each * left;
        if seconds < 90.0 {
            format!("about {seconds:.0} s left")
        } else if seconds < 5400.0 {
            format!("about {:.0} min left", seconds / 60.0)
        } else {
            format!("about {:.1} h left", seconds / 3600.0)
        }
    }
}

/// Lines, for logs and pipes.
#[derive(Default)]
struct Plain {
    progress: Progress,
    said: Option<Instant>,
}

impl View for Plain {
    fn event(&mut self, event: &Event) {
        self.progress.event(event);
        match event {
            Event::Settled(_, record) => {
                let Progress { settled, wanted, .. } = self.progress;
                remark(&format!("[{settled}/{wanted}] {}", settled_line(record)));
            }
            Event::Lost(_, text) => remark(&format!("farm: {text}")),
            Event::Planned(_)
            | Event::Added
            | Event::Decided { .. }
            | Event::Started(..)
            | Event::Phase(..)
            | Event::Ended => {}
        }
    }

    fn tick(&mut self) {
        const NOW_AND_THEN: Duration = Duration::from_secs(60);
        // A run says enough by its cells; a cycle is long.
        if self.progress.decided > 0 && self.said.is_none_or(|said| said.elapsed() >= NOW_AND_THEN) {
            let Progress { decided, undecided, .. } = self.progress;
            let all = decided + undecided;
            remark(&format!("{decided} of {all} projects decided about; {}", self.progress.estimate(3)));
            self.said = Some(Instant::now());
        }
    }

    fn end(&mut self) {}
}

fn settled_line(record: &Record) -> String {
    let evidence = &record.evidence;
    let detail = match (&record.verdict.cause, record.verdict.reason) {
        (Some(cause), _) => format!(" ({})", cause.id),
        (None, Some(reason)) => format!(" ({reason})"),
        (None, None) => String::new(),
    };
    let time =
        if record.reused_from.is_some() { "reused".to_owned() } else { format!("{:.1} s", record.wall_s) };
    format!(
        "{} {}{detail} · {} {} · {} · {} · {time}",
        record.verdict.outcome.sign(),
        record.verdict.outcome,
        evidence.project,
        evidence.version,
        evidence.environment.name,
        evidence.artifact,
    )
}

/// One line a slot with phase and seconds, and an overall bar.
struct Live {
    bars: MultiProgress,
    overall: ProgressBar,
    slots: Vec<Slot>,
    progress: Progress,
    jobs: usize,
}

struct Slot {
    bar: ProgressBar,
    shown: String,
    phase: Option<(wheeltapper_core::Phase, Instant)>,
}

impl Live {
    fn new(jobs: usize) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let line =
            ProgressStyle::with_template("  {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        let slots = (0..jobs)
            .map(|_| {
                let bar = bars.add(ProgressBar::new_spinner().with_style(line.clone()));
                bar.set_message("idle");
                Slot { bar, shown: String::new(), phase: None }
            })
            .collect();
        let style = ProgressStyle::with_template("  {bar:32} {pos}/{len} · {wide_msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("━╸─");
        let overall = bars.add(ProgressBar::new(0).with_style(style));
        Live { bars, overall, slots, progress: Progress::default(), jobs }
    }

    fn estimate(&self) -> String {
        self.progress.estimate(self.jobs.min(3))
    }

    fn draw(&self, slot: usize) {
        let Some(Slot { bar, shown, phase }) = self.slots.get(slot) else { return };
        match phase {
            Some((phase, since)) => {
                bar.set_message(format!("{phase:<9} {:>4} s  {shown}", since.elapsed().as_secs()))
            }
            None => bar.set_message(shown.clone()),
        }
    }

    fn free(&mut self, slot: Option<usize>) {
        if let Some(slot) = slot.and_then(|slot| self.slots.get_mut(slot)) {
            slot.phase = None;
            slot.shown.clear();
            slot.bar.set_message("idle");
        }
    }
}

impl View for Live {
    fn event(&mut self, event: &Event) {
        self.progress.event(event);
        match event {
            Event::Planned(_) | Event::Added | Event::Decided { .. } => {
                self.overall.set_length(self.progress.wanted as u64);
            }
            Event::Ended => {}
            Event::Started(slot, shown) => {
                if let Some(slot) = self.slots.get_mut(*slot) {
                    shown.clone_into(&mut slot.shown);
                }
                self.draw(*slot);
            }
            Event::Phase(slot, phase) => {
                if let Some(slot) = self.slots.get_mut(*slot) {
                    slot.phase = Some((*phase, Instant::now()));
                }
                self.draw(*slot);
            }
            Event::Settled(slot, record) => {
                let _ = self.bars.println(format!("  {}", visible(&settled_line(record))));
                self.free(*slot);
                self.overall.set_position(self.progress.settled as u64);
                self.overall.set_message(self.estimate());
            }
            Event::Lost(slot, text) => {
                let _ = self.bars.println(format!("  ! {}", visible(text)));
                self.free(*slot);
            }
        }
    }

    fn tick(&mut self) {
        for slot in 0..self.slots.len() {
            if self.slots[slot].phase.is_some() {
                self.draw(slot);
            }
        }
        self.overall.set_message(self.estimate());
    }

    fn end(&mut self) {
        let _ = self.bars.clear();
    }
}
