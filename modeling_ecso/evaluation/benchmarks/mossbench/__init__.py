"""MOSSBench: benign queries about images that look as if they were not."""
