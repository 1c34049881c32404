"""Real client libraries against the gateway, in front of a scripted model server.

    python -m tests.clients.run

Installs the clients into environments below `build` first, which takes a minute or two; the agents
of OpenAI have one of their own, since no versions suit all. Not part of the tests: it needs a
package index, and fails where a new version of a client asks for something else.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.servers import PROJECT, ecso_serve, free_port, running, wait_until_ready


HERE = Path(__file__).parent
# What is installed together, and which of the clients of `ask.py` it is for.
ENVIRONMENTS = {
    "requirements.txt": ["openai", "litellm", "langchain", "llama-index", "pydantic-ai"],
    "requirements-agents.txt": ["openai-agents"],
}


def main() -> int:
    """Install what is needed, start both servers, ask; returns the exit status."""
    pythons = {name: installed(name) for name in ENVIRONMENTS}
    model_port, port = free_port(), free_port()
    script = PROJECT / "examples" / "load" / "scripted_upstream.py"
    model_server = [sys.executable, script, "--port", str(model_port)]
    gateway = ecso_serve(f"http://127.0.0.1:{model_port}/v1", "scripted", port)
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder)
        with (
            running(model_server, logs / "model.log"),
            running(gateway, logs / "gateway.log") as process,
        ):
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(f"{url}/health", process, logs / "gateway.log")
            status = 0
            for name, clients in ENVIRONMENTS.items():
                asking = [pythons[name], HERE / "ask.py", f"{url}/v1", *clients]
                status |= subprocess.run(asking).returncode
        print((logs / "gateway.log").read_text())
    return status


def installed(requirements: str) -> Path:
    """Return the Python of an environment that has them."""
    environment = (
        PROJECT / "build" / requirements.replace("requirements", "clients").removesuffix(".txt")
    )
    python = environment / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "--requirement", HERE / requirements], check=True)
    return python


if __name__ == "__main__":
    sys.exit(main())
