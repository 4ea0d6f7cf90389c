//! Unnamed temporary files, deleted with the process: a recording may be larger than the memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::PathBuf;

/// Two numbers.
pub(super) type Pair = (u64, u64);

/// How many bytes a pair takes.
const PAIR: usize = 16;

/// Pairs that are sorted in memory at a time: 1 MiB.
const RUN: usize = (1 << 20) / PAIR;

/// A file that is written sequentially, then read anywhere.
#[derive(Debug)]
pub(super) struct Spool {
    out: BufWriter<File>,
    length: u64,
}

impl Spool {
    pub(super) fn new() -> io::Result<Spool> {
        Ok(Spool {
            out: BufWriter::with_capacity(64 << 10, nameless()?),
            length: 0,
        })
    }

    pub(super) fn len(&self) -> u64 {
        self.length
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.out.flush()?;
        self.out.get_mut().set_len(length)?;
        self.out.seek(SeekFrom::Start(length))?;
        self.length = length;
        Ok(())
    }

    /// Before the first read.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    pub(super) fn read(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        read_exact_at(self.out.get_ref(), bytes, at)
    }
}

/// Pairs of numbers with random access by index.
#[derive(Debug)]
pub(super) struct Pairs(Spool);

impl Pairs {
    pub(super) fn new() -> io::Result<Pairs> {
        Spool::new().map(Pairs)
    }

    pub(super) fn len(&self) -> u64 {
        self.0.len() / PAIR as u64
    }

    pub(super) fn push(&mut self, (a, b): Pair) -> io::Result<()> {
        let mut bytes = [0; PAIR];
        bytes[..8].copy_from_slice(&a.to_le_bytes());
        bytes[8..].copy_from_slice(&b.to_le_bytes());
        self.0.write(&bytes)
    }

    pub(super) fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.0.truncate(length * PAIR as u64)
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }

    pub(super) fn get(&self, index: u64) -> io::Result<Option<Pair>> {
        if index >= self.len() {
            return Ok(None);
        }
        let mut bytes = [0; PAIR];
        self.0.read(index * PAIR as u64, &mut bytes)?;
        let number = |part: &[u8]| {
            part.iter()
                .rev()
                .fold(0, |n, &byte| n << 8 | u64::from(byte))
        };
        Ok(Some((number(&bytes[..8]), number(&bytes[8..]))))
    }

    /// The index of the first pair that doesn't satisfy the predicate, as in
    /// [`partition_point`](slice::partition_point).
    pub(super) fn partition_point(&self, is: impl Fn(Pair) -> bool) -> io::Result<u64> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle)? {
                Some(pair) if is(pair) => low = middle + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }
}

/// A map from texts to numbers; of equal texts the last number counts.
#[derive(Debug)]
pub(super) struct Index {
    /// Randomly keyed, so that nobody can produce texts with the same hash.
    hasher: RandomState,
    /// Sorted, in runs.
    runs: Pairs,
    open: Vec<Pair>,
    /// Merged into one sorted run.
    sorted: Pairs,
    repeats: bool,
}

impl Index {
    pub(super) fn new() -> io::Result<Index> {
        Ok(Index {
            hasher: RandomState::new(),
            runs: Pairs::new()?,
            open: Vec::new(),
            sorted: Pairs::new()?,
            repeats: false,
        })
    }

    pub(super) fn insert(&mut self, text: &str, number: u64) -> io::Result<()> {
        self.open.push((self.hasher.hash_one(text), number));
        match self.open.len() {
            RUN.. => self.close_run(),
            _ => Ok(()),
        }
    }

    fn close_run(&mut self) -> io::Result<()> {
        self.open.sort_unstable();
        for pair in self.open.drain(..) {
            self.runs.push(pair)?;
        }
        Ok(())
    }

