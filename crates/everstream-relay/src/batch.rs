//! What a sink checks of a batch before it sends it. For those who write one.

use crate::{AppendError, Record, Tail};

/// Sent in one step; an append stores no more, and the relay sends the rest afterwards.
const MAX_STEP_RECORDS: usize = 4096;
const MAX_STEP_BYTES: usize = 16 << 20;

/// The first records of a batch: as many as are sent in one step, and at least one. Limits what is in memory
/// while the engine doesn't answer.
///
/// ```
/// use std::time::SystemTime;
///
/// use everstream_relay::{Record, batch};
///
/// let record = Record::new(None, "message", "data", SystemTime::now());
/// assert_eq!(batch::step(&[record.clone(), record]).len(), 2);
/// ```
pub fn step(batch: &[Record]) -> &[Record] {
    let mut bytes = 0;
    let fits = |record: &&Record| {
        bytes += size(record);
        bytes <= MAX_STEP_BYTES
    };
    let count = batch.iter().take(MAX_STEP_RECORDS).take_while(fits).count();
    &batch[..count.max(1).min(batch.len())]
}

/// Refuses records whose data, id or type is larger than `limit`, in bytes.
///
/// # Errors
///
/// [`AppendError::Rejected`], with the index of the first.
///
/// ```
/// use std::time::SystemTime;
///
/// use everstream_relay::{AppendError, Record, batch};
///
/// let record = |data: &str| Record::new(None, "message", data, SystemTime::now());
/// let refused = batch::check_size(&[record("12"), record("123")], 2);
/// assert!(matches!(refused, Err(AppendError::Rejected { index: 1, .. })));
/// ```
pub fn check_size(batch: &[Record], limit: usize) -> Result<(), AppendError> {
    for (index, record) in batch.iter().enumerate() {
        let id = record.id.as_ref().map_or(0, String::len);
        for (bytes, what) in [
            (record.data.len(), "data"),
            (id, "id"),
            (record.event.len(), "type"),
        ] {
            if bytes > limit {
                let why = format!("its {what} has {bytes} bytes, and the limit is {limit}");
                return Err(AppendError::Rejected { index, why });
            }
        }
    }
    Ok(())
}

/// Where the log ends after these were stored.
///
/// ```
/// use everstream_relay::{Record, Tail, batch};
///
/// let record = Record::new(Some("a".into()), "message", "data", std::time::SystemTime::now());
/// let end = batch::end_of(&Tail::default(), &[record]);
/// assert_eq!((end.pos, end.id.as_deref()), (1, Some("a")));
/// ```
pub fn end_of(after: &Tail, stored: &[Record]) -> Tail {
    match stored.last() {
        Some(last) => Tail {
            pos: after.pos + stored.len() as u64,
            id: last.id.clone(),
        },
        None => after.clone(),
    }
}

fn size(record: &Record) -> usize {
    record.id.as_ref().map_or(0, String::len) + record.event.len() + record.data.len()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn record(bytes: usize) -> Record {
        Record::new(None, "message", "x".repeat(bytes), SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn a_step_is_limited_by_bytes_and_records_but_has_at_least_one() {
        let half = record(MAX_STEP_BYTES / 2);
        assert_eq!(step(&[half.clone(), half.clone(), half]).len(), 1);
        assert_eq!(step(&[record(MAX_STEP_BYTES + 1), record(1)]).len(), 1);
        assert_eq!(step(&vec![record(1); 5000]).len(), MAX_STEP_RECORDS);
        assert_eq!(step(&[]).len(), 0);
    }
}
