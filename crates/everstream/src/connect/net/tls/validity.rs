//! The dates of a certificate.
//!
//! rustls checks them only together with a chain to a certificate authority. They are parsed here
//! because only six elements precede them, and every X.509 crate adds a dozen dependencies.

use rustls::CertificateError;
use rustls::pki_types::{CertificateDer, UnixTime};
use std::time::Duration;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

const DAY: u64 = 24 * 60 * 60;

/// The validity period, inclusive, in seconds since 1970.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Validity {
    not_before: u64,
    not_after: u64,
}

impl Validity {
    /// Parses a certificate (RFC 5280, section 4.1). `None` if it isn't valid.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let mut file = Der(certificate);
        let mut certificate = Der(file.read(SEQUENCE)?);
        let mut signed = Der(certificate.read(SEQUENCE)?);
        if signed.0.first() == Some(&VERSION) {
            signed.read(VERSION)?;
        }
        let _serial_number = signed.read(INTEGER)?;
        let _algorithm = signed.read(SEQUENCE)?;
        let _issuer = signed.read(SEQUENCE)?;
        let mut validity = Der(signed.read(SEQUENCE)?);
        let dates = Validity {
            not_before: validity.read_time()?,
            not_after: validity.read_time()?,
        };
        validity.0.is_empty().then_some(dates)
    }

    pub(super) fn check(&self, now: UnixTime) -> Result<(), CertificateError> {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        if now.as_secs() < self.not_before {
            return Err(CertificateError::NotValidYetContext {
                time: now,
                not_before: at(self.not_before),
            });
        }
        if now.as_secs() > self.not_after {
            return Err(CertificateError::ExpiredContext {
                time: now,
                not_after: at(self.not_after),
            });
        }
        Ok(())
    }
}

/// The unread rest of some DER (ITU-T X.690).
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Reads the content of the next element, which must have this tag.
    fn read(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (&[found, length], rest) = self.0.split_first_chunk()?;
        if found != tag {
            return None;
        }
        let (length, rest) = match length {
            0..=0x7f => (usize::from(length), rest),
            // One to four bytes of length. Zero bytes would be the indefinite form, which DER
            // forbids.
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
                let length = bytes.iter().try_fold(0_u32, |length, byte| {
                    Some(length.checked_mul(256)? | u32::from(*byte))
                })?;
                (usize::try_from(length).ok()?, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(content)
    }

    /// Reads a time as seconds since 1970 (RFC 5280, section 4.1.2.5: always in UTC and with seconds).
    /// Dates before 1970 become 0.
    fn read_time(&mut self) -> Option<u64> {
        let (year, rest) = match *self.0.first()? {
            UTC_TIME => {
                let (year, rest) = number(self.read(UTC_TIME)?, 2)?;
                (if year < 50 { 2000 + year } else { 1900 + year }, rest)
            }
            _ => number(self.read(GENERALIZED_TIME)?, 4)?,
        };
        let (month, rest) = number(rest, 2)?;
        let (day, rest) = number(rest, 2)?;
        let (hour, rest) = number(rest, 2)?;
        let (minute, rest) = number(rest, 2)?;
        let (second, rest) = number(rest, 2)?;
        let is_valid = (1..=12).contains(&month)
            && (1..=days_in(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60
            && rest == b"Z";
        if !is_valid {
            return None;
        }
        let days = days_before(year, month).checked_sub(days_before(1970, 1));
        let Some(days) = days else { return Some(0) };
        Some((days + day - 1) * DAY + hour * 60 * 60 + minute * 60 + second)
    }
}

/// Reads a number of this many digits; returns it and the rest.
fn number(text: &[u8], digits: usize) -> Option<(u64, &[u8])> {
    let (number, rest) = text.split_at_checked(digits)?;
    let number = number.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + u64::from(byte - b'0'))
    })?;
    Some((number, rest))
}

fn is_leap(year: u64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The number of days from the beginning of the year 0 to that of this month (Gregorian calendar).
fn days_before(year: u64, month: u64) -> u64 {
    let leap_years = match year.checked_sub(1) {
        Some(last) => last / 4 - last / 100 + last / 400 + 1,
        None => 0,
    };
    let months: u64 = (1..month).map(|month| days_in(year, month)).sum();
    year * 365 + leap_years + months
}

/// Formats the date of a time, as in `2026-01-31`.
pub(super) fn date(seconds: u64) -> String {
    // Certificates have no year beyond 9999; later times are clamped to the day after it.
    let days =
        (seconds / DAY).min(days_before(10_000, 1) - days_before(1970, 1)) + days_before(1970, 1);
    let mut year = days / 366;
    while days_before(year + 1, 1) <= days {
        year += 1;
    }
    let mut month = 1;
    while month < 12 && days_before(year, month + 1) <= days {
        month += 1;
    }
    let day = days - days_before(year, month) + 1;
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
#[path = "validity_tests.rs"]
mod tests;