    /// Called before the first lookup.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.close_run()?;
        self.open = Vec::new();
        self.runs.flush()?;
        let mut heads = BinaryHeap::new();
        for begin in (0..self.runs.len()).step_by(RUN) {
            heads.extend(self.runs.get(begin)?.map(|pair| Reverse((pair, begin))));
        }
        let mut last = None;
        while let Some(Reverse((pair, index))) = heads.pop() {
            self.repeats |= last == Some(pair.0);
            last = Some(pair.0);
            self.sorted.push(pair)?;
            let next = index + 1;
            if next % RUN as u64 != 0 {
                heads.extend(self.runs.get(next)?.map(|pair| Reverse((pair, next))));
            }
        }
        self.runs.truncate(0)?;
        self.sorted.flush()
    }

    /// Whether a text occurs more than once.
    pub(super) fn repeats(&self) -> bool {
        self.repeats
    }

    pub(super) fn get(&self, text: &str) -> io::Result<Option<u64>> {
        let hash = self.hasher.hash_one(text);
        let after = self.sorted.partition_point(|(other, _)| other <= hash)?;
        let last = match after.checked_sub(1) {
            Some(index) => self.sorted.get(index)?,
            None => None,
        };
        Ok(last
            .filter(|(other, _)| *other == hash)
            .map(|(_, number)| number))
    }
}

/// On a disk if possible: `/tmp` is often memory.
fn folder() -> PathBuf {
    let disk = PathBuf::from("/var/tmp");
    match std::env::var_os("TMPDIR").is_none() && disk.is_dir() {
        true => disk,
        false => std::env::temp_dir(),
    }
}

fn nameless() -> io::Result<File> {
    let random = RandomState::new().hash_one(std::process::id());
    let path = folder().join(format!("everstream-{random:016x}"));
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    only_for_us(&mut options);
    let file = options.open(&path)?;
    #[cfg(unix)]
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(unix)]
fn only_for_us(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;

    options.mode(0o600);
}

#[cfg(windows)]
fn only_for_us(options: &mut OpenOptions) {
    use std::os::windows::fs::OpenOptionsExt;

    /// FILE_FLAG_DELETE_ON_CLOSE.
    const DELETE_ON_CLOSE: u32 = 0x0400_0000;
    options.share_mode(0).custom_flags(DELETE_ON_CLOSE);
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = std::os::windows::fs::FileExt::seek_read(file, bytes, at)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes = &mut bytes[count..];
        at += count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_after_truncation_overwrites() {
        let mut spool = Spool::new().unwrap();
        spool.write(b"abcdef").unwrap();
        spool.truncate(2).unwrap();
        spool.write(b"xy").unwrap();
        spool.flush().unwrap();
        let mut bytes = [0; 4];
        spool.read(0, &mut bytes).unwrap();
        assert_eq!((&bytes, spool.len()), (b"abxy", 4));
        assert!(spool.read(1, &mut bytes).is_err());
    }

    #[test]
    fn pairs_are_found_by_binary_search() {
        let mut pairs = Pairs::new().unwrap();
        for number in 0..1000 {
            pairs.push((number, number * 10)).unwrap();
        }
        pairs.flush().unwrap();
        for (limit, expected) in [(0, 0), (1, 1), (4995, 500), (9990, 999), (9991, 1000)] {
            let index = pairs.partition_point(|(_, b)| b < limit).unwrap();
            assert_eq!(index, expected, "{limit}");
        }
        assert_eq!(pairs.get(7).unwrap(), Some((7, 70)));
        assert_eq!(pairs.get(1000).unwrap(), None);
    }

    /// Over several runs.
    #[test]
    fn the_last_number_of_a_text_counts() {
        let mut index = Index::new().unwrap();
        let count = RUN as u64 * 2 + 5;
        for number in 0..count {
            index.insert(&format!("id {number}"), number).unwrap();
        }
        index.insert("id 3", count).unwrap();
        index.finish().unwrap();
        assert!(index.repeats());
        assert_eq!(index.get("id 3").unwrap(), Some(count));
        for number in (4..count).step_by(997) {
            let found = index.get(&format!("id {number}")).unwrap();
            assert_eq!(found, Some(number));
        }
        assert_eq!(index.get("id").unwrap(), None);

        let mut index = Index::new().unwrap();
        assert!(index.get("a").unwrap().is_none());
        index.insert("a", 1).unwrap();
        index.insert("b", 2).unwrap();
        index.finish().unwrap();
        assert!(!index.repeats());
    }
}
