//! Trends over cycles as SVG. Colours are names for the style sheet, which gives each its shade in light and dark.

use minijinja::{Value, context};
use plotters::prelude::{
    ChartBuilder, Circle, Color as _, DrawingAreaErrorKind, IntoDrawingArea as _, LineSeries, RGBColor,
    SVGBackend,
};
use wheeltapper_core::cycle::{Cycle, CycleSummary, State};

use crate::Error;

/// Cycles that a chart shows at most.
const MOST: usize = 90;
/// As wide as a phone: letters in it keep their size there.
const SIZE: (u32, u32) = (480, 190);

/// A line: its name, its class in the legend, the colour that the style sheet knows it by.
struct Line {
    name: &'static str,
    class: &'static str,
    colour: RGBColor,
    value: fn(&CycleSummary) -> f64,
}

const FAILED: RGBColor = RGBColor(207, 74, 60);
const PASSED: RGBColor = RGBColor(63, 154, 92);
const OTHER: RGBColor = RGBColor(140, 105, 207);

/// The charts of these cycles, the newest first; none before two have ended.
pub(super) fn charts(cycles: &[Cycle]) -> Result<Vec<Value>, Error> {
    let mut ended: Vec<(i64, &CycleSummary)> =
        cycles.iter().filter_map(|cycle| Some((cycle.number, cycle.summary.as_ref()?))).take(MOST).collect();
    ended.reverse();
    if ended.len() < 2 {
        return Ok(Vec::new());
    }
    let failing = [
        Line { name: "failing", class: "failed", colour: FAILED, value: |summary| summary.failing() as f64 },
        Line {
            name: "newly failing",
            class: "farm",
            colour: OTHER,
            value: |summary| {
                (summary.count(State::NewlyFailing) + summary.count(State::FailingAtFirst)) as f64
            },
        },
        Line {
            name: "fixed",
            class: "passed",
            colour: PASSED,
            value: |summary| summary.count(State::Fixed) as f64,
        },
    ];
    let share = [Line {
        name: "share passed, in percent",
        class: "passed",
        colour: PASSED,
        value: |summary| summary.share_passed().unwrap_or_default() * 100.0,
    }];
    let mut charts = vec![chart("Cells that fail, by cycle", &ended, &failing, None)?];
    if ended.iter().any(|(_, summary)| summary.share_passed().is_some()) {
        charts.push(chart("Share of the judged cells that passed, by cycle", &ended, &share, Some(100.0))?);
    }
    Ok(charts)
}

fn chart(
    title: &str,
    cycles: &[(i64, &CycleSummary)],
    lines: &[Line],
    top: Option<f64>,
) -> Result<Value, Error> {
    let highest = cycles
        .iter()
        .flat_map(|(_, summary)| lines.iter().map(|line| (line.value)(summary)))
        .fold(4.0_f64, f64::max);
    let (first, last) = (cycles[0].0, cycles[cycles.len() - 1].0);
    let svg = draw(first, last, top.unwrap_or(highest * 1.1), cycles, lines)
        .map_err(|error| Error::Chart(error.to_string()))?;
    let told: Vec<String> = lines
        .iter()
        .map(|line| {
            let value = |index: usize| (line.value)(cycles[index].1).round();
            format!("{} went from {} to {}", line.name, value(0), value(cycles.len() - 1))
        })
        .collect();
    let alternative = format!("{title}, cycles {first} to {last}: {}", told.join("; "));
    let legend: Vec<Value> =
        lines.iter().map(|line| context! { name => line.name, class => line.class }).collect();
    Ok(context! { title, alternative, svg => Value::from_safe_string(svg), lines => legend })
}

fn draw(
    first: i64,
    last: i64,
    highest: f64,
    cycles: &[(i64, &CycleSummary)],
    lines: &[Line],
) -> Result<String, DrawingAreaErrorKind<std::io::Error>> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(10)
            .x_label_area_size(28)
            .y_label_area_size(48)
            .build_cartesian_2d(first as f64..last as f64, 0.0..highest)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .max_light_lines(0)
            .x_labels(cycles.len().min(12))
            .y_labels(5)
            .label_style(("sans-serif", 14))
            .x_label_formatter(&|cycle| {
                if (cycle - cycle.round()).abs() < 1e-6 { format!("{cycle:.0}") } else { String::new() }
            })
            .y_label_formatter(&|value| format!("{value:.0}"))
            .draw()?;
        for line in lines {
            let points = || cycles.iter().map(|(number, summary)| (*number as f64, (line.value)(summary)));
            chart.draw_series(LineSeries::new(points(), line.colour.stroke_width(2)))?;
            chart.draw_series(points().map(|point| Circle::new(point, 3, line.colour.filled())))?;
        }
        area.present()?;
    }
    Ok(svg)
}
