"""Plots the panels of the Grafana dashboard from a run of load, without Grafana or Prometheus.

    python -m examples.load.dashboard --out examples/load/results/dashboard.png

Starts the scripted model server and a gateway, sends requests of which some are unsafe and some
meet a fault, reads `/metrics` every second, and draws what a dashboard would show of it.
"""

import argparse
import asyncio
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from .load import run_all, scripted
from .panels import PANELS, Panel
from .processes import free_port, gateway, server


# Rates are over so many readings, as Grafana's are over an interval.
WINDOW = 5
# One unsafe request in some, and a fault in some; the scripted server knows them by their text.
FAULT_SHARE = 0.1
Line = tuple[list[float], list[float]]


class Reading(NamedTuple):
    """What `/metrics` said at a time: values by sample name and labels."""

    seconds: float
    values: dict[tuple[str, frozenset[tuple[str, str]]], float]


def main() -> int:
    """Run the load and draw it; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="file of the image")
    parser.add_argument("--requests", type=int, default=1500)
    parser.add_argument("--clients", type=int, default=20)
    chosen = parser.parse_args()
    readings = asyncio.run(_run(chosen.requests, chosen.clients))
    draw(readings, chosen.out)
    print(f"{chosen.requests} requests, {len(readings)} readings: {chosen.out}")
    return 0


async def _run(requests: int, clients: int) -> list[Reading]:
    port = free_port()
    upstream = f"http://127.0.0.1:{port}/v1"
    command = [sys.executable, "-m", "examples.load.scripted_upstream", "--port", str(port)]
    with (
        tempfile.TemporaryDirectory() as home,
        server([*command, "--step-ms", "200"], f"{upstream}/models"),
        gateway(upstream, Path(home), "--step-timeout", "2") as url,
    ):
        readings: list[Reading] = []
        reading = asyncio.create_task(_read_on(url.removesuffix("/v1"), readings))
        asked = [scripted(number, "tiny", FAULT_SHARE) for number in range(requests)]
        await run_all(f"{url}/", asked, clients, lambda done: None)
        await asyncio.sleep(2)
        reading.cancel()
    return readings


async def _read_on(url: str, readings: list[Reading]) -> None:
    began = time.monotonic()
    while True:
        page = await asyncio.to_thread(_page, f"{url}/metrics")
        values = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
        }
        readings.append(Reading(time.monotonic() - began, values))
        await asyncio.sleep(1)


def _page(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def lines_of(panel: Panel, readings: list[Reading]) -> dict[str, Line]:
    """Return the lines of a panel by what they stand for, each as seconds and values."""
    lines: dict[str, Line] = defaultdict(lambda: ([], []))
    for place in range(1, len(readings)):
        earlier, now = readings[max(0, place - WINDOW)], readings[place]
        for name, value in _values(panel, earlier, now).items():
            lines[name][0].append(now.seconds)
            lines[name][1].append(value)
    return dict(sorted(lines.items()))


def _values(panel: Panel, earlier: Reading, now: Reading) -> dict[str, float]:
    if panel.kind == "value":
        return {panel.title: sum(_by_label(panel, panel.metric, now).values())}
    if panel.kind == "rate":
        before = _by_label(panel, f"{panel.metric}_total", earlier)
        after = _by_label(panel, f"{panel.metric}_total", now)
        span = now.seconds - earlier.seconds
        return {name: (value - before.get(name, 0)) / span for name, value in after.items()}
    return _quantiles(panel, earlier, now)


def _by_label(panel: Panel, sample: str, reading: Reading) -> dict[str, float]:
    sums: dict[str, float] = defaultdict(float)
    for (name, labels), value in reading.values.items():
        if name == sample:
            sums[dict(labels).get(panel.by or "", panel.title)] += value
    return sums


def _quantiles(panel: Panel, earlier: Reading, now: Reading) -> dict[str, float]:
    """Return the bound below which 95 of 100 lie, by the buckets that have come since."""
    counts: dict[str, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    for (name, labels), value in now.values.items():
        if name == f"{panel.metric}_bucket":
            said = dict(labels)
            since = value - earlier.values.get((name, labels), 0)
            counts[said.get(panel.by or "", panel.title)][float(said["le"])] += since
    found = {line: _within(sorted(buckets.items())) for line, buckets in counts.items()}
    return {line: seconds for line, seconds in found.items() if seconds is not None}


def _within(buckets: list[tuple[float, float]]) -> float | None:
    """Return where 95 of 100 lie, as Prometheus does: as if each bucket were filled evenly."""
    wanted = 0.95 * buckets[-1][1]
    lower, below = 0.0, 0.0
    for bound, count in buckets:
        if wanted and count >= wanted and bound != float("inf"):
            return lower + (bound - lower) * (wanted - below) / (count - below)
        lower, below = bound, count
    return None


def draw(readings: list[Reading], file: Path) -> None:
    """Draw all panels into one image."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3 * (len(PANELS) // 2)), layout="constrained")
    for panel, axes in zip(PANELS, figure.subplots(len(PANELS) // 2, 2).flat, strict=True):
        for name, (seconds, values) in lines_of(panel, readings).items():
            axes.plot(seconds, values, label=name)
        axes.set_title(panel.title, fontsize=10)
        axes.set_ylim(bottom=0)
        axes.set_ylabel({"s": "s", "reqps": "per second"}.get(panel.unit, ""), fontsize=8)
        axes.set_xlabel("seconds", fontsize=8)
        if axes.lines:
            axes.legend(fontsize=7, frameon=False)
    figure.savefig(file, dpi=80)


if __name__ == "__main__":
    sys.exit(main())
