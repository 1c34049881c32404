"""The tiny world, the training of the tiny model and its measurements."""
