"""Five benchmarks in miniature, in their official layouts."""
