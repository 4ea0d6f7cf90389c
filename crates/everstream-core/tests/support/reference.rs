//! The standard's algorithm, word for word, over a whole stream at once. It is slow and keeps everything
//! in memory, so that it can be compared with the text of the standard
//! (WHATWG HTML, 9.2.5 "Parsing an event stream" and 9.2.6 "Interpreting an event stream").

use std::time::Duration;

use super::{Due, Seen};

/// What outlives a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reference {
    /// The event source's "last event ID string"; empty means none.
    last_event_id: String,
}

impl Reference {
    pub(crate) fn resuming(last_event_id: Option<&str>) -> Self {
        Self {
            last_event_id: last_event_id.unwrap_or_default().to_owned(),
        }
    }

    pub(crate) fn last_event_id(&self) -> Option<&str> {
        Some(self.last_event_id.as_str()).filter(|id| !id.is_empty())
    }

    /// Interprets one stream from its start to its end.
    pub(crate) fn interpret(&mut self, stream: &[u8]) -> Vec<Seen> {
        let mut block = Block::new(&self.last_event_id);
        let mut items = Vec::new();
        for line in lines(&decoded(stream)) {
            self.process(&line, &mut block, &mut items);
        }
        // "Once the end of the file is reached, any pending data must be discarded": drop the block.
        items
    }

    /// The same, with the number of bytes that each item takes. An item is due as soon as a stream that
    /// ended there would contain it; only a line end can complete one.
    pub(crate) fn interpret_timed(&mut self, stream: &[u8]) -> Vec<Due> {
        let mut due: Vec<Due> = Vec::new();
        for at in (1..=stream.len()).filter(|at| matches!(stream[at - 1], b'\r' | b'\n')) {
            let so_far = self.clone().interpret(&stream[..at]);
            due.extend(
                so_far
                    .into_iter()
                    .skip(due.len())
                    .map(|item| Due { at, item }),
            );
        }
        self.interpret(stream);
        due
    }

    /// 9.2.6: "Lines must be processed, in the order they are received, as follows".
    fn process(&mut self, line: &str, block: &mut Block, items: &mut Vec<Seen>) {
        // "If the line is empty (a blank line): Dispatch the event, as defined below."
        if line.is_empty() {
            self.dispatch(block, items);
        }
        // "If the line starts with a U+003A COLON character (:): Ignore the line."
        // Beyond the standard, its text is reported.
        else if let Some(comment) = line.strip_prefix(':') {
            items.push(Seen::Comment(comment.to_owned()));
        }
        // "If the line contains a U+003A COLON character (:): Collect the characters on the line
        // before the first colon, and let field be that string. Collect the characters on the line
        // after the first colon, and let value be that string. If value starts with a U+0020 SPACE
        // character, remove it from value."
        else if let Some((field, value)) = line.split_once(':') {
            process_field(
                field,
                value.strip_prefix(' ').unwrap_or(value),
                block,
                items,
            );
        }
        // "Otherwise, the string is not empty but does not contain a colon: Process the field using
        // the whole line as the field name, and the empty string as the field value."
        else {
            process_field(line, "", block, items);
        }
    }

    /// 9.2.6: "When the user agent is required to dispatch the event".
    fn dispatch(&mut self, block: &mut Block, items: &mut Vec<Seen>) {
        // 1. "Set the last event ID string of the event source to the value of the last event ID
        //    buffer. The buffer does not get reset."
        self.last_event_id.clone_from(&block.last_event_id_buffer);
        let last = self.last_event_id().map(str::to_owned);
        let own_id = block.own_id.take();
        let mut data = std::mem::take(&mut block.data_buffer);
        let event_type = std::mem::take(&mut block.event_type_buffer);
        // 2. "If the data buffer is an empty string, set the data buffer and the event type buffer
        //    to the empty string and return." Beyond the standard, a new id is reported.
        if data.is_empty() {
            if own_id.is_some() {
                items.push(Seen::Id(last));
            }
            return;
        }
        // 3. "If the data buffer's last character is a U+000A LINE FEED (LF) character, then remove
        //    the last character from the data buffer."
        if data.ends_with('\n') {
            data.pop();
        }
        // 4. to 6. An event of the type "message", unless "the event type buffer has a value other
        //    than the empty string".
        let event = if event_type.is_empty() {
            "message".to_owned()
        } else {
            event_type
        };
        // 7. and 8. The buffers were emptied above. The event is delivered.
        items.push(Seen::Event {
            event,
            data,
            id: own_id,
            last,
        });
    }
}

/// What 9.2.6 associates with a stream while it is parsed.
struct Block {
    data_buffer: String,
    event_type_buffer: String,
    last_event_id_buffer: String,
    /// The last valid id since the last blank line. Not in the standard, which doesn't distinguish an
    /// event's own id.
    own_id: Option<String>,
}

impl Block {
    /// In the standard the id buffer of each stream starts empty, so the first event without an id after
    /// a reconnect would clear the last event id, and the next reconnect couldn't resume. Browsers start
    /// with the last event id, and so does every client that resumes.
    fn new(last_event_id: &str) -> Self {
        Self {
            data_buffer: String::new(),
            event_type_buffer: String::new(),
            last_event_id_buffer: last_event_id.to_owned(),
            own_id: None,
        }
    }
}

/// 9.2.6: "The steps to process the field given a field name and a field value".
fn process_field(field: &str, value: &str, block: &mut Block, items: &mut Vec<Seen>) {
    match field {
        // "Set the event type buffer to the field value."
        "event" => value.clone_into(&mut block.event_type_buffer),
        // "Append the field value to the data buffer, then append a single U+000A LINE FEED (LF)
        // character to the data buffer."
        "data" => {
            block.data_buffer.push_str(value);
            block.data_buffer.push('\n');
        }
        // "If the field value does not contain U+0000 NULL, then set the last event ID buffer to
        // the field value. Otherwise, ignore the field."
        "id" if !value.contains('\0') => {
            value.clone_into(&mut block.last_event_id_buffer);
            block.own_id = Some(value.to_owned());
        }
        // "If the field value consists of only ASCII digits, then interpret the field value as an
        // integer in base ten, and set the event stream's reconnection time to that integer.
        // Otherwise, ignore the field." An empty value isn't an integer.
        "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
            // All digits, so it can fail only because the number is too large.
            let milliseconds = value.parse().unwrap_or(u64::MAX);
            items.push(Seen::Retry(Duration::from_millis(milliseconds)));
        }
        // "Otherwise: The field is ignored."
        _ => {}
    }
}

/// 9.2.5: "Streams must be decoded using the UTF-8 decode algorithm", which "strips one leading
/// UTF-8 Byte Order Mark (BOM), if any". The standard library replaces invalid bytes in the same
/// way as the Encoding standard: one U+FFFD for each maximal part of a character.
fn decoded(stream: &[u8]) -> String {
    let text = String::from_utf8_lossy(stream);
    text.strip_prefix('\u{FEFF}').unwrap_or(&text).to_owned()
}

/// 9.2.5: end-of-line = ( cr lf / cr / lf ). Text after the last line end isn't a line: in the grammar
/// each line ends with one.
fn lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                chars.next_if_eq(&'\n');
                lines.push(std::mem::take(&mut line));
            }
            '\n' => lines.push(std::mem::take(&mut line)),
            _ => line.push(c),
        }
    }
    lines
}
