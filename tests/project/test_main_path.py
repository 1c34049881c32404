"""The way of an answer through the code stays short: it is what a reader has to follow."""

from examples.benchmark.main_path import watch_one_answer


def test_one_flagged_answer_crosses_few_modules():
    watch = watch_one_answer()
    assert watch.changes <= 60
    assert len(watch.modules) <= 12
    assert watch.deepest <= 7
