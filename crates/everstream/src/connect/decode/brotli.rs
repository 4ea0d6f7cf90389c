//! Brotli (RFC 7932).

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::{Corrupt, Decode, MAX_DECODED};

pub(super) struct Brotli {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    /// Receives the output, because the library writes only to initialized memory.
    buffer: Vec<u8>,
    began: bool,
    ended: bool,
}

impl Brotli {
    pub(super) fn new() -> Self {
        let alloc = StandardAlloc::default;
        Brotli {
            // Strict limits windows to 16 MiB: "br" excludes the extension to windows of 1 GiB.
            state: BrotliState::new_strict(alloc(), alloc(), alloc()),
            buffer: vec![0; MAX_DECODED],
            began: false,
            ended: false,
        }
    }
}

impl Decode for Brotli {
    fn decode(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Corrupt> {
        while !self.ended {
            self.began |= !input.is_empty();
            // One byte at a time: at an error, the library drops what it has decoded since it last
            // ran out of input.
            let (mut available, mut read) = (input.len().min(1), 0);
            let room = self.buffer.len().min(out.capacity() - out.len());
            let (mut left, mut written) = (room, 0);
            let result = BrotliDecompressStream(
                &mut available,
                &mut read,
                input,
                &mut left,
                &mut written,
                &mut self.buffer,
                &mut 0,
                &mut self.state,
            );
            *input = &input[read..];
            out.extend_from_slice(&self.buffer[..written]);
            match result {
                BrotliResult::ResultSuccess => self.ended = true,
                BrotliResult::NeedsMoreInput if input.is_empty() => return Ok(()),
                BrotliResult::NeedsMoreOutput if out.len() == out.capacity() => return Ok(()),
                BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
                BrotliResult::ResultFailure => {
                    return Err(format!("corrupt data ({:?})", self.state.error_code));
                }
            }
        }
        match input.is_empty() {
            true => Ok(()),
            false => Err("there is data after the end".into()),
        }
    }

    fn is_complete(&self) -> bool {
        !self.began || self.ended
    }
}
