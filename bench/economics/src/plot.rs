//! Plots as SVG, without fonts or libraries: text is left to who shows them.

use crate::sweep::Line;
use std::fmt::Write;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 250.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 64.0;
/// Okabe and Ito's colours, which colour-blind people can tell apart.
const COLOURS: [&str; 8] = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999"];

/// A bar of a bar chart.
#[derive(Clone, PartialEq, Debug)]
pub struct Bar {
    /// What it stands for.
    pub name: String,
    /// Its length.
    pub value: f64,
    /// Whether it is what the others are held against.
    pub reference: bool,
}

/// A chart of lines, with a dashed one at `level`.
pub fn lines(title: &str, x: &str, y: &str, lines: &[Line], level: Option<f64>) -> String {
    let points = || lines.iter().flat_map(|line| line.points.iter().copied());
    let horizontal = Scale::over(points().map(|(x, _)| x), LEFT, WIDTH - RIGHT, false);
    let vertical = Scale::over(points().map(|(_, y)| y).chain(level).chain([0.0]), HEIGHT - BOTTOM, TOP, true);
    let mut svg = begin(title);
    axis(&mut svg, &horizontal, &vertical, x, y);
    if let Some(level) = level {
        let at = vertical.at(level);
        element(
            &mut svg,
            format_args!(
                "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\" stroke=\"#444\" stroke-dasharray=\"6 4\"/>",
                WIDTH - RIGHT
            ),
        );
    }
    for (index, line) in lines.iter().enumerate() {
        let colour = colour(index);
        // The colours begin again, dashed.
        let dash = if index < COLOURS.len() { "" } else { " stroke-dasharray=\"8 4\"" };
        let mut path = String::new();
        for (x, y) in &line.points {
            let _ = write!(path, "{:.1},{:.1} ", horizontal.at(*x), vertical.at(*y));
        }
        element(
            &mut svg,
            format_args!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.5\"{dash}/>",
                path.trim_end()
            ),
        );
        let (left, at) = (WIDTH - RIGHT + 16.0, TOP + 12.0 + 22.0 * index as f64);
        element(
            &mut svg,
            format_args!(
                "<line x1=\"{left}\" y1=\"{at}\" x2=\"{}\" y2=\"{at}\" stroke=\"{colour}\" stroke-width=\"2.5\"{dash}/>",
                left + 22.0
            ),
        );
        text(&mut svg, left + 30.0, at + 4.0, "start", &line.name);
    }
    end(svg)
}

/// A chart of horizontal bars.
pub fn bars(title: &str, x: &str, bars: &[Bar]) -> String {
    let (left, right, step) = (330.0, WIDTH - 90.0, 24.0);
    let height = TOP + step * bars.len() as f64 + BOTTOM;
    let scale = Scale::over(bars.iter().map(|bar| bar.value).chain([0.0]), left, right, true);
    let mut svg = begin_with(title, height);
    let foot = height - BOTTOM;
    for tick in scale.ticks() {
        let at = scale.at(tick);
        element(
            &mut svg,
            format_args!("<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{foot}\" stroke=\"#ddd\"/>"),
        );
        text(&mut svg, at, foot + 18.0, "middle", &number(tick));
    }
    for (index, bar) in bars.iter().enumerate() {
        let top = TOP + step * index as f64 + 4.0;
        let (from, to) = (scale.at(0.0), scale.at(bar.value));
        let colour = if bar.reference { "#0072B2" } else { "#D55E00" };
        element(
            &mut svg,
            format_args!(
                "<rect x=\"{:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{}\" fill=\"{colour}\"/>",
                from.min(to),
                (to - from).abs(),
                step - 8.0
            ),
        );
        text(&mut svg, left - 10.0, top + 12.0, "end", &bar.name);
        text(&mut svg, from.max(to) + 6.0, top + 12.0, "start", &number(bar.value));
    }
    text(&mut svg, (left + right) / 2.0, height - 16.0, "middle", x);
    end(svg)
}

/// Maps values to places on the paper.
struct Scale {
    low: f64,
    high: f64,
    step: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// A scale that holds all values; `round` ends it at whole steps.
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64, round: bool) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let bounds = finite.fold(None, |bounds: Option<(f64, f64)>, value| {
            let (low, high) = bounds.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        });
        let (mut low, mut high) = bounds.unwrap_or((0.0, 1.0));
        if high - low < 1e-9 {
            high = low + 1.0;
        }
        let step = step(high - low);
        if round {
            low = (low / step).floor() * step;
            high = (high / step).ceil() * step;
        }
        Self { low, high, step, from, to }
    }

    fn at(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        let (first, step, high) = ((self.low / self.step).ceil(), self.step, self.high);
        (0..50).map(move |index| (first + f64::from(index)) * step).take_while(move |tick| *tick <= high + step * 1e-6)
    }
}

