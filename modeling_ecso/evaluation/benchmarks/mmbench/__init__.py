"""MMBench: multiple choice, with the options in every rotation."""
