"""What every job does around its library call: here, how it ends when a cluster tells it to."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

JOB = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from rosetta_scaling import jobs
from rosetta_scaling.store import atomic

with jobs.job(SimpleNamespace(rule="rule_of_a_test", log=[sys.argv[1]])), atomic(sys.argv[2]) as part:
    part.mkdir()
    (part / "half").write_text("written")
    print("at work", flush=True)
    try:
        time.sleep(60)
    finally:
        time.sleep(0.5)  # tidying up takes its time, and is not interrupted by what SLURM sends next
        print("tidied up", flush=True)
"""


def test_sigterm_ends_a_job_in_good_order(tmp_path: Path):
    log, out = tmp_path / "log", tmp_path / "out"
    job = subprocess.Popen([sys.executable, "-c", JOB, log, out], stdout=subprocess.PIPE, text=True, env=os.environ)
    assert job.stdout.readline() == "at work\n"
    assert list(tmp_path.glob(".out.*.part"))
    for _ in range(3):  # as SLURM does: once as a warning, twice at the end
        job.send_signal(signal.SIGTERM)
        time.sleep(0.1)
    assert job.wait(30) == 128 + signal.SIGTERM
    assert job.stdout.read() == "tidied up\n"
    assert "rule_of_a_test was told to end (SIGTERM)" in log.read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["log"], "nothing half written is left"
