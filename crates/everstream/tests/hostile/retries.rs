//! The delay for every kind of `retry:` (WHATWG HTML 9.2.6: ASCII digits only).

use std::time::Duration;

use everstream::{SseClient, retry_delay};
use everstream_testing::{Reply, Server};

use crate::support::{Client, for_both_clients};

for_both_clients!(every_retry_field_is_applied_or_ignored);

/// The default, which applies if the field is ignored.
const BASE: Duration = Duration::from_secs(1);
const FLOOR: Duration = Duration::from_millis(100);
/// The default of `max_server_retry_delay`.
const CEILING: Duration = Duration::from_secs(3600);

/// The line, and the delay after a clean end if the user sets no ceiling.
const LINES: [(&[u8], Duration); 33] = [
    (b"retry: 2000", Duration::from_millis(2000)),
    (b"retry:2000", Duration::from_millis(2000)),
    // Raised to the floor.
    (b"retry: 0", FLOOR),
    (b"retry: 00000", FLOOR),
    (b"retry: 1", FLOOR),
    (b"retry: 99", FLOOR),
    (b"retry: 100", FLOOR),
    (b"retry: 101", Duration::from_millis(101)),
    (
        b"retry: 0000000000000000000000000000000002000",
        Duration::from_millis(2000),
    ),
    // The strategy's default cap of 30 s doesn't apply to what the server asks for, and nothing overflows.
    (b"retry: 60000", Duration::from_secs(60)),
    (b"retry: 2147483648", Duration::from_millis(2_147_483_648)),
    (b"retry: 4294967296", Duration::from_millis(4_294_967_296)),
    (
        b"retry: 18446744073709551615",
        Duration::from_millis(u64::MAX),
    ),
    // Values that overflow become the longest delay.
    (
        b"retry: 18446744073709551616",
        Duration::from_millis(u64::MAX),
    ),
    (
        b"retry: 99999999999999999999999999999999999999",
        Duration::from_millis(u64::MAX),
    ),
    // Not made of ASCII digits.
    (b"retry", BASE),
    (b"retry:", BASE),
    (b"retry: ", BASE),
    (b"retry:  2000", BASE),
    (b"retry: 2000 ", BASE),
    (b"retry:\t2000", BASE),
    (b"retry: 2 000", BASE),
    (b"retry: -1", BASE),
    (b"retry: +2000", BASE),
    (b"retry: 2000.0", BASE),
    (b"retry: 2e3", BASE),
    (b"retry: 0x7d0", BASE),
    (b"retry: 2_000", BASE),
    (b"retry: 2000ms", BASE),
    (b"retry: \xD9\xA2\xD9\xA0", BASE),
    (b"retry: \xEF\xBC\x92", BASE),
    (b"retry: 2000\0", BASE),
    (b"Retry: 2000", BASE),
];

fn every_retry_field_is_applied_or_ignored<C: Client>() {
    for (line, delay) in LINES {
        let what = String::from_utf8_lossy(line);
        let server = Server::start();
        // In its own block, in an event, and without a blank line after it.
        for around in ["\n\ndata: a\n\n", "\ndata: a\n\n", "\n"] {
            let stream = [b"data: before\n\n", line, around.as_bytes()].concat();
            for ceiling in [None, Some(Duration::MAX)] {
                server.enqueue(Reply::stream().send(stream.clone()).end());
                let exact = retry_delay::backoff().jitter(0.0);
                let builder = SseClient::builder(server.url("/")).retry_delay_strategy(exact);
                let mut client = C::with(match ceiling {
                    Some(ceiling) => builder.max_server_retry_delay(ceiling),
                    None => builder,
                });
                client.expect_start();
                client.expect_event("before");
                if around != "\n" {
                    client.expect_event("a");
                }
                client.expect_clean_end();
                let delay = delay.min(ceiling.unwrap_or(CEILING));
                let what = format!("{what:?} {around:?} {ceiling:?}");
                assert_eq!(client.next_retry_delay(), delay, "{what}");
            }
        }
    }
}
