"""MM-SafetyBench: harmful queries in three kinds of image."""
