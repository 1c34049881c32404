"""FigStep: harmful instructions in print, to be filled in as a list."""
