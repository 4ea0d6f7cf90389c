//! Zstandard (RFC 8878): one frame or several.

use std::io;

use ::zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::{Corrupt, Decode};

/// The largest window, 8 MiB, as a power of two: RFC 9659 limits this content coding to it.
const WINDOW_LOG: u32 = 23;

pub(super) struct Zstd {
    decoder: Decoder<'static>,
    in_frame: bool,
}

impl Zstd {
    pub(super) fn new() -> io::Result<Self> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG))?;
        Ok(Zstd {
            decoder,
            in_frame: false,
        })
    }
}

impl Decode for Zstd {
    fn decode(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Corrupt> {
        let report = |error: io::Error| error.to_string();
        // Never pass input and output space at once: with an error, the decoder doesn't report how
        // much it has written. Without output space it stops after each block, and a flush ends a
        // block.
        loop {
            if self.in_frame {
                let written = out.len();
                let mut room = OutBuffer::around_pos(out, written);
                let hint = self.decoder.run(&mut InBuffer::around(&[]), &mut room);
                self.in_frame = hint.map_err(report)? != 0;
                if out.len() == out.capacity() {
                    return Ok(());
                }
            }
            if input.is_empty() {
                return Ok(());
            }
            let mut source = InBuffer::around(input);
            let mut no_room = OutBuffer::around(&mut [][..]);
            let hint = self.decoder.run(&mut source, &mut no_room);
            *input = &input[source.pos()..];
            self.in_frame = hint.map_err(report)? != 0;
        }
    }

    fn is_complete(&self) -> bool {
        !self.in_frame
    }
}
