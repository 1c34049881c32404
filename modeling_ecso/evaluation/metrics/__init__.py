"""The figures that several benchmarks share: pure functions of plain records.

All figures are percentages, from 0 to 100, unless a docstring says otherwise.
"""
