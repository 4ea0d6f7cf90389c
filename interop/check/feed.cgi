#!/bin/sh
# An event each second, as a CGI program. Ids are times in seconds; the last 100 can be resumed.

number=$(($(date +%s) - 2))
case "$HTTP_LAST_EVENT_ID" in
  '' | *[!0-9]* | ???????????*) ;;
  *)
    if [ "$HTTP_LAST_EVENT_ID" -gt $((number - 100)) ] && [ "$HTTP_LAST_EVENT_ID" -le "$(date +%s)" ]; then
      number=$((HTTP_LAST_EVENT_ID + 1))
    fi
    ;;
esac
printf 'Content-Type: text/event-stream\nCache-Control: no-cache\n\nretry: 1000\n\n'
while :; do
  while [ "$(date +%s)" -lt "$number" ]; do sleep 0.1; done
  printf 'id: %s\ndata: {"tick": %s}\n\n' "$number" "$number" || exit
  number=$((number + 1))
done
