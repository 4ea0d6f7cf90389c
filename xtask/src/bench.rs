//! `cargo xtask bench SUITE`: measures, and writes the pages in `docs/bench`.

use crate::{python, sh};

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    match args.split_first() {
        Some((suite, rest)) if suite == "python" => sh::run(&mut python::benchmark(rest)?),
        _ => Err(sh::UsageError(
            "bench takes what to measure: python [--events N] [--rounds N]".into(),
        )
        .into()),
    }
}
