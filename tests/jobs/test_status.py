"""The status of a study, from logs that real jobs wrote: finished, failed, crashed, killed, running."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pandas as pd
import pytest

from rosetta_scaling.jobs.status import Job, read_log, read_logs, stages, status_text

ENDS = {
    "good": "log.info('half way')",
    "refused": "raise StudyError('the text is empty; add some')",
    "crashed": "{}['a key that is not there']",
    "killed": "os.kill(os.getpid(), 9)",
    "running": "log.info('half way'); print('ready', flush=True); time.sleep(60)",
}


def start(path, end: str) -> subprocess.Popen:
    """A job of the rule `measure` with this log, which does what `end` says."""
    code = f"""
        import logging, os, time
        from types import SimpleNamespace
        from rosetta_scaling.jobs import job as jobs
        from rosetta_scaling.store.errors import StudyError
        log = logging.getLogger("rosetta_scaling.measure")
        with jobs.job(SimpleNamespace(rule="measure", log=[{str(path)!r}], output=[])):
            {ENDS[end]}
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture
def logs(tmp_path):
    for end in ENDS:
        if end != "running":
            start(tmp_path / f"logs/measure/{end}.log", end).communicate()
    process = start(tmp_path / "logs/measure/running.log", "running")
    process.stdout.readline()
    yield tmp_path / "logs"
    process.kill()
    process.wait()


def test_what_logs_say(logs):
    jobs = {job.name.removeprefix("measure/"): job for job in read_logs(logs)}
    assert {name: job.state for name, job in jobs.items()} == {
        "good": "done",
        "refused": "failed",
        "crashed": "failed",
        "killed": "stopped",
        "running": "running",
    }
    assert jobs["refused"].line == "error in measure: the text is empty; add some"
    assert jobs["crashed"].line == "KeyError: 'a key that is not there'"
    assert jobs["running"].line == "half way"
    assert 0 <= jobs["good"].seconds < 60
    assert 5 < jobs["good"].memory_mb < 5_000


def test_a_job_that_failed_and_runs_again_is_running(tmp_path):
    path = tmp_path / "logs/measure/again.log"
    start(path, "refused").communicate()
    assert read_log(path, tmp_path).state == "failed"
    process = start(path, "running")
    process.stdout.readline()
    assert read_log(path, tmp_path).state == "running"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert read_log(path, tmp_path).state == "stopped"


def test_a_job_on_another_machine_runs_as_long_as_it_writes(tmp_path):
    path = tmp_path / "far.log"
    path.write_text("measure began at 2026-01-02 03:04:05 on a-node-far-away, process 1\nhalf way\n")
    assert read_log(path, tmp_path).state == "running"
    hour_ago = time.time() - 3600
    os.utime(path, (hour_ago, hour_ago))
    assert read_log(path, tmp_path).state == "stopped"
    (tmp_path / "empty.log").touch()
    assert read_log(tmp_path / "empty.log", tmp_path) is None


def test_stages_add_up():
    jobs = [Job(f"a/{i}", "a", "done", seconds, 100, "") for i, seconds in enumerate((10.0, 20.0, 90.0))]
    jobs += [Job("a/3", "a", "running", None, None, "half way"), Job("a/4", "a", "failed", None, None, "error in a: x")]
    jobs += [Job("c/0", "c", "failed", None, None, "error in c: long ago, and mended since")]
    table = stages(jobs, {"a": 10, "b": 2, "c": 1}, {"a": 7, "b": 2})
    expected = pd.DataFrame(
        {
            "stage": ["a", "b", "c"],
            "done": [3, 0, 1],
            "running": [1, 0, 0],
            "failed": [1, 0, 0],
            "waiting": [5, 2, 0],
            "seconds": [20.0, None, None],
            "hours_left": [7 * 20 / 3600, None, 0.0],
        }
    )
    pd.testing.assert_frame_equal(table, expected)
    text = status_text(table, jobs)
    assert "4 of 13 jobs are done; about 0.04 hours with 1 at a time, and what has not run yet: b." in text
    assert "failed: a/4: error in a: x" in text
    assert "running: a/3: half way" in text
    assert "mended since" not in text
