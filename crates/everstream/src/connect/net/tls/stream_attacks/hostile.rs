//! Tampering with a server's records by an attacker on the network, and records of a hostile server.

use rustls::ContentType;

use super::pipe::Random;
use super::server::Server;

/// Generates unencrypted records.
fn unencrypted(random: &mut Random) -> Vec<u8> {
    let level = random.pick(&[0, 1, 2, 3, 255]);
    let description = random.pick(&[0, 10, 20, 22, 40, 42, 50, 80, 90, 100, 110, 255]);
    let garbage = random.pick(&[1, 4, 40, 300, 16384, 18433]);
    match random.below(10) {
        0 => vec![21, 3, 3, 0, 2, level, description],
        1 => [21, 3, 3, 0, 2, 1, description].repeat(1 + random.below(10)),
        2 => [20, 3, 3, 0, 1, random.pick(&[1, 1, 0, 2])].repeat(1 + random.below(5)),
        3 => vec![random.pick(&[20, 21, 22, 23, 24, 0]), 3, 3, 0, 0],
        4 => [23, 3, 3, 0, 0].repeat(1 + random.below(60)),
        // A record that claims to be larger than allowed.
        5 => vec![23, 3, 3, random.pick(&[0x48, 0x80, 0xff]), 0xff],
        6 => vec![22, 3, 3, 0, 4, 0, 0, 0, 0],
        // A handshake message that doesn't end.
        7 => {
            let mut records = vec![22, 3, 3, 0, 4, 11, 0, 0xff, 0xff];
            let length = random.pick(&[1_u16, 100, 16000]);
            for _ in 0..random.pick(&[1, 10, 60_000 / length]) {
                records.extend([22, 3, 3]);
                records.extend(length.to_be_bytes());
                records.extend(random.bytes(length.into()));
            }
            records
        }
        8 => random.bytes(garbage),
        _ => {
            let mut record = vec![random.pick(&[20, 21, 22, 23]), 3, random.pick(&[1, 3, 4])];
            record.extend((garbage as u16).to_be_bytes());
            record.extend(random.bytes(garbage));
            record
        }
    }
}

/// Changes a record in transit. `None` cuts the connection.
pub(super) fn tamper(
    record: Vec<u8>,
    delayed: &mut Option<Vec<u8>>,
    random: &mut Random,
) -> Option<Vec<u8>> {
    let mut record = record;
    let index = random.below(record.len());
    Some(match random.below(11) {
        0 | 1 => {
            record[index] ^= 1 << random.below(8);
            record
        }
        2 => {
            record[random.below(5)] ^= 1 << random.below(8);
            record
        }
        3 => record[..index].to_vec(),
        4 => record.repeat(2),
        5 => Vec::new(),
        6 => {
            *delayed = Some(record);
            Vec::new()
        }
        7 | 8 => [unencrypted(random), record].concat(),
        9 => random.bytes(record.len()),
        _ => return None,
    })
}

/// Generates records of a hostile server, and adds their data to `sent`.
pub(super) fn forge(server: &mut Server, sent: &mut Vec<u8>, random: &mut Random) -> Vec<u8> {
    let mut records = Vec::new();
    let mut add = |typ: ContentType, payload: &[u8]| {
        records.extend(server.forge(typ, payload).unwrap_or_default());
    };
    let level = random.pick(&[0, 1, 1, 2, 3]);
    let description = random.pick(&[0, 0, 10, 20, 40, 50, 80, 90, 100, 255]);
    match random.below(13) {
        0 => add(ContentType::Alert, &[level, description]),
        1 => {
            for _ in 0..random.pick(&[1, 3, 8]) {
                add(ContentType::Alert, &[1, random.pick(&[90, 90, 10])]);
            }
        }
        2 => add(
            ContentType::Alert,
            &[1, 0, 1, 0][..random.pick(&[0, 1, 3, 4])],
        ),
        3 => add(ContentType::ChangeCipherSpec, &[random.pick(&[1, 2])]),
        4 => {
            // Sometimes several messages in one record.
            for _ in 0..random.pick(&[1, 2, 5]) {
                add(
                    ContentType::Handshake,
                    &[0; 4].repeat(random.pick(&[1, 1, 3, 4000])),
                );
            }
        }
        5 => add(
            ContentType::Handshake,
            &[24, 0, 0, 1, random.pick(&[0, 1, 2])],
        ),
        6 => {
            for _ in 0..random.pick(&[1, 30, 33, 40]) {
                add(ContentType::ApplicationData, &[]);
            }
        }
        7 => {
            for _ in 0..random.pick(&[1, 5]) {
                let data = random.some_bytes(&[1, 100, 16384]);
                add(ContentType::ApplicationData, &data);
                sent.extend(data);
            }
        }
        8 => add(
            ContentType::ApplicationData,
            &[7; 17000][..random.pick(&[16385, 17000])],
        ),
        // rustls makes its caller keep empty handshake records.
        9 => {
            for _ in 0..random.pick(&[1, 40, 3000]) {
                add(ContentType::Handshake, &[]);
                add(ContentType::ApplicationData, b"x");
                sent.extend(b"x");
            }
        }
        10 => {
            add(
                ContentType::Handshake,
                &[4, random.pick(&[0, 0, 1]), 0xff, 0xff],
            );
            let part = random.some_bytes(&[0, 1, 1000]);
            for _ in 0..random.pick(&[1, 30, 70]) {
                add(ContentType::Handshake, &part);
            }
        }
        11 => {
            let typ = random.pick(&[0, 4, 2, 11, 13, 20, 24]);
            let mut message = vec![typ, 0, 0, random.pick(&[0, 30, 32])];
            message.extend(random.some_bytes(&[0, 30, 32]));
            add(ContentType::Handshake, &message);
        }
        _ => add(ContentType::Unknown(random.pick(&[0, 24, 99])), b"abc"),
    }
    records
}
