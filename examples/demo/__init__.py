"""The image of the demo in the README."""
