//! A bar chart as SVG. `xtask` includes this file, for the chart of the Python clients.

const WIDTH: f64 = 760.0;
const LABEL: f64 = 250.0;
const ROW: f64 = 26.0;
const TOP: f64 = 40.0;

/// Readable on a light and on a dark background.
const STYLE: &str = "\
.ground { fill: #fff } text { fill: #222 } .ours { fill: #2166ac } .others { fill: #999 }
@media (prefers-color-scheme: dark) {
.ground { fill: #16181c } text { fill: #ccc } .ours { fill: #5aa2e0 } .others { fill: #777 } }";

/// One bar for each row, ours in another color. Names and title are not escaped.
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

/// A number with three significant digits.
pub fn short(value: f64) -> String {
    match value.abs() {
        it if it >= 100.0 => thousands(value),
        it if it >= 10.0 => format!("{value:.1}"),
        it if it >= 1.0 || it == 0.0 => format!("{value:.2}"),
        it if it >= 0.001 => format!("{value:.3}"),
        _ => "<0.001".into(),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_a_bar_with_its_name_and_its_value() {
        let rows = [
            ("everstream".to_owned(), 2000.0),
            ("other".to_owned(), 500.0),
        ];
        let chart = bars("events per second", &rows);
        assert!(
            chart.contains("<title>events per second</title>"),
            "{chart}"
        );
        let (ours, other) = chart.split_once(">other</text>").unwrap();
        assert!(
            ours.contains("class=\"ours\" x=\"250\" y=\"42\" width=\"430.0\""),
            "{ours}"
        );
        assert!(ours.contains(">2,000</text>"), "{ours}");
        assert!(
            other.contains("class=\"others\" x=\"250\" y=\"68\" width=\"107.5\""),
            "{other}"
        );
        assert!(other.contains(">500</text>"), "{other}");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(short(1_234_567.8), "1,234,568");
        assert_eq!(short(123.4), "123");
        assert_eq!(short(12.34), "12.3");
        assert_eq!(short(1.234), "1.23");
        assert_eq!(short(0.1234), "0.123");
        assert_eq!(short(0.0), "0.00");
        assert_eq!(short(0.0001), "<0.001");
    }
}
