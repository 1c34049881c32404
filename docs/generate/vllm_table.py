"""What protection costs on a real vLLM, as a table of the page on deployment."""

import json
from pathlib import Path
from typing import Any


_RESULTS = Path(__file__).parents[2] / "examples" / "load" / "results" / "vllm.json"
# Clients and tokens of the columns with ratios; the last gives the other columns too.
_SHAPES = ((16, 20), (16, 200), (1, 20), (1, 200))


def vllm_table() -> str:
    """Return a row for each path and way, all as measured by `examples.load.vllm_compare`."""
    rows = json.loads(_RESULTS.read_text("utf-8"))
    found = {(row["clients"], row["tokens"], row["path"], row["way"]): row for row in rows}
    lines = [
        "| | 16 clients, 20 tokens | 16, 200 | 1, 20 | 1, 200 | median, p95, s "
        "| first word, s | requests/s | tokens computed |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for path, way in dict.fromkeys((row["path"], row["way"]) for row in rows):
        ratios = [f"{found[*shape, path, way]['ratio_to_direct']:.2f}" for shape in _SHAPES]
        cells = [f"{path}, {way}", *ratios, *_cells(found[*_SHAPES[-1], path, way])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        f"{row['ms_median'] / 1000:.2f}, {row['ms_p95'] / 1000:.2f}",
        f"{row['first_ms_median'] / 1000:.2f}",
        f"{row['requests_per_s']:.2f}",
        f"{row['tokens_computed']:.0f}",
    ]
