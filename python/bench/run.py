"""Compares clients and writes docs/bench/python.md: ``run.py [--events N] [--rounds N]``.

Prints, as JSON, the rows of the chart that ``cargo xtask bench python`` draws.

Each measurement runs in its own process. The clients take turns, so that other load on the machine
affects all of them equally.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from clients import CLIENTS

HERE = Path(__file__).parent
OUT = HERE.parents[1] / "docs" / "bench"
REFERENCE = "launchdarkly-eventsource"
FLOOR = "http.client, lines only"
# Not httpx: each of its clients loads the certificates, which would dominate the latency.
LATENCY = ["everstream", REFERENCE, FLOOR]
CONNECTIONS = 200
# Events in an HTTP chunk. The chart shows the first.
PER_CHUNK = {64: "64 events in each HTTP chunk", 1: "One event in each HTTP chunk"}


@dataclass(frozen=True)
class Spread:
    """The results of all rounds."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, rounds: Iterable[float]) -> Spread:
        values = list(rounds)
        return cls(statistics.median(values), min(values), max(values))

    def cell(self, digits: int) -> str:
        median, lowest, highest = (
            f"{value:,.{digits}f}" for value in (self.median, self.lowest, self.highest)
        )
        return f"{median} ({lowest}-{highest})"


def measure(what: str, client: str, url: str, count: int) -> Any:
    command = [sys.executable, str(HERE / "clients.py"), what, client, url, str(count)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def rates(base: str, events: int, rounds: int) -> dict[int, dict[str, Spread]]:
    """For each number of events in a chunk: thousand events per second of CPU time."""
    measured: dict[int, dict[str, list[float]]] = {
        per_chunk: {client: [] for client in CLIENTS} for per_chunk in PER_CHUNK
    }
    for number in range(rounds):
        for per_chunk, clients in measured.items():
            for client, results in clients.items():
                rate = measure("rate", client, f"{base}/{{}}/{per_chunk}", events)
                results.append(rate / 1000)
                print(
                    f"{PER_CHUNK[per_chunk]}, round {number + 1}, {client}: {rate:,.0f}",
                    file=sys.stderr,
                )
    return {
        per_chunk: {client: Spread.of(results) for client, results in clients.items()}
        for per_chunk, clients in measured.items()
    }


def latencies(base: str, rounds: int) -> dict[str, tuple[Spread, Spread]]:
    """The p50 and p99 of each round, in milliseconds."""
    measured: dict[str, list[list[float]]] = {client: [] for client in LATENCY}
    for _ in range(rounds):
        for client, results in measured.items():
            results.append(measure("latency", client, f"{base}/{{}}/1", CONNECTIONS))
    return {
        client: (
            Spread.of(1000 * taken[len(taken) // 2] for taken in results),
            Spread.of(1000 * taken[len(taken) * 99 // 100] for taken in results),
        )
        for client, results in measured.items()
    }


def named(client: str) -> str:
    """The name with its version, if it has one."""
    if client == FLOOR:
        return client
    package, comma, rest = client.partition(",")
    return f"{package} {version(package)}{comma}{rest}"


def fastest_first(rate: dict[str, Spread]) -> list[tuple[str, Spread]]:
    return sorted(rate.items(), key=lambda item: -item[1].median)


def page(
    rate: dict[int, dict[str, Spread]],
    latency: dict[str, tuple[Spread, Spread]],
    events: int,
    rounds: int,
    load: float,
) -> str:
    lines = [
        "# The Python clients, compared",
        "",
        "`cargo xtask bench python` measures this and writes this page: "
        f"{events:,} events of 235 bytes over loopback, as language models send them, from a "
        "server in another process that writes 64 of them at once. Each measurement is a process "
        f"of its own, and the clients take turns. A cell is the median of {rounds} rounds, with "
        "the lowest and the highest in brackets. CPU is user and system time of all threads. "
        f"CPython {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores with a load of {load:.0f} from others when it began. "
        "Compare the ratios: they are of one run, and absolute values are this machine's.",
        "",
        "![events per second of CPU](python.svg)",
        "",
    ]
    for per_chunk, title in PER_CHUNK.items():
        lines += [
            f"## {title}",
            "",
            f"| client | thousand events/s of CPU | ratio to {REFERENCE} |",
            "|---|---|---|",
        ]
        reference = rate[per_chunk][REFERENCE].median
        for client, events_per_second in fastest_first(rate[per_chunk]):
            ratio = events_per_second.median / reference
            lines.append(f"| {named(client)} | {events_per_second.cell(0)} | {ratio:.2f} |")
        lines.append("")
    lines += [
        "## Latency of the first event",
        "",
        f"A new client connects, reads its first event and closes, {CONNECTIONS} times in each "
        "round:",
        "",
        "| client | p50, ms | p99, ms |",
        "|---|---|---|",
    ]
    lines += [
        f"| {named(name)} | {p50.cell(2)} | {p99.cell(2)} |" for name, (p50, p99) in latency.items()
    ]
    return "\n".join(lines) + "\n"


def count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it must be 1 or more")
    return number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=count, default=200_000)
    parser.add_argument("--rounds", type=count, default=5)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    server = subprocess.Popen([sys.executable, str(HERE / "server.py")], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        rate = rates(url, options.events, options.rounds)
        latency = latencies(url, options.rounds)
    finally:
        server.kill()
        server.wait()
    text = page(rate, latency, options.events, options.rounds, load)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "python.md").write_text(text, encoding="utf-8")
    print(text, file=sys.stderr)
    charted = fastest_first(rate[next(iter(PER_CHUNK))])
    print(json.dumps([(name, spread.median) for name, spread in charted]))


if __name__ == "__main__":
    main()
