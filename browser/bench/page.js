// Measures one client, named by the location: `?client=NAME&url=URL&events=N`. The time is that from the
// creation of the client to the last event. What the client counted is sent to `/report`.

import { createParser } from './npm/eventsource-parser/dist/index.js';
import { EventSourceParserStream } from './npm/eventsource-parser/dist/stream.js';

const parameters = new URLSearchParams(location.search);
const url = parameters.get('url');
const expected = Number(parameters.get('events'));

let begin;
let received = 0;

// Called by the programs in Rust, too.
globalThis.parameter = (name) => (name === 'events' ? expected : parameters.get(name));
globalThis.start = () => {
  begin = performance.now();
};
globalThis.receive = (data) => {
  received += data.length;
};
globalThis.finish = (events, length) => {
  const milliseconds = performance.now() - begin;
  const passed = parameters.has('pass') && received !== length ? `received ${received}` : 'ok';
  fetch('/report', { method: 'POST', body: `${passed} ${events} ${length} ${milliseconds}` });
};

// Each counts the events and the length of their data. All data is ASCII.
const clients = {
  parser: async () => {
    start();
    let events = 0;
    let length = 0;
    const parser = createParser({
      onEvent: (event) => {
        events += 1;
        length += event.data.length;
      },
    });
    const response = await fetch(url, { cache: 'no-store' });
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    while (events < expected) {
      const { done, value } = await reader.read();
      if (done) break;
      parser.feed(decoder.decode(value, { stream: true }));
    }
    finish(events, length);
  },

  parserStream: async () => {
    start();
    let events = 0;
    let length = 0;
    const response = await fetch(url, { cache: 'no-store' });
    const stream = response.body
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new EventSourceParserStream());
    for await (const event of stream) {
      events += 1;
      length += event.data.length;
      if (events === expected) break;
    }
    finish(events, length);
  },

  eventSource: () => {
    start();
    let events = 0;
    let length = 0;
    const source = new EventSource(url);
    source.onmessage = (event) => {
      events += 1;
      length += event.data.length;
      if (events === expected) {
        source.close();
        finish(events, length);
      }
    };
  },
};

const client = parameters.get('client');
if (client in clients) {
  clients[client]();
} else {
  // A program in Rust: `main` runs once it is compiled.
  const { default: init } = await import(`./programs/${client}.js`);
  init();
}
