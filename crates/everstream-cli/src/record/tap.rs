//! An HTTP connector that records everything received.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use everstream::{
    ClientContext, ConnectFuture, ConnectRequest, ConnectStrategy, Connection, ConnectionClient,
    Error, Fault, Http,
};
use futures_core::Stream;

use crate::client_builder::can_be_sent;
use crate::recording::Writer;

/// HTTP whose responses are recorded before the client reads them.
pub(super) struct Tap {
    pub(super) http: Http,
    pub(super) writer: Writer,
}

impl ConnectStrategy for Tap {
    fn create_client(&self, context: ClientContext) -> Result<Box<dyn ConnectionClient>, Error> {
        Ok(Box::new(TapClient {
            http: self.http.create_client(context)?,
            writer: self.writer.clone(),
        }))
    }
}

struct TapClient {
    http: Box<dyn ConnectionClient>,
    writer: Writer,
}

impl ConnectionClient for TapClient {
    fn connect(&mut self, request: ConnectRequest) -> ConnectFuture {
        let id = request.last_event_id.clone().filter(|id| can_be_sent(id));
        let connecting = self.http.connect(request);
        let writer = self.writer.clone();
        Box::pin(async move {
            match connecting.await {
                Ok(connection) => {
                    writer.connected(connection.start(), id.as_deref());
                    Ok(tapped(connection, writer))
                }
                Err(fault) => {
                    writer.failed(&fault);
                    Err(fault)
                }
            }
        })
    }

    fn is_repeatable(&self) -> bool {
        self.http.is_repeatable()
    }

    fn can_resume_with_get(&self) -> bool {
        self.http.can_resume_with_get()
    }

    fn close(&mut self) {
        self.http.close();
    }
}

fn tapped(connection: Connection, writer: Writer) -> Connection {
    let (start, ending) = (connection.start().clone(), connection.ending());
    Connection::from_stream(Tapped {
        connection,
        writer,
        over: false,
    })
    .with_start(start)
    .with_ending(ending)
}

/// The bytes of a connection, recorded as they arrive.
struct Tapped {
    connection: Connection,
    writer: Writer,
    over: bool,
}

impl Stream for Tapped {
    type Item = Result<Vec<u8>, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        // A future that is dropped before it is ready has read nothing.
        let chunk = ready!(pin!(this.connection.next_chunk()).poll(cx));
        Poll::Ready(match chunk {
            Some(Ok(chunk)) => {
                let bytes = chunk.as_ref().to_vec();
                match this.writer.chunk(&bytes) {
                    true => Some(Ok(bytes)),
                    // The writer knows the reason; its owner reports it.
                    false => {
                        this.over = true;
                        let error = std::io::Error::other("the recording can't be written");
                        Some(Err(Fault::Read(error.into())))
                    }
                }
            }
            Some(Err(fault)) => {
                this.over = true;
                this.writer.ended_by_fault(&fault);
                Some(Err(fault))
            }
            None => {
                this.over = true;
                this.writer.ended_by_server();
                None
            }
        })
    }
}

/// The client dropped the connection: it has finished, or considers it dead.
impl Drop for Tapped {
    fn drop(&mut self) {
        if !self.over {
            self.writer.ended_by_client();
        }
    }
}
