//! Tracks up to which event everything is done, so that the cursor can move there.

use std::collections::VecDeque;
use std::io;

use crate::cursor::Cursor;

/// Events in the order of their arrival, from the first one that isn't done.
pub(crate) struct Progress {
    cursor: Option<Cursor>,
    open: VecDeque<Open>,
}

struct Open {
    number: u64,
    id: Option<String>,
    done: bool,
}

impl Progress {
    pub(crate) fn new(cursor: Option<Cursor>) -> Progress {
        Progress {
            cursor,
            open: VecDeque::new(),
        }
    }

    pub(crate) fn has_cursor(&self) -> bool {
        self.cursor.is_some()
    }

    /// Adds work that isn't done yet: its number, and the id that applies from there on.
    pub(crate) fn begin(&mut self, number: u64, id: Option<&str>) {
        if self.cursor.is_some() {
            self.open.push_back(Open {
                number,
                id: id.map(str::to_owned),
                done: false,
            });
        }
    }

    pub(crate) fn finish(&mut self, number: u64) -> io::Result<()> {
        if let Some(event) = self.open.iter_mut().find(|event| event.number == number) {
            event.done = true;
        }
        let Some(cursor) = &mut self.cursor else {
            return Ok(());
        };
        while let Some(event) = self.open.front().filter(|event| event.done) {
            cursor.advance(event.id.as_deref())?;
            self.open.pop_front();
        }
        Ok(())
    }

    /// Everything that arrived is done, if nothing is open; this is the id that applies now.
    pub(crate) fn reached(&mut self, id: Option<&str>) -> io::Result<()> {
        match (&mut self.cursor, self.open.back_mut()) {
            (Some(cursor), None) => cursor.advance(id),
            // No work follows the last open event.
            (Some(_), Some(last)) => {
                if last.id.as_deref() != id {
                    last.id = id.map(str::to_owned);
                }
                Ok(())
            }
            (None, _) => Ok(()),
        }
    }

    /// Nothing more is available at the moment.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        match &mut self.cursor {
            Some(cursor) => cursor.flush(),
            None => Ok(()),
        }
    }
}
