//! The plot of a run: memory, descriptors and threads of the clients, and how often they reconnected.

use crate::report::Report;

const WIDTH: f64 = 900.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 36.0;
const TOP: f64 = 76.0;
const PANEL: f64 = 120.0;
const GAP: f64 = 44.0;
/// More points than this can't be distinguished.
const POINTS: usize = 600;

/// Readable on a light and on a dark background.
const STYLE: &str = "
  .ground { fill: #fff } text { fill: #333; font: 12px system-ui, sans-serif }
  .title { font-size: 15px } .grid { stroke: #ddd } .warm { fill: #888; fill-opacity: 0.1 }
  .line { fill: none; stroke-width: 1.5; stroke: #06c }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #16181c } text { fill: #ccc } .grid { stroke: #3a3d42 } .line { stroke: #6bf }
  }
";

struct Panel {
    name: &'static str,
    points: Vec<(f64, f64)>,
}

pub(crate) fn svg(report: &Report) -> String {
    let panel = |name, points: Vec<(f64, f64)>, join| Panel {
        name,
        points: thin(&points, join),
    };
    let panels = [
        panel(
            "resident memory (RSS), MiB",
            report.points(|it| it.rss as f64 / 1024.0),
            highest as fn(&[(f64, f64)]) -> f64,
        ),
        panel(
            "allocated (heap in use), MiB",
            report.points(|it| it.heap as f64 / 1024.0),
            highest,
        ),
        panel(
            "open file descriptors",
            report.points(|it| it.fds as f64),
            highest,
        ),
        panel("threads", report.points(|it| it.threads as f64), highest),
        panel(
            "reconnects per second",
            report.points(|it| it.reconnects_per_second),
            mean,
        ),
    ];
    let seconds = report.lasted.as_secs_f64().max(1.0);
    let height = TOP + panels.len() as f64 * (PANEL + GAP);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-label=\"Soak run\">\n\
         <style>{STYLE}</style>\n<rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n"
    );
    let counts = &report.counts;
    out.push_str(&format!(
        "<text class=\"title\" x=\"{LEFT}\" y=\"24\">{} streams, {:.1} minutes, {} events, {} streams started, \
         {} lost, {} duplicated</text>\n\
         <text x=\"{LEFT}\" y=\"42\">The process of the clients; shaded: warm-up</text>\n",
        report.streams,
        seconds / 60.0,
        counts.events,
        counts.starts,
        counts.lost,
        counts.duplicated
    ));
    for (index, panel) in panels.iter().enumerate() {
        let top = TOP + index as f64 * (PANEL + GAP);
        panel.draw(&mut out, top, seconds, index + 1 == panels.len());
    }
    out.push_str("</svg>\n");
    out
}

impl Panel {
    fn draw(&self, out: &mut String, top: f64, seconds: f64, last: bool) {
        let width = WIDTH - LEFT - RIGHT;
        let bottom = top + PANEL;
        let values = ticks(
            self.points.iter().map(|point| point.1).fold(0.0, f64::max),
            4.0,
        );
        let highest = values.last().copied().unwrap_or(1.0);
        let x = |at: f64| LEFT + at / seconds * width;
        let y = |value: f64| bottom - value / highest * PANEL;

        let warm = width / 4.0;
        out.push_str(&format!(
            "<rect class=\"warm\" x=\"{LEFT}\" y=\"{top}\" width=\"{warm:.1}\" height=\"{PANEL}\"/>\n\
             <text x=\"{LEFT}\" y=\"{:.1}\">{}</text>\n",
            top - 6.0,
            self.name
        ));
        for value in &values {
            let y = y(*value);
            out.push_str(&format!(
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\"/>\
                 <text text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{value}</text>\n",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0
            ));
        }
        let (unit, length) = if seconds < 180.0 {
            ("s", 1.0)
        } else {
            ("min", 60.0)
        };
        for time in ticks(seconds / length, 10.0) {
            if time * length > seconds {
                continue;
            }
            let label = if last {
                format!("{time} {unit}")
            } else {
                time.to_string()
            };
            out.push_str(&format!(
                "<text text-anchor=\"middle\" x=\"{:.1}\" y=\"{:.1}\">{label}</text>\n",
                x(time * length),
                bottom + 16.0
            ));
        }
        let points: Vec<String> = self
            .points
            .iter()
            .map(|(at, value)| format!("{:.1},{:.1}", x(*at), y(*value)))
            .collect();
        out.push_str(&format!(
            "<polyline class=\"line\" points=\"{}\"/>\n",
            points.join(" ")
        ));
    }
}

/// About `about` round numbers, from 0 to at least `end`.
fn ticks(end: f64, about: f64) -> Vec<f64> {
    let end = if end > 0.0 { end } else { 1.0 };
    let raw = end / about;
    let power = 10f64.powf(raw.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    let step = steps.into_iter().find(|step| *step >= raw).unwrap_or(raw);
    let number = (end / step).ceil() as u32;
    // 0.6, not 0.6000000000000001.
    let short = |tick: u32| {
        format!("{:.3}", f64::from(tick) * step)
            .parse()
            .unwrap_or_default()
    };
    (0..=number).map(short).collect()
}

fn thin(points: &[(f64, f64)], join: fn(&[(f64, f64)]) -> f64) -> Vec<(f64, f64)> {
    let size = points.len().div_ceil(POINTS).max(1);
    let thinned = points.chunks(size).map(|chunk| (chunk[0].0, join(chunk)));
    thinned.collect()
}

fn highest(points: &[(f64, f64)]) -> f64 {
    points.iter().map(|point| point.1).fold(f64::MIN, f64::max)
}

fn mean(points: &[(f64, f64)]) -> f64 {
    points.iter().map(|point| point.1).sum::<f64>() / points.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_the_end() {
        assert_eq!(ticks(20.0, 10.0).last(), Some(&20.0));
        assert_eq!(ticks(0.55, 4.0), [0.0, 0.2, 0.4, 0.6]);
        assert_eq!(ticks(0.0, 4.0).first(), Some(&0.0));
        assert!(
            ticks(2317.0, 4.0)
                .last()
                .is_some_and(|tick| *tick >= 2317.0)
        );
    }

    #[test]
    fn thinning_keeps_peaks() {
        let points: Vec<_> = (0..5_000)
            .map(|at| (f64::from(at), if at == 3_333 { 9.0 } else { 1.0 }))
            .collect();
        let thinned = thin(&points, highest);
        assert!(thinned.len() <= POINTS);
        assert_eq!(highest(&thinned), 9.0);
    }
}
