"""Readers of the five benchmarks: official layouts and Hub mirrors → `Item`s, or one clear error.

Nothing is skipped silently: a row or image that cannot be used stops the reading.
"""
