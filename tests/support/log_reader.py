"""Reads every log record as text, for tests that look for what must not be there."""

import logging


class LogReader(logging.Handler):
    def __init__(self):
        super().__init__(level=logging.DEBUG)
        self.said = []

    def emit(self, record):
        self.said.append(self.format(record))

    @property
    def text(self):
        return "\n".join(self.said)
