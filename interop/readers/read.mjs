// Reads a stream with npm's `eventsource`: `node read.mjs MODULES URL COUNT`. Each event is a line of
// JSON. It ends after COUNT events, or when the server says that there is no more (0: only then).
import { createRequire } from "node:module";

const [modules, url, count] = process.argv.slice(2);
const { EventSource } = createRequire(`${modules}/`)("eventsource");
// While it waits for the next attempt, eventsource itself keeps no process alive.
const alive = setInterval(() => {}, 1000);
const source = new EventSource(url);
let received = 0;
source.onmessage = ({ type, lastEventId, data }) => {
  console.log(JSON.stringify({ event: type, id: lastEventId, data }));
  received += 1;
  if (received === Number(count)) close();
};
source.onerror = ({ code, message }) => {
  console.error(code, message);
  if (source.readyState === EventSource.CLOSED) close();
};
function close() {
  source.close();
  clearInterval(alive);
}
