// A feed with an event each second. Its last 100 events can be resumed; an unknown id starts where a new
// client starts.
const PERIOD = 1000;
const start = Date.now() - 10 * PERIOD;
const newest = () => Math.floor((Date.now() - start) / PERIOD);

/** The id of the first event for a client with this last id. */
export function first(lastId) {
  const known = /^\d+$/.test(lastId ?? "") && Number(lastId) <= newest();
  return Math.max(known ? Number(lastId) + 1 : newest() - 2, newest() - 100);
}

/** Waits for the event with this id; returns its data. */
export async function event(id) {
  while (newest() < id) await new Promise((resolve) => setTimeout(resolve, 50));
  return JSON.stringify({ tick: id });
}
