"""The gateway as replicas in Ray Serve, and behind LiteLLM's proxy; the real ones of both.

    python -m tests.clients.fronts

Installs each into an environment of its own below `build` first, which takes some minutes; Ray's
has what the gateway imports and no torch. Both read the files that docs/deployment.md shows. Not
part of the tests: it needs a package index.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.clients.run import HERE, installed
from tests.support.servers import PROJECT, ecso_serve, free_port, running, wait_until_ready


REPLICAS = 2
KEY = "sk-0123456789abcdef0123456789abcdef"
PAGE = PROJECT / "docs" / "deployment.md"


def main() -> int:
    """Install what is needed, start it, ask; returns the exit status."""
    ray, litellm = (installed(f"requirements-{name}.txt") for name in ("ray", "litellm"))
    status, model_port = 0, free_port()
    script = PROJECT / "examples" / "load" / "scripted_upstream.py"
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder)
        with running([sys.executable, script, "--port", str(model_port)], logs / "model.log"):
            upstream = f"http://127.0.0.1:{model_port}/v1"
            with in_ray(ray, upstream, logs) as url:
                print("in Ray Serve")
                status |= asked(litellm, url, "openai")
                status |= not has_replicas(url)
            with behind_litellm(litellm, upstream, logs) as url:
                print("behind LiteLLM's proxy")
                status |= asked(litellm, url, "openai, through litellm")
    return status


def asked(python: Path, url: str, client: str) -> int:
    """Ask with a client; returns the exit status."""
    environment = {**os.environ, "OPENAI_API_KEY": KEY}
    asking = [python, HERE / "ask.py", f"{url}/v1", client]
    return subprocess.run(asking, env=environment).returncode


def has_replicas(url: str) -> bool:
    """Return whether all replicas answer; each shows counters of its own, begun at its start."""
    begun = set()
    for _ in range(200):
        with urllib.request.urlopen(f"{url}/metrics", timeout=5) as response:
            page = response.read().decode()
        begun.update(re.findall(r"^ecso_request_seconds_created (\S+)$", page, re.MULTILINE))
        if len(begun) == REPLICAS:
            break
    print(f"replicas      {len(begun)} of {REPLICAS}")
    return len(begun) == REPLICAS


@contextlib.contextmanager
def in_ray(python: Path, upstream: str, logs: Path) -> Iterator[str]:
    """Serve `examples/ray_serve.py` in a Ray of its own; yields its URL."""
    port = free_port()
    config = shown_in_page("import_path").replace("http://10.0.0.11:8000/v1", upstream)
    config = config.replace("port: 8080", f"port: {port}").replace(
        "host: 0.0.0.0", "host: 127.0.0.1"
    )
    config = re.sub(r"model: \S+", "model: scripted", config)
    (logs / "serve.yaml").write_text(config, "utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": f"{PROJECT}:{PROJECT / 'examples'}",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    command = [python.parent / "serve", "run", logs / "serve.yaml"]
    with running(command, logs / "ray.log", environment, folder=logs) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(f"{url}/health", process, logs / "ray.log")
            yield url
        finally:
            process.send_signal(signal.SIGINT)  # so that Ray's own processes end as well
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(90)


@contextlib.contextmanager
def behind_litellm(python: Path, upstream: str, logs: Path) -> Iterator[str]:
    """Start a gateway and LiteLLM's proxy in front of it; yields the proxy's URL."""
    port, own_port = free_port(), free_port()
    config = shown_in_page("model_list").replace(
        "http://10.0.0.20:8080", f"http://127.0.0.1:{port}"
    )
    (logs / "litellm.yaml").write_text(config.replace("llava", "scripted"), "utf-8")
    command = [python.parent / "litellm", "--config", logs / "litellm.yaml"]
    command += ["--host", "127.0.0.1", "--port", str(own_port)]
    environment = {
        **os.environ,
        "LITELLM_MASTER_KEY": KEY,
        "ECSO_KEY": "none",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    with (
        running(ecso_serve(upstream, "scripted", port), logs / "gateway.log") as gateway,
        running(command, logs / "litellm.log", environment, folder=logs) as process,
    ):
        wait_until_ready(f"http://127.0.0.1:{port}/health", gateway, logs / "gateway.log")
        url = f"http://127.0.0.1:{own_port}"
        wait_until_ready(f"{url}/health/liveliness", process, logs / "litellm.log")
        yield url


def shown_in_page(word: str) -> str:
    """Return the one YAML file in docs/deployment.md that has a word."""
    files = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (file,) = [file for file in files if word in file]
    return file


if __name__ == "__main__":
    sys.exit(main())
