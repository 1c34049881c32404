"""The demo as the browser tests meet it: the tiny model, one that breaks and one that is slow.

Run as ``python -m tests.demo_process PORT VOTES_FILE``.
"""

import sys
import time
from pathlib import Path

from modeling_ecso import ECSOConfig
from modeling_ecso.cli.models import load_model
from modeling_ecso.cli.problem import Problem
from modeling_ecso.demo.app import serve
from modeling_ecso.demo.local_model import LocalModel
from modeling_ecso.demo.model_list import ModelList, ModelServer
from modeling_ecso.demo.watched_run import AnsweringModel, StepSource


class Broken(AnsweringModel, StepSource):
    """A model whose first step fails with a message that must not be shown."""

    name = "broken"
    stored_settings = ECSOConfig.from_preset("paper")
    result = None

    def start(self, question):
        return self

    def step(self):
        raise RuntimeError("a secret of the machine")
        yield


class Slow(Broken):
    """A model that takes a while and then has nothing to say."""

    name = "slow"

    def step(self):
        time.sleep(3)
        raise Problem("The slow model is done")
        yield


class DownAtFirst(ModelServer):
    """A server that cannot be reached the first time it is asked for its models."""

    is_up = False

    def models(self):
        if not self.is_up:
            self.is_up = True
            raise Problem("The server at nowhere:1 cannot be reached; start it and reload.")
        return [Broken(), Slow()]


if __name__ == "__main__":
    local = LocalModel(load_model(None))
    serve(ModelList([local], [DownAtFirst()]), port=int(sys.argv[1]), votes=Path(sys.argv[2]))
