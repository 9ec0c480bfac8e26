"""Jobs as forks of a process that has imported the libraries: they do what scripts that run themselves do."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from rosetta_scaling.jobs.forks import FOLDER, THREADS, fork_server

JOB = """
import atexit, os, sys, time
from pathlib import Path
from types import SimpleNamespace

from rosetta_scaling.jobs.job import job

with job(SimpleNamespace(rule={rule!r}, log=["logs/measure.log"], output=[])):
{body}
"""
WHERE = "print('forked' if 'transformers.modeling_utils' in sys.modules else 'by itself', flush=True)\n"


def wait_until(holds) -> None:
    for _ in range(100):
        if holds():
            return
        time.sleep(0.1)
    pytest.fail("still not so after 10 s")


@pytest.fixture(scope="module")
def server():
    with fork_server():
        wait_until(lambda: any(Path(os.environ[FOLDER]).iterdir()))  # its socket
        yield


@pytest.fixture
def start(server, tmp_path):
    """Start the script of a job as Snakemake does: with one thread, in the folder of the study."""

    def started(body: str, rule: str = "measure", **environment: str) -> subprocess.Popen:
        (tmp_path / "script.py").write_text(JOB.format(rule=rule, body=textwrap.indent(textwrap.dedent(body), "    ")))
        return subprocess.Popen(
            [sys.executable, "script.py"],
            cwd=tmp_path,
            env=os.environ | dict.fromkeys(THREADS, "1") | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return started


def printed_by(process: subprocess.Popen) -> str:
    return process.communicate(timeout=60)[0]


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("pass", 0, ""),
        ("raise MemoryError", 1, "error in measure: out of memory"),
        ("sys.exit('no good')", 1, "no good"),
        ("sys.exit(3)", 3, ""),
        ("1 / 0", 1, "ZeroDivisionError"),
    ],
    ids=["all is well", "a sentence", "words", "a number", "a traceback"],
)
def test_a_fork_ends_and_says_what_the_script_would(start, body, code, said):
    process = start(WHERE + body)
    printed = printed_by(process)
    assert printed.startswith("forked\n"), printed
    assert said in printed
    assert process.returncode == code


def test_a_fork_has_the_folder_the_environment_and_the_exit_of_the_script(start, tmp_path):
    process = start(
        """
        assert os.environ["OF_THE_JOB"] == "42"
        atexit.register(Path("left").unlink)
        Path("left").touch()
        print(sys.argv, Path().absolute(), os.getpid())
        """,
        OF_THE_JOB="42",
    )
    argv, folder, pid = printed_by(process).split()[-3:]
    assert (argv, folder) == ("['script.py']", str(tmp_path))
    assert int(pid) != process.pid
    assert not (tmp_path / "left").exists(), (
        "what a job leaves to be done at its exit is done before it counts as ended"
    )
    assert f"process {pid}" in (tmp_path / "logs/measure.log").read_text()


def test_libraries_are_imported_as_quiet_and_offline_as_a_script_imports_them(start):
    libraries = """
        import transformers
        from huggingface_hub import constants
        print(transformers.logging.get_verbosity(), constants.HF_HUB_OFFLINE, constants.HF_HUB_DISABLE_PROGRESS_BARS)
    """
    told = [printed_by(start(libraries, **more)) for more in ({}, {FOLDER: "/nowhere"})]
    assert told[0] == told[1]
    assert "40 True True" in told[0]


@pytest.mark.parametrize(
    "differs",
    [{"OMP_NUM_THREADS": "2"}, {"SLURM_JOB_ID": "7"}, {"rule": "corpus"}, {FOLDER: "/nowhere"}],
    ids=["more threads", "a SLURM job", "a rule that downloads", "no server"],
)
def test_a_script_that_no_fork_can_run_runs_itself(start, differs):
    process = start(WHERE, **differs)
    assert printed_by(process).endswith("by itself\n")
    assert process.returncode == 0


SLOW = """
    try:
        print("at work", os.getpid(), flush=True)
        time.sleep(60)
    finally:
        time.sleep(0.5)
        Path("tidied").touch()
"""


def at_work(process: subprocess.Popen) -> int:
    """The process that is at work, once it is."""
    return int(next(line for line in process.stdout if line.startswith("at work")).split()[-1])


def test_a_fork_is_told_to_end_with_its_script(start, tmp_path):
    process = start(SLOW)
    at_work(process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 128 + signal.SIGTERM
    assert (tmp_path / "tidied").exists()
    assert "measure was told to end (SIGTERM)" in (tmp_path / "logs/measure.log").read_text()


def test_a_fork_does_not_outlive_a_script_that_is_killed(start, tmp_path):
    process = start(SLOW)
    fork = at_work(process)
    process.kill()
    wait_until((tmp_path / "tidied").exists)
    wait_until(lambda: not Path(f"/proc/{fork}").exists())


def test_a_script_whose_fork_is_killed_says_so(start):
    process = start(SLOW)
    os.kill(at_work(process), signal.SIGKILL)
    assert process.wait(10) == 128 + signal.SIGKILL
    assert "killed, as the kernel does when memory is short" in process.stdout.read()


LAUNCHER = f"""
import os, subprocess, sys, time
from rosetta_scaling.jobs.forks import FOLDER, fork_server

with fork_server():
    job = subprocess.Popen([sys.executable, "script.py"], env=os.environ | dict.fromkeys({THREADS!r}, "1"))
    print(os.environ[FOLDER], flush=True)
    job.wait()
"""


@pytest.mark.slow(1)
def test_a_server_ends_with_its_launcher_and_its_jobs_do_not(start, tmp_path):
    """As when `make study` is killed: what runs may finish, and what Snakemake still starts runs itself."""
    body = "    print('at work', os.getpid(), flush=True)\n    time.sleep(4)\n    Path('finished').touch()"
    (tmp_path / "script.py").write_text("import time; time.sleep(1)\n" + JOB.format(rule="measure", body=body))
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    folder = Path(launcher.stdout.readline().strip())
    at_work(launcher)
    launcher.kill()
    time.sleep(1)
    assert not (tmp_path / "finished").exists()
    assert printed_by(start(WHERE, **{FOLDER: str(folder)})).endswith("by itself\n")
    wait_until((tmp_path / "finished").exists)
    wait_until(lambda: not folder.exists())
