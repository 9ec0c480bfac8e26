"""The Hugging Face hub on loopback: its addresses, headers and errors, with files of a test and trouble on demand.

Large files are redirected to a second server, as the hub does: another origin, where no token may arrive.
"""

import gzip
import hashlib
import json
import re
import socket
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from huggingface_hub.utils.sha import git_hash

LARGE = (".safetensors", ".bin", ".h5", ".msgpack", ".onnx", ".gguf", ".model")
TOKEN = "hf_ofthetest"


class Request(NamedTuple):
    method: str
    name: str  # of the file, or "api"
    range: str | None
    token: str | None
    on_cdn: bool


@dataclass
class Trouble:
    """What befalls one answer about a file (or the API) instead of what should."""

    status: int | None = None
    after: int | None = None  # bytes of the body after which the connection ends
    reset: bool = False  # it ends with a reset instead of in order
    stall: bool = False  # it does not end, but falls silent
    corrupt: bool = False  # one bit of the body is another
    wait: int | None = None  # seconds after which the server wants to be asked again


@dataclass
class Repository:
    revisions: dict[str, str] = field(default_factory=dict)  # branch or tag -> commit
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)  # commit -> files
    gated: bool = False
    private: bool = False
    licence: str | None = None


class Mirror:
    """`trouble` holds what befalls the next answers about a file, by its name, or about the API, by "api"."""

    def __init__(self):
        self.repositories: dict[str, Repository] = {}
        self.trouble: dict[str, list[Trouble]] = {}
        self.requests: list[Request] = []
        self.obeys_ranges, self.tells_digests = True, True
        self.closing = threading.Event()
        self.servers = [_server(self, on_cdn) for on_cdn in (False, True)]
        self.endpoint, self.cdn = (f"http://127.0.0.1:{server.server_port}" for server in self.servers)

    def add(self, name: str, folder: Path, revision: str = "main", **about) -> str:
        """A commit with the files of a folder, and the branch or tag that leads to it."""
        files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        commit = hashlib.sha1(repr(sorted((file, git_hash(raw)) for file, raw in files.items())).encode()).hexdigest()
        repository = self.repositories.setdefault(name, Repository(**about))
        repository.commits[commit] = files
        repository.revisions[revision] = commit
        return commit

    def asked(self, name: str) -> list[str | None]:
        """The ranges with which the content of a file was asked for."""
        large = name.endswith(LARGE)
        return [r.range for r in self.requests if (r.method, r.name, r.on_cdn) == ("GET", name, large)]

    def expected(self, name: str, file: str, revision: str = "main") -> str:
        """The digest that the API tells of a file."""
        raw = self.repositories[name].commits[self.repositories[name].revisions[revision]][file]
        return _sha256(raw) if file.endswith(LARGE) else git_hash(raw)

    def close(self):
        self.closing.set()
        for server in self.servers:
            server.shutdown()
            server.server_close()


def _server(mirror: Mirror, on_cdn: bool) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            path = unquote(urlsplit(self.path).path)
            api = re.fullmatch(r"/api/models/(.+)/revision/(.+)", path)
            file = re.fullmatch(r"/(.+)/resolve/(.+?)/(.+)", path)
            self.name = "api" if api else path.rsplit("/", 1)[1]
            token = (self.headers["Authorization"] or "").removeprefix("Bearer ") or None
            mirror.requests.append(Request(self.command, self.name, self.headers["Range"], token, on_cdn))
            counts = self.command == "GET" and (api or on_cdn or not self.name.endswith(LARGE))
            self.trouble = mirror.trouble[self.name].pop(0) if counts and mirror.trouble.get(self.name) else Trouble()
            if self.trouble.status:
                self.refuse(self.trouble.status)
            elif on_cdn:
                self.content(self.find(path.split("/")[1]))
            elif api or file:
                self.repository(token, *(api or file).groups())
            else:
                self.refuse(404)

        do_HEAD = do_GET

        def find(self, sha256: str) -> bytes:
            commits = [files for repository in mirror.repositories.values() for files in repository.commits.values()]
            return next(raw for files in commits for raw in files.values() if _sha256(raw) == sha256)

        def repository(self, token, name, revision, file=None):
            repository = mirror.repositories.get(name)
            if repository is None or (repository.private and token != TOKEN):
                return self.refuse(404 if token else 401, "RepoNotFound")
            commit = repository.revisions.get(revision, revision)
            if commit not in repository.commits:
                return self.refuse(404, "RevisionNotFound")
            files = repository.commits[commit]
            if file is None:
                return self.answer(200, json.dumps(_info(mirror, name, repository, commit)).encode())
            if repository.gated and token != TOKEN:
                return self.refuse(403 if token else 401, "GatedRepo")
            if file not in files:
                return self.refuse(404, "EntryNotFound")
            raw, about = files[file], {"X-Repo-Commit": commit}
            if not file.endswith(LARGE):
                return self.content(raw, about | {"ETag": f'"{git_hash(raw)}"'})
            about |= {"X-Linked-Etag": f'"{_sha256(raw)}"', "X-Linked-Size": str(len(raw))}
            return self.answer(302, b"", about | {"Location": f"{mirror.cdn}/{_sha256(raw)}/{file}"})

        def content(self, raw: bytes, about: dict | None = None):
            if self.trouble.corrupt:
                raw = raw[:-1] + bytes([raw[-1] ^ 1])
            if "gzip" in self.headers["Accept-Encoding"] and not on_cdn:  # the hub then sends no ranges
                return self.answer(200, gzip.compress(raw), about | {"Content-Encoding": "gzip"})
            about = {"Accept-Ranges": "bytes"} | (about or {})
            start = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
            if not (start and mirror.obeys_ranges):
                return self.answer(200, raw, about)
            first = int(start[1])
            if first >= len(raw):
                return self.answer(416, b"", {"Content-Range": f"bytes */{len(raw)}"})
            return self.answer(206, raw[first:], {"Content-Range": f"bytes {first}-{len(raw) - 1}/{len(raw)}"} | about)

        def refuse(self, status: int, code: str | None = None):
            headers = {"X-Error-Code": code} if code else {}
            if self.trouble.wait:
                headers["Retry-After"] = str(self.trouble.wait)
            self.answer(status, json.dumps({"error": code or "trouble"}).encode(), headers)

        def answer(self, status: int, body: bytes, headers: dict | None = None):
            self.send_response(status)
            for header, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
                self.send_header(header, value)
            self.end_headers()
            if self.command == "HEAD":
                return
            self.wfile.write(body[: self.trouble.after])
            if self.trouble.stall:
                mirror.closing.wait()
            if self.trouble.reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if self.trouble.after is not None:
                self.close_connection = True

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server


def _sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _info(mirror: Mirror, name: str, repository: Repository, commit: str) -> dict:
    siblings = []
    for file, raw in repository.commits[commit].items():
        about = {"rfilename": file}
        if mirror.tells_digests:
            about |= {"size": len(raw), "blobId": git_hash(raw)}
        if file.endswith(LARGE) and mirror.tells_digests:
            about["lfs"] = {"size": len(raw), "sha256": _sha256(raw), "pointerSize": 134}
        siblings.append(about)
    about = {"id": name, "modelId": name, "sha": commit, "siblings": siblings, "gated": repository.gated, "tags": []}
    return about | ({"cardData": {"license": repository.licence}} if repository.licence else {})
