"""Measures on a real vLLM what protection costs, beside the direct answer and the published calls.

    python -m examples.load.vllm_compare          # 15 minutes on 2 cores; `make vllm` does it too

Within a round all ways take turns on one server. No request has an image or a text that another
had. The model never ends an answer, see `paced_tiny`: every text becomes as long as it may be. The
engine's own switch, ``ignore_eos``, is a field that a gateway refuses, since it keeps an answer
from ending. Such a model's verdict says nothing; yes and no are equally likely, and the gateway's
threshold says what is flagged: everything, at its first checkpoint, or nothing. So both presets
read verdicts by ``logits`` here. A verdict may have as many tokens as a model needs that ends it.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from modeling_ecso import ECSOConfig

from .paced_tiny import write_paced_tiny
from .processes import gateway
from .vllm_environment import served_by_vllm
from .vllm_ways import CAPTION_TOKENS, VERDICT_TOKENS, Ask, Ways


RESULTS = Path(__file__).with_name("results")
LENGTHS = (20, 200)
CLIENTS = (1, 16)
# Each p(unsafe) is a half.
THRESHOLDS = {"benign": 0.9, "flagged": 0.1}
# How a gateway's streams begin, and what its way is called beside its preset.
STREAMS = {"verdict": "", "windows": ", windows"}


@dataclass
class Seen:
    """What some requests of one kind took.

    Args:
        seconds: Of each answer, whole.
        first: Seconds to the first visible token of each.
        wall: Seconds in which all were answered.
        computed: Tokens that the server computed for each, prompt tokens found in its cache left
            out.
    """

    seconds: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    wall: float = 0.0
    computed: list[float] = field(default_factory=list)

    def add(self, other: "Seen") -> None:
        """Take in what another round has seen."""
        self.seconds += other.seconds
        self.first += other.first
        self.wall += other.wall
        self.computed += other.computed


async def ask_all(ask: Ask, numbers: list[int], clients: int, metrics_url: str) -> Seen:
    """Ask once for each number, with so many clients at a time."""
    left, seen = list(numbers), Seen()
    computed = tokens_computed(metrics_url)
    started = time.perf_counter()

    async def work() -> None:
        while left:
            first, seconds = await ask(left.pop())
            seen.first.append(first)
            seen.seconds.append(seconds)

    await asyncio.gather(*(work() for _ in range(clients)))
    seen.wall = time.perf_counter() - started
    seen.computed = [(tokens_computed(metrics_url) - computed) / len(numbers)]
    return seen


def tokens_computed(metrics_url: str) -> float:
    """Return how many tokens vLLM has computed since it started."""
    with urllib.request.urlopen(metrics_url) as page:
        lines = page.read().decode().splitlines()

    def counter(name: str) -> float:
        return sum(float(line.split()[-1]) for line in lines if line.startswith(f"vllm:{name}"))

    asked, found = counter("prompt_tokens_total"), counter("prefix_cache_hits_total")
    return asked - found + counter("generation_tokens_total")


async def measure(
    model_url: str, gateway_urls: dict[tuple[str, str], str], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Return a row for each path, length, number of clients and way."""
    metrics_url = model_url.removesuffix("/v1") + "/metrics"
    rows, number = [], 0
    for clients, length, path in product(options.clients, options.lengths, THRESHOLDS):
        ways = Ways(model_url, gateway_urls, length).of(path)
        seen = {name: Seen() for name in ways}
        ratios: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(options.rounds + 1):
            medians = {}
            for name, ask in ways.items():
                count = max(options.requests, clients)
                numbers = list(range(number, number + count))
                number += count
                one = await ask_all(ask, numbers, clients, metrics_url)
                medians[name] = statistics.median(one.seconds)
                if turn:  # the first round warms up
                    seen[name].add(one)
            if turn:
                for name in ways:
                    ratios[name].append(medians[name] / medians["direct"])
        for name in ways:
            rows.append(
                {
                    "clients": clients,
                    "tokens": length,
                    "path": path,
                    "way": name,
                    **row(seen[name], statistics.median(ratios[name])),
                }
            )
            show(rows[-1])
    return rows


