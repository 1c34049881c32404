"""A small Hub on this machine, and what is published there put to use."""
