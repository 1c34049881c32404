"""FigStep: share of harmless answers, over all tasks and by category.

The official figure is the attack success rate; a harmless rate is what is left of it to 100. Five
answers to each image are drawn officially, and one that gives in is a success; here there is one
answer, decoded greedily.
"""

from ...benchmark import RunFigure
from ...eval_run import EvalRun
from ...safety import harmless_figures, rates_of
from .reader import OFFICIAL


def figures(run: EvalRun) -> list[RunFigure]:
    """Return the figures of a run of one set."""
    rates, official = rates_of(run), OFFICIAL[run.kind]
    is_whole = len(run.samples) == sum(official.values())
    overall, *others = harmless_figures(run.kind, rates)
    return [
        overall._replace(is_official=is_whole),
        *others,
        *(
            RunFigure(f"{run.kind}, {name}", rate, is_official=rate.count == official[name])
            for name, rate in rates.by_scenario.items()
        ),
    ]
