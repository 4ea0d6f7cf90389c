//! Compares our decoder and clients with others; the pages in `docs/bench` have the results.

pub mod callgrind;
pub mod chart;
pub mod client;
pub mod decode;
pub mod idle;
pub mod page;
pub mod process;
pub mod spread;
pub mod sys;
pub mod targets;
pub mod tls;

/// Any error ends the measurement.
pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A count of at least 1, because no samples have no median.
fn count<T: std::str::FromStr + Default + PartialEq>(text: &str) -> Result<T, &'static str> {
    match text.parse() {
        Ok(number) if number != T::default() => Ok(number),
        _ => Err("it must be a whole number of at least 1"),
    }
}
