"""The benchmarks in miniature, in their official layouts."""
