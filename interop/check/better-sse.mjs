// better-sse over node's own server: `node better-sse.mjs PORT`.
import http from "node:http";
import { createSession } from "better-sse";
import { event, first } from "./feed.mjs";

const server = http.createServer(async (request, response) => {
  const session = await createSession(request, response);
  for (let id = first(session.lastId); ; id++) {
    const data = await event(id);
    if (!session.isConnected) return;
    session.push(JSON.parse(data), "tick", String(id));
  }
});
server.listen(Number(process.argv[2]), "127.0.0.1");
