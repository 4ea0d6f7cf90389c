#!/usr/bin/env bash
# Stores a feed in Redis with two relays, while the relays and Redis are killed in turn (kill -9). Then
# checks that every event is stored once, in order.
#
#     cargo build -p everstream-cli --features relay-redis
#     examples/kill-either.sh [EVENTS]
#
# Needs redis-server and redis-cli (Debian: redis-server). Uses a temporary folder and free ports, and
# ends only its own processes. Set EVERSTREAM to use another command than target/debug/everstream.
set -euo pipefail

events=${1:-3000}
root=$(cd "$(dirname "$0")/.." && pwd)
everstream=${EVERSTREAM:-$root/target/debug/everstream}
folder=$(mktemp -d)
declare -A pids=()

finish() {
    local status=$?
    for name in "${!pids[@]}"; do
        kill -9 "${pids[$name]}" 2>/dev/null || true
    done
    wait 2>/dev/null || true
    if [ "$status" = 0 ]; then
        rm -rf "$folder"
    else
        echo "failed; the logs are in $folder" >&2
    fi
}
trap finish EXIT
trap 'exit 130' INT TERM

for program in redis-server redis-cli "$everstream"; do
    command -v "$program" >/dev/null || { echo "$program is missing; see the top of $0" >&2; exit 1; }
done

# Waits up to 60 s until a command succeeds.
until_true() {
    local what=$1 deadline=$((SECONDS + 60))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || { echo "gave up waiting: $what" >&2; exit 1; }
        sleep 0.05
    done
}

cli() { redis-cli -s "$folder/redis.sock" "$@" 2>/dev/null; }
redis_answers() { [ "$(cli PING)" = PONG ]; }
stored() { cli XLEN orders || true; }
has_stored() { local n; n=$(stored); [ "${n:-0}" -ge "$1" ] 2>/dev/null; }

start_redis() {
    # With `appendfsync always`, acknowledged writes survive a crash of Redis.
    redis-server --port 0 --unixsocket "$folder/redis.sock" --dir "$folder" --save '' \
        --appendonly yes --appendfsync always >>"$folder/redis.log" 2>&1 &
    pids[redis]=$!
    until_true "Redis answers" redis_answers
}

start_relay() {
    "$everstream" relay "$url" "redis+unix://$folder/redis.sock?key=orders" --batch 64 --takeover 1s \
        >>"$folder/relay-$1.json" 2>>"$folder/relay-$1.log" &
    pids[$1]=$!
}

# Prints the last role that a relay has reported.
role() { grep -o '"role":"[a-z]*"' "$folder/relay-$1.json" 2>/dev/null | tail -n 1 | cut -d '"' -f 4; }
active() {
    local name
    for name in a b; do
        if [ "$(role "$name")" = active ]; then echo "$name"; return; fi
    done
    return 1
}
has_active() { active >/dev/null; }

kill_now() {
    # Suppresses bash's message about the killed job.
    { kill -9 "${pids[$1]}"; wait "${pids[$1]}" || true; } 2>/dev/null
    unset "pids[$1]"
}

# The feed: numbered events with ids, about 200 a second, kept so that clients can resume.
{ for ((i = 1; i <= events; i++)); do echo "event $i"; ((i % 10)) || sleep 0.05; done; } |
    "$everstream" serve --keep-open --history "$events" >"$folder/url" 2>"$folder/feed.log" &
pids[feed]=$!
until_true "the feed listens" test -s "$folder/url"
url=$(head -n 1 "$folder/url")

start_redis
start_relay a
start_relay b
for round in 1 2 3; do
    until_true "round $round: events are stored" has_stored $((events * round / 5))
    until_true "a relay is active" has_active
    victim=$(active)
    echo "$(stored) of $events stored: kill -9 of the active relay, $victim"
    kill_now "$victim"
    rm "$folder/relay-$victim.json"
    until_true "the standby takes over" has_active
    start_relay "$victim"
done
until_true "the last takeover" has_stored $((events * 4 / 5))
echo "$(stored) of $events stored: kill -9 of Redis"
kill_now redis
start_redis
until_true "all events are stored" has_stored "$events"

cli XRANGE orders - + | grep '^event [0-9]' >"$folder/stored"
for ((i = 1; i <= events; i++)); do echo "event $i"; done >"$folder/published"
cmp "$folder/published" "$folder/stored"
echo "all $events events are stored once, in order"