/// 1, 2 or 5 times a power of ten, so that four to ten steps make the span.
fn step(span: f64) -> f64 {
    let power = 10f64.powf((span / 10.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| span / step <= 10.0).unwrap_or(span)
}

fn axis(svg: &mut String, horizontal: &Scale, vertical: &Scale, x: &str, y: &str) {
    let (right, foot) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for tick in vertical.ticks() {
        let at = vertical.at(tick);
        element(
            svg,
            format_args!("<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>"),
        );
        text(svg, LEFT - 8.0, at + 4.0, "end", &number(tick));
    }
    for tick in horizontal.ticks() {
        let at = horizontal.at(tick);
        element(
            svg,
            format_args!("<line x1=\"{at:.1}\" y1=\"{foot}\" x2=\"{at:.1}\" y2=\"{}\" stroke=\"#444\"/>", foot + 5.0),
        );
        text(svg, at, foot + 20.0, "middle", &number(tick));
    }
    element(svg, format_args!("<line x1=\"{LEFT}\" y1=\"{foot}\" x2=\"{right}\" y2=\"{foot}\" stroke=\"#444\"/>"));
    text(svg, (LEFT + right) / 2.0, HEIGHT - 16.0, "middle", x);
    let middle = (TOP + foot) / 2.0;
    element(
        svg,
        format_args!(
            "<text x=\"20\" y=\"{middle}\" text-anchor=\"middle\" transform=\"rotate(-90 20 {middle})\">{}</text>",
            escape(y)
        ),
    );
}

fn begin(title: &str) -> String {
    begin_with(title, HEIGHT)
}

fn begin_with(title: &str, height: f64) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    element(&mut svg, format_args!("<text x=\"20\" y=\"28\" font-size=\"17\">{}</text>", escape(title)));
    svg
}

fn end(mut svg: String) -> String {
    svg.push_str("</svg>\n");
    svg
}

fn element(svg: &mut String, element: std::fmt::Arguments) {
    // Writing to a String cannot fail.
    let _ = writeln!(svg, "{element}");
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = escape(text);
    element(svg, format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"));
}

fn colour(index: usize) -> &'static str {
    COLOURS.iter().cycle().nth(index).copied().unwrap_or("#000000")
}

/// A number without needless digits.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if matches!(text, "-0" | "") { "0".to_owned() } else { text.to_owned() }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well_formed(svg: &str) {
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        let opened = svg.matches("<text").count();
        assert_eq!(opened, svg.matches("</text>").count());
    }

    #[test]
    fn charts_are_well_formed_whatever_is_in_them() {
        let line = |points: &[(f64, f64)]| Line { name: "a < b & c".into(), points: points.to_vec() };
        for points in [&[][..], &[(1.0, 1.0)], &[(0.0, -5.0), (10.0, 120.0)], &[(0.0, f64::NAN), (1.0, 1.0)]] {
            let svg = lines(
                "t",
                "x",
                "y",
                &[line(&points.iter().copied().filter(|p| p.1.is_finite()).collect::<Vec<_>>())],
                Some(100.0),
            );
            well_formed(&svg);
            assert!(svg.contains("a &lt; b &amp; c"));
        }
        well_formed(&bars("t", "x", &[]));
        let bar = |value| Bar { name: "n".into(), value, reference: value > 0.0 };
        well_formed(&bars("t", "x", &[bar(1.0), bar(-0.5), bar(0.0)]));
    }

    #[test]
    fn steps_are_round_numbers() {
        for (span, expected) in [(1.0, 0.1), (3.0, 0.5), (10.0, 1.0), (70.0, 10.0), (120.0, 20.0)] {
            assert!((step(span) - expected).abs() < 1e-9, "{span}: {}", step(span));
        }
    }

    #[test]
    fn a_scale_reaches_from_end_to_end() {
        let scale = Scale::over([3.0, 97.0].into_iter(), 0.0, 100.0, true);
        assert_eq!((scale.at(0.0), scale.at(100.0)), (0.0, 100.0));
        assert_eq!(scale.ticks().count(), 11);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.5, 10.0, -0.0001, 1.234_56].map(number), ["0.5", "10", "0", "1.235"]);
    }
}
