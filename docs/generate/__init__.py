"""Writes what the documentation shows of the code: settings, states, commands and figures."""
