//! The files of a compiled program: writing what a page loads, and measuring it.

use std::io::Write as _;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use wasm_bindgen_cli_support::Bindgen;

use crate::Outcome;

/// Sizes in bytes.
pub struct Size {
    pub raw: usize,
    /// As servers compress it, with gzip.
    pub compressed: usize,
}

/// Writes `NAME.js` and `NAME_bg.wasm`, which pages load. `program`: the compiled file, without its ending.
pub fn bind(program: &Path, folder: &Path, name: &str) -> Outcome {
    let mut bindgen = Bindgen::new();
    bindgen.input_path(program.with_extension("wasm"));
    bindgen
        .web(true)?
        .typescript(false)
        .out_name(name)
        .omit_default_module_path(false);
    bindgen.remove_name_section(true);
    Ok(bindgen.generate(folder)?)
}

pub fn size(file: &Path) -> Outcome<Size> {
    let bytes = std::fs::read(file)?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&bytes)?;
    Ok(Size {
        raw: bytes.len(),
        compressed: gzip.finish()?.len(),
    })
}
