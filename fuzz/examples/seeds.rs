//! Writes the seeds to `corpus/`.

use std::path::Path;
use std::{fs, io};

fn main() -> io::Result<()> {
    for (target, _) in everstream_fuzz::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(target);
        fs::create_dir_all(&folder)?;
        for (number, seed) in everstream_fuzz::seeds(target).iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:03}")), seed)?;
        }
    }
    Ok(())
}
