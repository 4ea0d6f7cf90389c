//! Decoders and clients, ours and others, measured; the pages in `docs/bench` say what came out.

pub mod callgrind;
pub mod chart;
pub mod client;
pub mod decode;
pub mod idle;
pub mod page;
pub mod spread;
pub mod sys;
pub mod targets;
pub mod tls;

/// Whatever goes wrong ends the measurement.
pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How many, and 1 at least: of nothing there is no median.
fn count<T: std::str::FromStr + Default + PartialEq>(text: &str) -> Result<T, &'static str> {
    match text.parse() {
        Ok(number) if number != T::default() => Ok(number),
        _ => Err("it must be a whole number from 1 on"),
    }
}
