use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::*;

/// Creates a certificate that is valid from midnight of one day to midnight of another.
fn certificate(from: (i32, u8, u8), to: (i32, u8, u8)) -> CertificateDer<'static> {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(from.0, from.1, from.2);
    params.not_after = date_time_ymd(to.0, to.1, to.2);
    let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    certificate.der().clone()
}

fn seconds(year: i32, month: u8, day: u8) -> u64 {
    date_time_ymd(year, month, day)
        .unix_timestamp()
        .try_into()
        .unwrap()
}

#[test]
fn dates_before_and_after_2050_are_parsed() {
    for (from, to) in [
        ((1999, 12, 31), (2000, 2, 29)),
        ((2026, 1, 1), (2049, 12, 31)),
        ((2050, 1, 1), (4096, 1, 1)),
        ((1970, 1, 1), (9999, 12, 31)),
    ] {
        let expected = Validity {
            not_before: seconds(from.0, from.1, from.2),
            not_after: seconds(to.0, to.1, to.2),
        };
        assert_eq!(Validity::of(&certificate(from, to)), Some(expected));
    }
    let ancient = Validity::of(&certificate((1950, 1, 1), (2001, 1, 1))).unwrap();
    assert_eq!(ancient.not_before, 0);
}

#[test]
fn dates_follow_the_gregorian_calendar() {
    for year in 1970..2410 {
        for month in 1..=12 {
            let first = seconds(year, month, 1);
            let last = days_in(year as u64, u64::from(month));
            assert_eq!(date(first), format!("{year:04}-{month:02}-01"));
            let end = first + last * DAY;
            assert_eq!(date(end - 1), format!("{year:04}-{month:02}-{last:02}"));
        }
    }
    assert_eq!(date(u64::MAX), "10000-01-01");
}

fn time(tag: u8, text: &str) -> Option<u64> {
    let der = [&[tag, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    Der(&der).read_time()
}

#[test]
fn times_must_have_seconds_and_be_utc() {
    assert_eq!(time(UTC_TIME, "700101010203Z"), Some(3723));
    assert_eq!(
        time(UTC_TIME, "491231235959Z"),
        time(GENERALIZED_TIME, "20491231235959Z")
    );
    assert_eq!(time(UTC_TIME, "500101000000Z"), Some(0), "1950");
    assert_eq!(time(GENERALIZED_TIME, "00000101000000Z"), Some(0));
    for bad in [
        "",
        "700101010203",
        "7001010102Z",
        "700101010203+0100",
        "700101010203ZZ",
        "700001010203Z",
        "701301010203Z",
        "700100010203Z",
        "700132010203Z",
        "700229010203Z",
        "700101240203Z",
        "700101016003Z",
        "700101010260Z",
        "7001010102-3Z",
        "70010101020\u{e9}Z",
    ] {
        assert_eq!(time(UTC_TIME, bad), None, "{bad}");
    }
    assert_eq!(time(GENERALIZED_TIME, "700101010203Z"), None);
    assert_eq!(time(GENERALIZED_TIME, "20000101000000.5Z"), None);
    assert_eq!(time(INTEGER, "700101010203Z"), None);
}

#[test]
fn lengths_must_be_definite_and_within_the_data() {
    let read = |der: &[u8]| Der(der).read(SEQUENCE).map(<[u8]>::len);
    assert_eq!(read(&[SEQUENCE, 0]), Some(0));
    assert_eq!(read(&[SEQUENCE, 0x81, 1, 7]), Some(1));
    assert_eq!(read(&[SEQUENCE, 0x84, 0, 0, 0, 1, 7]), Some(1));
    for bad in [
        &[][..],
        &[SEQUENCE],
        &[INTEGER, 0],
        &[SEQUENCE, 1],
        &[SEQUENCE, 0x80, 0, 0],
        &[SEQUENCE, 0x82, 1],
        &[SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff, 7],
        &[SEQUENCE, 0x85, 0, 0, 0, 0, 1, 7],
        &[SEQUENCE, 0xff, 7],
    ] {
        assert_eq!(read(bad), None, "{bad:?}");
    }
}

#[test]
fn damaged_certificates_do_not_panic() {
    let whole = certificate((2026, 1, 1), (2027, 1, 1));
    for length in 0..whole.len() {
        let part = CertificateDer::from(&whole[..length]);
        assert_eq!(Validity::of(&part), None, "{length}");
    }
    for index in 0..whole.len() {
        for byte in [0, 0x7f, 0x80, 0xff, whole[index] ^ 1] {
            let mut damaged = whole.to_vec();
            damaged[index] = byte;
            // Must not panic; the dates may be wrong.
            _ = Validity::of(&CertificateDer::from(damaged));
        }
    }
}

#[test]
fn the_validity_period_is_inclusive() {
    let validity = Validity {
        not_before: 100,
        not_after: 200,
    };
    let check = |now| validity.check(UnixTime::since_unix_epoch(Duration::from_secs(now)));
    assert!(check(100).is_ok() && check(200).is_ok());
    assert!(matches!(
        check(99),
        Err(CertificateError::NotValidYetContext { not_before, .. }) if not_before.as_secs() == 100
    ));
    assert!(matches!(
        check(201),
        Err(CertificateError::ExpiredContext { not_after, .. }) if not_after.as_secs() == 200
    ));
}
