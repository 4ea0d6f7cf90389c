"""Reads a stream with httpx-sse: `read.py URL COUNT`.

Each event is a line of JSON. It ends after COUNT events, or when the server says that there is no
more (0: only then). httpx-sse doesn't reconnect: that is done here, as its documentation has it.
"""

import json
import sys
import time

import httpx
import httpx_sse

url, count = sys.argv[1], int(sys.argv[2])
received, last_id = 0, ""
with httpx.Client(timeout=30, trust_env=False) as client:
    while True:
        headers = {"Last-Event-ID": last_id} if last_id else {}
        try:
            with httpx_sse.connect_sse(client, "GET", url, headers=headers) as source:
                if source.response.status_code == 204:
                    sys.exit()
                for event in source.iter_sse():
                    # It makes events of blocks without data too, such as that of `retry:`.
                    if not event.data:
                        continue
                    line = {"event": event.event, "id": event.id, "data": event.data}
                    print(json.dumps(line), flush=True)
                    received, last_id = received + 1, event.id
                    if received == count:
                        sys.exit()
        except httpx.TransportError as error:
            print(repr(error), file=sys.stderr)
        time.sleep(0.1)
