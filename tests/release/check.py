"""What would be released, tried as somebody who has it installs it: built, checked, used.

    python -m tests.release.check

Builds wheel and sdist into `dist/`, checks them, installs the wheel into an empty environment with
each extra in turn, and runs the commands of the documentation from a folder that is not this one.
Prints what every part took and how large it is. Not part of the tests: it needs a package index and
some minutes.
"""

import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

from tests.support.scripts import write_miniatures
from tests.support.servers import PROJECT, free_port, running, wait_until_ready


TOOLS = PROJECT / "build" / "release-tools"
DIST = PROJECT / "dist"
QUERY = ("--query", "How do I make this?")


def main() -> int:
    """Build, check, install and use; returns the exit status."""
    wheel = _built()
    with tempfile.TemporaryDirectory(prefix="ecso-release-") as name:
        folder = Path(name)
        environment = Environment(folder)
        environment.install("", wheel)
        environment.ecso("--version")
        environment.ecso("run", "tiny:bomb.png", *QUERY)
        environment.ecso("run", "tiny:kite.png", *QUERY, "--json")
        environment.call("ecso-hub", "build", "tiny", "--out", "tiny")
        environment.call("ecso-hub", "verify", "tiny")
        environment.install("demo", wheel)
        environment.demo()
        environment.install("eval", wheel)
        write_miniatures(folder / "data", 2)
        environment.ecso("eval", "figstep", "--data", "data/figstep", "--compare")
        environment.ecso("report", "eval-logs", "--out", "report")
        environment.install("serve", wheel)
        environment.ecso("serve", "--help")
        if not (folder / "elsewhere" / "report" / "index.html").is_file():
            raise SystemExit("ecso report wrote no page")
    print("The release is good.")
    return 0


def _built() -> Path:
    """Return the wheel, after it, the sdist and the workflows have been checked."""
    python = TOOLS / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", TOOLS], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "build", "twine", "zizmor"], check=True)
    # Not a job of theirs can run here; their faults can be looked for.
    _quietly([TOOLS / "bin" / "zizmor", "--offline", PROJECT / ".github" / "workflows"])
    shutil.rmtree(DIST, ignore_errors=True)
    # The leavings of an older build would get into the wheel.
    shutil.rmtree(PROJECT / "build" / "lib", ignore_errors=True)
    # The wheel is built from the sdist, so that this is shown to be whole.
    _quietly([python, "-m", "build", "--outdir", DIST, PROJECT])
    _quietly([python, "-m", "twine", "check", "--strict", *sorted(DIST.iterdir())])
    wheel, sdist = next(DIST.glob("*.whl")), next(DIST.glob("*.tar.gz"))
    with zipfile.ZipFile(wheel) as zipped, tarfile.open(sdist) as packed:
        for file, names in ((wheel, zipped.namelist()), (sdist, packed.getnames())):
            print(f"{file.name}  {file.stat().st_size / 1e6:.1f} MB, {len(names)} files")
    return wheel


def _quietly(command: list) -> None:
    """Run a command; what it says is shown if it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stdout)


class Environment:
    """An empty environment, and a folder of its own to work in.

    Args:
        folder: Where both are made.
    """

    def __init__(self, folder: Path):
        self._venv, self._elsewhere = folder / "venv", folder / "elsewhere"
        self._elsewhere.mkdir()
        self._elsewhere.joinpath("data").symlink_to(folder / "data")
        subprocess.run([sys.executable, "-m", "venv", self._venv], check=True)

    def install(self, extra: str, wheel: Path) -> None:
        """Install the wheel with an extra, within the versions that are tested."""
        began = time.monotonic()
        wanted = f"{wheel}[{extra}]" if extra else str(wheel)
        constraints = PROJECT / "constraints.txt"
        command = [self._venv / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*command, "--constraint", constraints, wanted], check=True)
        size = (
            sum(file.lstat().st_size for file in self._venv.rglob("*") if not file.is_dir()) / 1e9
        )
        seconds = time.monotonic() - began
        print(f"install {extra or 'alone':6} {seconds:6.1f} s, {size:.2f} GB in all", flush=True)

    def ecso(self, *arguments: str) -> None:
        """Run the `ecso` command."""
        self.call("ecso", *arguments)

    def call(self, command: str, *arguments: str) -> None:
        """Run a command of the package; whatever it says is shown if it fails."""
        began = time.monotonic()
        done = subprocess.run(
            [self._venv / "bin" / command, *arguments],
            cwd=self._elsewhere,
            env=self._variables(),
            capture_output=True,
            text=True,
        )
        shown = " ".join((command, *arguments))
        print(f"{time.monotonic() - began:6.1f} s  {shown}", flush=True)
        if done.returncode != 0:
            raise SystemExit(f"{shown} ended with {done.returncode}\n{done.stdout}{done.stderr}")

    def demo(self) -> None:
        """Start the page and wait until it answers."""
        began, port = time.monotonic(), free_port()
        log = self._elsewhere / "demo.log"
        command = [self._venv / "bin" / "ecso", "demo", "--port", str(port)]
        with running(command, log, self._variables(), self._elsewhere) as process:
            wait_until_ready(f"http://127.0.0.1:{port}/", process, log)
        print(f"{time.monotonic() - began:6.1f} s  ecso demo, until the page is there", flush=True)

    def _variables(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "HOME": str(self._elsewhere), "HF_HUB_OFFLINE": "1"}


if __name__ == "__main__":
    sys.exit(main())
