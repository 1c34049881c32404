"""Benchmarks as Inspect AI tasks, their metrics, judges, exports and report.

Needs the extra ``eval``: ``pip install "ecso-llava[eval]"``. To add a benchmark, add a folder to
``benchmarks/``. Its record (`benchmark.Benchmark`) says all of it; what follows names none:

    tasks         `Item`s → Inspect tasks; `provider` answers them, `scorers` have them judged
    logs          Inspect's logs → `EvalRun`s, plain records of what was asked, answered and judged
    side_by_side  which `EvalRun`s may stand side by side
    summary       their figures side by side, direct and protected
    exports, report   what is written from them

``metrics/`` and `safety` hold what several benchmarks share.
"""
