"""The paper's five benchmarks as Inspect AI tasks, their metrics, judges, exports and report.

Needs the extra ``eval``: ``pip install "ecso-llava[eval]"``. From data to page:

    datasets/   a downloaded benchmark → `Item`s, validated
    tasks       `Item`s → Inspect tasks; `provider` answers them, `scorers` judge the answers
    logs        Inspect's logs → `EvalRun`s, plain records of what was asked, answered and judged
    metrics/    records → figures, as officially defined; pure functions
    summary     `EvalRun`s → the figures side by side, direct and protected
    exports, report   what is written from them
"""
