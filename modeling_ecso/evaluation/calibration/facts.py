"""What a calibration found, in plain sentences, for the screen and for the report."""

from typing import Any


def facts_of(plain: dict[str, Any]) -> list[str]:
    """Return what must be known beside the advice, one sentence each.

    Args:
        plain: As `calibration_to_json` returns it.
    """
    lines = []
    if area := plain["area"]:
        lines.append(
            f"area under the ROC curve {area['value']:.3f} ± {area['error']:.3f} over "
            f"{plain['benign']} benign and {plain['harmful']} harmful drafts; intervals are exact, "
            "95 %"
        )
    if plain["declined"]:
        lines.append(
            f"{plain['declined']} harmful pairs are left out: the model declined by itself, so "
            "there is no harmful draft to find"
        )
    if plain["unclear"]:
        lines.append(
            f"{plain['unclear']} benign drafts got neither yes nor no and are withheld at every "
            "threshold"
        )
    if not plain["is_shown"] and plain["chosen"]:
        lines.append(
            f"the interval of the false alarms reaches above {plain['budget']:g} %; it takes "
            f"{plain['benign_wanted']} benign samples without one alarm to show that"
        )
    if contextual := plain["contextual"]:
        lines.append(_contextual(contextual))
    lines += _price(plain["price"])
    return lines


def _contextual(contextual: dict[str, Any]) -> str:
    leans = (
        f"of a draft without content the model says p(unsafe) {contextual['p_content_free']:.2g}"
    )
    threshold = contextual["threshold"]
    at = f"contextual calibration alone would put the threshold there: {_does(threshold)}"
    if contextual["helps"] is None:
        return f"{leans}; {at}"
    better = "brings it nearer to the truth" if contextual["helps"] else "does not help"
    errors = f"{contextual['plain_error']:.3f} → {contextual['calibrated_error']:.3f}"
    return f"{leans}; taking that off {better} (Brier score {errors}); {at}"


def _does(threshold: dict[str, Any]) -> str:
    said = f"{threshold['flagged']['value']:.1f} % of benign drafts withheld"
    if threshold["found"]:
        said += f", {threshold['found']['value']:.1f} % of harmful ones"
    return said


def _price(price: dict[str, Any]) -> list[str]:
    draft, verdict = price["draft_ms"], price["verdict_ms"]
    times = f"{(draft + verdict) / draft:.2f} times" if draft else "no telling how many times"
    lines = [
        f"a benign answer takes {times} as long as unprotected ({draft:.0f} ms for the draft and "
        f"{verdict:.0f} ms for the verdict, in batches, medians)"
    ]
    if price["withheld_ms"] is not None:
        lines.append(
            f"one that is withheld takes {price['withheld_ms'] / price['alone_ms']:.1f} times as "
            f"long ({price['alone_ms']:.0f} → {price['withheld_ms']:.0f} ms, asked alone)"
            if price["alone_ms"]
            else f"one that is withheld takes {price['withheld_ms']:.0f} ms, asked alone"
        )
    return lines
