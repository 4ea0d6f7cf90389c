//! Responses sent one byte at a time: each byte in its own write, without Nagle's delay.

use everstream_testing::Reply;

use super::outcome::{Row, check};
use crate::support::{Client, for_both_clients};

for_both_clients!(a_response_sent_byte_by_byte_has_the_same_outcome);

/// Characters of all lengths, all line ends, all fields, and invalid UTF-8.
const BODY: &[u8] =
    b"\xEF\xBB\xBF: hi\nid: 1\r\nevent: x\rdata: \xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\r\n\r\ndata: \xFF\rdata\r\rretry: 1\n\n";

const SEEN: &[&str] = &[
    "start",
    "comment  hi",
    "event é€😀",
    "event \u{FFFD}\n",
    "end",
];

fn a_response_sent_byte_by_byte_has_the_same_outcome<C: Client>() {
    let whole = Reply::stream().send(BODY).end();
    let bytes = BODY.iter().map(|byte| vec![*byte]);
    let each_a_chunk = Reply::stream().send_each(bytes).end();
    let length = Reply::stream().content_length(BODY.len() as u64).send(BODY);
    let close = Reply::stream().close_delimited().send(BODY);
    let rows: [Row<'_>; 5] = [
        ("in one write", whole.clone(), SEEN),
        ("chunked", whole.in_pieces(1), SEEN),
        ("each byte a chunk", each_a_chunk.in_pieces(1), SEEN),
        ("with a length", length.in_pieces(1), SEEN),
        ("up to the close", close.in_pieces(1), SEEN),
    ];
    check::<C>(&rows);
}
