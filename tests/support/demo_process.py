"""The demo as the browser tests meet it: the tiny model, broken and slow ones, and two servers.

Run as ``python -m tests.support.demo_process PORT VOTES_FILE``.
"""

import sys
import threading
import time
from pathlib import Path

import uvicorn

from examples.load.scripted_upstream import build_upstream
from modeling_ecso import ECSOConfig
from modeling_ecso.demo.app import offered_models, serve
from modeling_ecso.demo.demo_run import DemoModel, StepwiseRun
from modeling_ecso.demo.model_list import ModelList


SECRET = "a secret of the machine"
SLOW_S = 1.5
NOBODY_LISTENS = 9
# How long the scripted server takes for each word of a stream.
WORD_SECONDS = 0.01


class Broken(DemoModel, StepwiseRun):
    """A model whose first step fails with a message that must not be shown."""

    name = "broken"
    ecso_config = ECSOConfig.from_preset("paper")
    result = None

    def start(self, request):
        return self

    def step(self, shows_text):
        raise RuntimeError(SECRET)
        yield


class Slow(Broken):
    """The same after a while."""

    name = "slow"

    def step(self, shows_text):
        time.sleep(SLOW_S)
        yield from super().step(shows_text)


def start_scripted_server():
    upstream = build_upstream(word_seconds=WORD_SECONDS)
    server = uvicorn.Server(uvicorn.Config(upstream, port=0, log_level="error"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    return server.servers[0].sockets[0].getsockname()[1]


if __name__ == "__main__":
    ports = (start_scripted_server(), NOBODY_LISTENS)
    with offered_models([None], [f"http://127.0.0.1:{port}" for port in ports]) as offered:
        models = ModelList([*offered._local, Broken(), Slow()], offered._servers)
        serve(models, port=int(sys.argv[1]), votes=Path(sys.argv[2]))
