"""A small Hub on this machine, for trying out and testing what is published.

Run as ``python -m examples.publish.local_hub --port 8799`` and set the two variables it
prints; the Hub's own client, and everything that uses it, then talks to it.

Covered: what the client needs to create a repository, upload, commit, open a pull request, look
and download, with branches, tags, private repositories and the errors it can meet on the way.
Not covered: everything else; models and data sets share their names. It forgets all when it ends
and is open to everybody on this machine.
"""

import argparse
import base64
import hashlib
import json
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from .hub_store import Refused, Repository, StoredFile, is_large


TOKENS = {"hf_local": "write", "hf_reader": "read"}


class LocalHub:
    """The server, its repositories, and the accidents it can be told to have.

    Args:
        port: Where to listen on the loopback interface; 0 for any free port.
    """

    def __init__(self, port: int = 0):
        """Listen; nothing is answered before `start` or `serve`."""
        self.repositories: dict[str, Repository] = {}
        self.large_files: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.uploads_to_break = 0
        self.commit_answers_to_lose = 0
        self.before_commit: Callable[[Repository], None] | None = None
        self.lock = Lock()
        hub = self

        class Handler(_Handler):
            def __init__(self, *args: Any):
                self.hub = hub
                super().__init__(*args)

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> "LocalHub":
        """Answer in a thread of its own, until `stop`."""
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def serve(self) -> None:
        """Answer until interrupted."""
        self._server.serve_forever()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: LocalHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        self._answer_request()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def _answer_request(self) -> None:
        address = urlsplit(self.path)
        path = unquote(address.path)
        self.query = parse_qs(address.query)
        self.hub.requests.append(f"{self.command} {path}")
        try:
            if self.command == "PUT":
                return self._store_large_file(path)
            size = int(self.headers.get("Content-Length") or 0)
            self.body = self.rfile.read(size)
            with self.hub.lock:
                for method, pattern, answer in _ROUTES:
                    found = re.fullmatch(pattern, path)
                    if found and self.command in method.split():
                        return answer(self, **found.groupdict())
            raise Refused(404, f"nothing at {path}")
        except Refused as refused:
            headers = {"X-Error-Message": str(refused)}
            if refused.code:
                headers["X-Error-Code"] = refused.code
            self._send({"error": str(refused)}, refused.status, headers)

    def _send(self, answer: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _role(self) -> str | None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token and token not in TOKENS:
            raise Refused(401, "Invalid credentials in Authorization header")
        return TOKENS.get(token)

    def _may_write(self) -> None:
        role = self._role()
        if role is None:
            raise Refused(401, "Invalid username or password.")
        if role != "write":
            raise Refused(403, "You don't have the rights to write to this repository")

    def _repository(self, repo_id: str) -> Repository:
        role = self._role()
        found = self.hub.repositories.get(repo_id)
        if found is None or (found.is_private and role is None):
            raise Refused(404 if role else 401, "Repository not found", "RepoNotFound")
        return found

    def _no_harness(self) -> None:
        raise Refused(404, "not offered")

    def _who_am_i(self) -> None:
        if self._role() is None:
            raise Refused(401, "Invalid username or password.")
        self._send({"type": "user", "name": "tester", "orgs": []})

    def _validate_card(self) -> None:
        self._send({"errors": [], "warnings": []})

    def _create(self) -> None:
        self._may_write()
        wanted = json.loads(self.body)
        repo_id = f"{wanted.get('organization') or 'tester'}/{wanted['name']}"
        answer = {"url": f"{self.hub.url}/{repo_id}", "id": repo_id}
        if repo_id in self.hub.repositories:
            message = "You already created this model repo"
            return self._send({**answer, "error": message}, 409)
        is_private = wanted.get("visibility") == "private" or bool(wanted.get("private"))
        self.hub.repositories[repo_id] = Repository(repo_id, is_private)
        self._send(answer)

    def _describe(self, repo_id: str, revision: str = "main") -> None:
        self._send(self._repository(repo_id).describe(revision))

    def _create_branch(self, repo_id: str, branch: str) -> None:
        self._may_write()
        repository = self._repository(repo_id)
        if branch in repository.heads:
            raise Refused(409, "Reference already exists")
        start = json.loads(self.body or b"{}").get("startingPoint") or "main"
        repository.heads[branch] = repository.commit_id(start)
        self._send({})

    def _create_tag(self, repo_id: str, revision: str) -> None:
        self._may_write()
        repository = self._repository(repo_id)
        tag = json.loads(self.body)["tag"]
        if tag in repository.heads:
            raise Refused(409, "Tag reference exists already")
        repository.heads[tag] = repository.commit_id(revision)
        self._send({})

    def _list_commits(self, repo_id: str, revision: str) -> None:
        history = self._repository(repo_id).history(revision)
        about = {"title": "", "message": "", "authors": [], "date": "2026-01-01T00:00:00.000Z"}
        self._send([{"id": commit, **about} for commit in history])

    def _list(self, repo_id: str, revision: str, folder: str | None = None) -> None:
        repository = self._repository(repo_id)
        files = repository.commits[repository.commit_id(revision)]
        inside = f"{folder}/" if folder else ""
        found = {path: file for path, file in sorted(files.items()) if path.startswith(inside)}
        if folder and not found:
            raise Refused(404, "Entry not found", "EntryNotFound")
        self._send([file.as_tree_entry(path) for path, file in found.items()])

    def _plan_upload(self, repo_id: str, revision: str) -> None:
        self._may_write()
        repository = self._repository(repo_id)
        present = repository.commits[repository.commit_id(revision)]
        planned = []
        for file in json.loads(self.body)["files"]:
            known = present.get(file["path"])
            mode = "lfs" if is_large(file["path"], file["size"]) else "regular"
            oid = known.etag if known else None
            plan = {"uploadMode": mode, "shouldIgnore": False, "oid": oid}
            planned.append({"path": file["path"], **plan})
        self._send({"files": planned})

    def _plan_large_files(self, repo_id: str) -> None:
        self._may_write()
        self._repository(repo_id)
        objects = []
        for wanted in json.loads(self.body)["objects"]:
            if wanted["oid"] not in self.hub.large_files:
                href = f"{self.hub.url}/large-files/{wanted['oid']}"
                wanted = {**wanted, "actions": {"upload": {"href": href}}}
            objects.append(wanted)
        self._send({"transfer": "basic", "objects": objects})

    def _store_large_file(self, path: str) -> None:
        size = int(self.headers["Content-Length"])
        with self.hub.lock:
            breaks = self.hub.uploads_to_break > 0
            self.hub.uploads_to_break -= breaks
        if breaks:
            self.rfile.read(size // 2)
            self.close_connection = True
            self.connection.close()
            return
        content = self.rfile.read(size)
        oid = path.rpartition("/")[2]
        if hashlib.sha256(content).hexdigest() != oid:
            raise Refused(400, "the content is not what was announced")
        self.hub.large_files[oid] = content
        self._send({})

    def _commit(self, repo_id: str, revision: str) -> None:
        self._may_write()
        repository = self._repository(repo_id)
        if self.hub.before_commit:
            self.hub.before_commit(repository)
        head = repository.commit_id(revision)
        files = dict(repository.commits[head])
        for line in self.body.decode().splitlines():
            kind, value = (json.loads(line)[key] for key in ("key", "value"))
            if kind == "header" and value.get("parentCommit") not in (None, head):
                raise Refused(412, "A commit has happened since. Please refresh and try again.")
            if kind == "file":
                content = base64.b64decode(value["content"])
                files[value["path"]] = StoredFile(content, is_large=False)
            elif kind == "lfsFile":
                if value["oid"] not in self.hub.large_files:
                    raise Refused(400, f"{value['path']} has not been uploaded")
                content = self.hub.large_files[value["oid"]]
                files[value["path"]] = StoredFile(content, is_large=True)
            elif kind == "deletedFile":
                files.pop(value["path"], None)
        branch, request_url = revision, None
        if "create_pr" in self.query:
            number = sum(name.startswith("refs/pr/") for name in repository.heads) + 1
            branch = f"refs/pr/{number}"
            request_url = f"{self.hub.url}/{repo_id}/discussions/{number}"
        commit = repository.commit(branch, files, parent=head)
        if self.hub.commit_answers_to_lose > 0:
            self.hub.commit_answers_to_lose -= 1
            self.close_connection = True
            self.connection.close()
            return
        url = f"{self.hub.url}/{repo_id}/commit/{commit}"
        self._send({"commitUrl": url, "commitOid": commit, "pullRequestUrl": request_url})

    def _download(self, repo_id: str, revision: str, path: str) -> None:
        repository = self._repository(repo_id)
        commit = repository.commit_id(revision)
        file = repository.commits[commit].get(path)
        if file is None:
            raise Refused(404, "Entry not found", "EntryNotFound")
        headers = {"X-Repo-Commit": commit, "ETag": f'"{file.etag}"'}
        self._send(file.content, headers=headers)


_REPO = r"(?P<repo_id>[^/]+/[^/]+)"
_API = r"/api/(?:models|datasets)"
_FILES = r"/(?:datasets/)?"
_REVISION = r"(?P<revision>refs/pr/\d+|[^/]+)"
_ROUTES = [
    ("GET", r"/api/agent-harnesses", _Handler._no_harness),
    ("GET", r"/api/whoami-v2", _Handler._who_am_i),
    ("POST", r"/api/validate-yaml", _Handler._validate_card),
    ("POST", r"/api/repos/create", _Handler._create),
    ("GET", rf"{_API}/{_REPO}", _Handler._describe),
    ("GET", rf"{_API}/{_REPO}/revision/(?P<revision>.+)", _Handler._describe),
    ("GET", rf"{_API}/{_REPO}/commits/(?P<revision>.+)", _Handler._list_commits),
    ("GET", rf"{_API}/{_REPO}/tree/{_REVISION}(/(?P<folder>.+))?", _Handler._list),
    ("POST", rf"{_API}/{_REPO}/branch/(?P<branch>.+)", _Handler._create_branch),
    ("POST", rf"{_API}/{_REPO}/tag/(?P<revision>.+)", _Handler._create_tag),
    ("POST", rf"{_API}/{_REPO}/preupload/(?P<revision>.+)", _Handler._plan_upload),
    ("POST", rf"{_FILES}{_REPO}\.git/info/lfs/objects/batch", _Handler._plan_large_files),
    ("POST", rf"{_API}/{_REPO}/commit/(?P<revision>.+)", _Handler._commit),
    (
        "GET HEAD",
        rf"{_FILES}{_REPO}/resolve/{_REVISION}/(?P<path>.+)",
        _Handler._download,
    ),
]


def main() -> None:
    """Serve until interrupted; print what to set first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8799, help="port on 127.0.0.1")
    hub = LocalHub(parser.parse_args().port)
    print(f"export HF_ENDPOINT={hub.url} HF_HUB_DISABLE_XET=1 HF_TOKEN=hf_local", flush=True)
    try:
        hub.serve()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