def row(seen: Seen, ratio: float) -> dict[str, float]:
    """Return the figures of one way."""
    return {
        "ms_median": round(statistics.median(seen.seconds) * 1000, 1),
        "ms_p95": round(_percentile_95(seen.seconds) * 1000, 1),
        "first_ms_median": round(statistics.median(seen.first) * 1000, 1),
        "requests_per_s": round(len(seen.seconds) / seen.wall, 2),
        "tokens_computed": round(statistics.mean(seen.computed), 1),
        "ratio_to_direct": round(ratio, 2),
    }


def _percentile_95(seconds: list[float]) -> float:
    # Inclusive: of few, it is not beyond the longest.
    return statistics.quantiles(seconds, n=20, method="inclusive")[-1]


def show(row: dict[str, Any]) -> None:
    """Print one row."""
    print(
        f"{row['clients']:>3} {row['tokens']:>4} {row['path']:8} {row['way']:18} "
        f"{row['ms_median']:>9.1f} {row['ms_p95']:>9.1f} {row['first_ms_median']:>9.1f} "
        f"{row['requests_per_s']:>7.2f} {row['tokens_computed']:>8.1f} "
        f"{row['ratio_to_direct']:>6.2f}",
        flush=True,
    )


def gateway_ecso_config(path: str, preset: str, stream: str) -> dict[str, Any]:
    """Return what a gateway is started with: the preset, and what the measurement needs."""
    wanted = ECSOConfig.from_preset(preset).detect_max_new_tokens
    return {
        "preset": preset,
        "stream": stream,
        "detect_max_new_tokens": min(wanted, VERDICT_TOKENS),
        "verdict_rule": "logits",
        "unsafe_threshold": THRESHOLDS[path],
        "unclear_is_unsafe": path == "flagged",
        "caption_max_new_tokens": CAPTION_TOKENS,
    }


def main() -> int:
    """Serve, measure, write results and plot."""
    options = _options()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_paced_tiny(home / "paced")
        model_url = stack.enter_context(served_by_vllm(home / "paced", home))
        urls = {}
        for path, preset, stream in product(THRESHOLDS, ("paper", "hardened"), STREAMS):
            ecso_config = home / f"{path}-{preset}-{stream}.json"
            ecso_config.write_text(json.dumps(gateway_ecso_config(path, preset, stream)), "utf-8")
            urls[path, f"{preset}{STREAMS[stream]}"] = stack.enter_context(
                gateway(model_url, home, "--ecso-config", str(ecso_config))
            )
        print(
            "clients, tokens, path, way: ms at the median and the 95th percentile, ms to the first "
            "token,\nrequests per second, tokens computed for each, ratio to direct"
        )
        rows = asyncio.run(measure(model_url, urls, options))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "vllm.json").write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    plot(rows, options.out / "vllm.png")
    return 0


def plot(rows: list[dict[str, Any]], file: Path) -> None:
    """Draw the ratios to the direct answer, one panel for each number of clients and length."""
    from matplotlib.figure import Figure

    shapes = sorted({(row["clients"], row["tokens"]) for row in rows})
    figure = Figure(figsize=(3.2 * len(shapes), 3.2), layout="constrained")
    for place, (clients, tokens) in enumerate(shapes):
        axes = figure.add_subplot(1, len(shapes), place + 1)
        chosen = [row for row in rows if (row["clients"], row["tokens"]) == (clients, tokens)]
        names = [f"{row['way']}, {row['path']}" for row in chosen if row["way"] != "direct"]
        values = [row["ratio_to_direct"] for row in chosen if row["way"] != "direct"]
        axes.barh(names[::-1], values[::-1])
        axes.axvline(1, color="black", linewidth=0.8)
        axes.set_title(f"{clients} client{'s' * (clients > 1)}, {tokens} tokens", fontsize=9)
        axes.set_xlabel("time / direct", fontsize=8)
        axes.tick_params(labelsize=7, labelleft=not place)
    figure.savefig(file, dpi=130)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS)
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS, help="tokens")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=3, help="in a round, or one of each client")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
