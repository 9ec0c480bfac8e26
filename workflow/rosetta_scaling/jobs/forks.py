"""Jobs as forks of a process that has imported the libraries already.

To import torch and transformers takes 5 s of processor, more than most jobs of a small study need for all else. So the
launcher (run.py) starts a server, and the script of a job asks it for a fork: a process with its own memory that runs
the same script in the same folder, with the same environment and the same terminal. The script waits for its exit code.

A script runs itself, as it would without any of this, when there is no server, or only one that differs from it: in
another environment (--sdm conda), in a SLURM job, with more threads. Where there is a GPU nothing is forked: no machine
with one has shown yet that this is safe.
"""

import atexit
import contextlib
import functools
import importlib
import json
import os
import runpy
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

from rosetta_scaling import WORKFLOW
from rosetta_scaling.store.digests import digest

FOLDER = "ROSETTA_FORKS"  # the environment variable with the folder of the server's socket
GPU_DRIVERS = ("/dev/nvidiactl", "/dev/kfd")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # what Snakemake sets for a job
CHECK_SECONDS = 0.5  # how often the server looks whether the launcher is still there


def has_gpu() -> bool:
    """Whether a driver of a GPU is here, without asking torch, whose import takes a second."""
    return any(map(os.path.exists, GPU_DRIVERS))


@contextlib.contextmanager
def fork_server() -> Iterator[None]:
    """Let the jobs of the processes that are started here be forks, on machines where that is known to work."""
    if sys.platform != "linux" or has_gpu():
        yield
        return
    folder = tempfile.mkdtemp(prefix="rosetta-forks-")  # nobody else may enter it
    environment = os.environ | dict.fromkeys(THREADS, "1") | {"HF_HUB_OFFLINE": "1"}
    server = subprocess.Popen([sys.executable, "-m", __name__, folder], env=environment)
    os.environ[FOLDER] = folder
    try:
        yield
    finally:
        del os.environ[FOLDER]
        server.terminate()
        server.wait()


def run_in_fork() -> int | None:
    """Run the script of this process in a fork of the server; its exit code, or None if no server can run it."""
    if FOLDER not in os.environ:
        return None
    server = socket.socket(socket.AF_UNIX)
    try:
        server.connect(_address(os.environ[FOLDER]))
        socket.send_fds(server, [b"!"], [0, 1, 2])
        server.sendall(json.dumps([sys.argv[0], os.getcwd(), dict(os.environ)]).encode() + b"\n")
    except OSError:
        return None
    # Ctrl-C reaches the fork as well. When this process is told to end, the fork is, and says how it ended.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: server.shutdown(socket.SHUT_WR))
    try:
        answer = server.recv(1)
    except ConnectionError:
        answer = b""
    if not answer:
        print("The process of this job was killed, as the kernel does when memory is short.", file=sys.stderr)
        return 128 + signal.SIGKILL
    return answer[0]


def _address(folder: str) -> str:
    """The socket of a server in this folder that is like this process."""
    like = [sys.prefix, str(WORKFLOW), os.environ.get("SLURM_JOB_ID"), os.environ.get("OMP_NUM_THREADS")]
    return str(Path(folder, digest(like)))


class _Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    request_queue_size = max_children = 1000  # Snakemake decides how many jobs run at a time
    launcher = os.getppid()

    def process_request(self, request, client_address):
        _import_libraries()
        super().process_request(request, client_address)

    def service_actions(self):
        super().service_actions()
        if os.getppid() != self.launcher:  # it was killed; jobs that run may finish
            sys.exit()


@functools.cache
def _import_libraries() -> None:
    """Import what jobs need, when the first one comes; one that cannot be imported is an error of the jobs."""
    stages = sorted(Path(WORKFLOW, "rosetta_scaling/stages").glob("*.py"))
    for name in ("transformers.modeling_utils", *(f"rosetta_scaling.stages.{file.stem}" for file in stages)):
        with contextlib.suppress(Exception):
            importlib.import_module(name)


class _Fork(socketserver.StreamRequestHandler):
    """One job: `handle` runs in a process of its own, which ends afterwards."""

    def handle(self) -> None:
        self.server.server_close()  # so that nobody can connect to it once the server has ended
        terminal = socket.recv_fds(self.request, 1, 3)[1]
        script, folder, environment = json.loads(self.rfile.readline())
        for number, file in enumerate(terminal):
            os.dup2(file, number)
            os.close(file)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update({name: value for name, value in environment.items() if name != FOLDER})
        sys.argv, tempfile.tempdir = [script], None
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        threading.Thread(target=self._end_when_told, daemon=True).start()
        code = _exit_code(script)
        atexit._run_exitfuncs()  # a fork of socketserver ends without them
        sys.stdout.flush()
        sys.stderr.flush()
        with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
            self.wfile.write(bytes([code]))

    def _end_when_told(self) -> None:
        """Wait until the process that asked for this one is told to end, or is gone."""
        self.request.recv(1)
        os.kill(os.getpid(), signal.SIGTERM)


def _exit_code(script: str) -> int:
    """Run a script as Python does; the code with which it ends."""
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) % 256
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def main(folder: str) -> None:
    """Serve forks until the launcher ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the launcher says when to end
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        with _Server(_address(folder), _Fork) as server:
            server.serve_forever(CHECK_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])
