//! A bar chart as SVG, in the style of `python/bench/chart.py`.

use crate::page::short;

const WIDTH: f64 = 760.0;
const LABEL: f64 = 250.0;
const ROW: f64 = 26.0;
const TOP: f64 = 40.0;

/// Readable on light and on dark ground.
const STYLE: &str = "\
.ground { fill: #fff } text { fill: #222 } .ours { fill: #2166ac } .others { fill: #999 }
@media (prefers-color-scheme: dark) {
.ground { fill: #16181c } text { fill: #ccc } .ours { fill: #5aa2e0 } .others { fill: #777 } }";

/// One bar for each row, ours in another colour. Names and title need no escape.
pub fn bars(title: &str, rows: &[(String, f64)]) -> String {
    let height = TOP + ROW * rows.len() as f64 + 10.0;
    let most = rows
        .iter()
        .map(|row| row.1)
        .fold(f64::MIN_POSITIVE, f64::max);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n\
         <rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
         <text x=\"10\" y=\"24\" font-weight=\"bold\">{title}</text>\n"
    );
    for (number, (name, value)) in rows.iter().enumerate() {
        let y = TOP + ROW * number as f64;
        let width = (WIDTH - LABEL - 80.0) * value / most;
        let class = if name.starts_with("everstream") {
            "ours"
        } else {
            "others"
        };
        out.push_str(&format!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>\n\
             <rect class=\"{class}\" x=\"{LABEL}\" y=\"{}\" width=\"{width:.1}\" height=\"{}\"/>\n\
             <text x=\"{:.1}\" y=\"{}\">{}</text>\n",
            LABEL - 8.0,
            y + 15.0,
            y + 2.0,
            ROW - 8.0,
            LABEL + width + 6.0,
            y + 15.0,
            short(*value)
        ));
    }
    out + "</svg>\n"
}
