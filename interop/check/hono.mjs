// Hono's streamSSE under @hono/node-server: `node hono.mjs PORT`. `/feed` has an event each second. `/quiet`
// has one event, and then nothing for 20 s.
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";
import { event, first } from "./feed.mjs";

const app = new Hono();
app.get("/feed", (context) =>
  streamSSE(context, async (stream) => {
    for (let id = first(context.req.header("last-event-id")); !stream.aborted; id++) {
      await stream.writeSSE({ id: String(id), retry: 1000, data: await event(id) });
    }
  }),
);
app.get("/quiet", (context) =>
  streamSSE(context, async (stream) => {
    await stream.writeSSE({ id: "1", retry: 1000, data: "hello" });
    await stream.sleep(20_000);
  }),
);
serve({ fetch: app.fetch, port: Number(process.argv[2]), hostname: "127.0.0.1" });
