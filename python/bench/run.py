"""Compares clients and writes docs/bench/python.md: ``run.py [--events N] [--rounds N]``.

Prints, as JSON, the rows of the chart that ``cargo xtask bench python`` draws.

Every measurement is a process of its own; in each round each client has its turn, so that what else
the machine does meets all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from clients import CLIENTS

HERE = Path(__file__).parent
OUT = HERE.parents[1] / "docs" / "bench"
REFERENCE = "launchdarkly-eventsource"
FLOOR = "http.client, lines only"
# Not httpx: each of its clients loads the certificates, which isn't what is asked here.
LATENCY = ["everstream", REFERENCE, FLOOR]
CONNECTIONS = 200


def measure(what: str, client: str, url: str, count: int) -> Any:
    command = [sys.executable, str(HERE / "clients.py"), what, client, url, str(count)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def rates(url: str, events: int, rounds: int) -> dict[str, float]:
    measured: dict[str, list[float]] = {client: [] for client in CLIENTS}
    for number in range(rounds):
        for client, results in measured.items():
            results.append(measure("rate", client, url, events))
            print(f"round {number + 1}, {client}: {results[-1]:,.0f}", file=sys.stderr)
    return {client: statistics.median(results) for client, results in measured.items()}


def latencies(url: str, rounds: int) -> dict[str, tuple[float, float]]:
    """The median over the rounds of each round's p50 and p99, in milliseconds."""
    measured: dict[str, list[list[float]]] = {client: [] for client in LATENCY}
    for _ in range(rounds):
        for client, results in measured.items():
            results.append(measure("latency", client, url, CONNECTIONS))
    return {
        client: (
            1000 * statistics.median(taken[len(taken) // 2] for taken in results),
            1000 * statistics.median(taken[len(taken) * 99 // 100] for taken in results),
        )
        for client, results in measured.items()
    }


def named(client: str) -> str:
    """With its version, where it has one of its own."""
    if client == FLOOR:
        return client
    package, comma, rest = client.partition(",")
    return f"{package} {version(package)}{comma}{rest}"


def page(
    rate: dict[str, float],
    latency: dict[str, tuple[float, float]],
    events: int,
    rounds: int,
    load: float,
) -> str:
    lines = [
        "# The Python clients, compared",
        "",
        "`cargo xtask bench python` measures it and writes this page: "
        f"{events:,} events of 235 bytes over loopback, as language models send them, from a "
        "server in another process. A measurement is a process of its own; the clients take turns, "
        f"{rounds} rounds, medians. CPU is user and system time of all threads. "
        f"CPython {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores with a load of {load:.0f} from others when it began. "
        "Compare the ratios: they are of one run, and absolute values are this machine's.",
        "",
        "![events per second of CPU](python.svg)",
        "",
        f"| client | thousand events/s of CPU | ratio to {REFERENCE} |",
        "|---|---|---|",
    ]
    for client, events_per_second in sorted(rate.items(), key=lambda item: -item[1]):
        ratio = events_per_second / rate[REFERENCE]
        lines.append(f"| {named(client)} | {events_per_second / 1000:,.0f} | {ratio:.2f} |")
    lines += [
        "",
        f"A new client, a new connection, its first event, and the end of it, {CONNECTIONS} times:",
        "",
        "| client | p50, ms | p99, ms |",
        "|---|---|---|",
    ]
    lines += [f"| {named(name)} | {p50:.2f} | {p99:.2f} |" for name, (p50, p99) in latency.items()]
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
    OUT.mkdir(parents=True, exist_ok=True)
    text = page(rate, latency, options.events, options.rounds, load)
    (OUT / "python.md").write_text(text)
    ordered = sorted(rate.items(), key=lambda item: -item[1])
    print(text, file=sys.stderr)
    print(json.dumps([(name, n / 1000) for name, n in ordered]))


if __name__ == "__main__":
    main()
