//! Replays all corpora, crashes and seeds, without the fuzzer.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use everstream_fuzz::TARGETS;

/// A corpus with fewer inputs has probably lost most of them.
const FEWEST: usize = 30;

/// The files of a folder, in order.
fn inputs(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn replay(target: &str) {
    let Some((_, run)) = TARGETS.into_iter().find(|(name, _)| *name == target) else {
        panic!("there is no target {target}");
    };
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = inputs(&package.join("corpus").join(target));
    assert!(
        corpus.len() >= FEWEST,
        "fuzz/corpus/{target} has {} inputs; expected at least {FEWEST}",
        corpus.len()
    );
    let [crashes, seeds] = ["crashes", "seeds"].map(|it| inputs(&package.join(it).join(target)));
    for path in corpus.iter().chain(&crashes).chain(&seeds) {
        let input = fs::read(path).unwrap();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(&input))) {
            eprintln!("\nThe failing input is {}.", path.display());
            resume_unwind(panic);
        }
    }
}

macro_rules! replayed {
    ($($name:ident: $target:literal)*) => {
        $(
            #[test]
            fn $name() {
                replay($target);
            }
        )*
    };
}

replayed! {
    the_decoder_agrees_with_the_standard_on_its_corpus: "decoder"
    no_cut_makes_a_difference_to_the_corpus: "chunking"
    what_the_corpus_encodes_comes_back: "encoder"
    no_script_of_the_corpus_breaks_a_rule_of_the_session: "session"
    every_head_of_the_corpus_is_read_alike_whole_and_cut: "http_head"
    every_body_of_the_corpus_is_decoded_alike_whole_and_cut: "http_body"
    no_script_of_the_corpus_breaks_a_promise_of_an_attempt: "http_exchange"
    every_response_of_the_corpus_ends_with_what_it_holds: "http_response"
}

/// A folder with another name would never be replayed.
#[test]
fn every_corpus_belongs_to_a_target() {
    for kind in ["corpus", "crashes", "seeds"] {
        for folder in inputs(&Path::new(env!("CARGO_MANIFEST_DIR")).join(kind)) {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            assert!(
                TARGETS.iter().any(|(target, _)| *target == name),
                "{kind}/{name} belongs to no target"
            );
        }
    }
}
