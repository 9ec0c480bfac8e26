"""What every job does around its library call: how it ends when it is told to or when something fails, and its log."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pandas as pd
import pytest

from rosetta_scaling.jobs.logs import LOG_BYTES
from rosetta_scaling.store.tables import write_table

JOB = """
import sys, time
from pathlib import Path

from types import SimpleNamespace
from rosetta_scaling.jobs import job as jobs
from rosetta_scaling.store.atomic import atomic

with jobs.job(SimpleNamespace(rule="rule_of_a_test", log=[sys.argv[1]], output=[])), atomic(sys.argv[2]) as part:
    part.mkdir()
    (part / "half").write_text("written")
    try:
        print("at work", flush=True)
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


def run_job(log: Path, body: str, output: tuple = ()) -> subprocess.CompletedProcess:
    """A job of the rule `measure` that does what `body` says."""
    code = f"""
import errno, logging, os, sys
from pathlib import Path

import pandas as pd
import pytest

from rosetta_scaling.jobs.logs import LOG_BYTES
from rosetta_scaling.store.tables import write_table
from types import SimpleNamespace
from rosetta_scaling.jobs import job as jobs
from rosetta_scaling.store.tables import read_table, write_json
with jobs.job(SimpleNamespace(rule="measure", log=[{str(log)!r}], output={output})):
{textwrap.indent(textwrap.dedent(body), "    ")}
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.slow(0.1)
def test_a_log_does_not_fill_a_disk(tmp_path):
    body = """
        log = logging.getLogger("somebody.else")
        for i in range(100_000):
            log.info("x" * 1000)
        log.error("something to be known")
    """
    ended = run_job(tmp_path / "log", body)
    assert ended.returncode == 0, ended.stderr
    lines = (tmp_path / "log").read_text().splitlines()
    assert (tmp_path / "log").stat().st_size < LOG_BYTES + 10_000
    assert "measure began at" in lines[0]
    assert lines[-3] == "[more than 20,000,000 bytes: only errors from here on]"
    assert lines[-2] == "something to be known"
    assert "measure took" in lines[-1]


@pytest.mark.parametrize("log", ["logs/measure/r1.log", "logs/measure.log"])
def test_a_job_writes_what_it_took(tmp_path, log):
    """Half a second of work after half a second of waiting, and 100 MB."""
    body = """
        import time
        time.sleep(0.5)
        before = time.process_time()
        held = bytes(range(100)) * 10**6
        while time.process_time() < before + 0.5:
            pass
    """
    ended = run_job(tmp_path / log, body, output=("a table",))
    assert ended.returncode == 0, ended.stderr
    file = tmp_path / "benchmarks/measure" / ("r1.tsv" if "r1" in log else "measure.tsv")
    took = pd.read_csv(file, sep="\t").iloc[0]
    assert took.s >= 1
    assert took.cpu_time >= 0.5
    assert took.max_rss > 100
    seconds = float(re.search(r"measure took ([\d.]+) s", (tmp_path / log).read_text())[1])
    assert took.s == pytest.approx(seconds, abs=0.1)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_files_of_others_that_may_not_be_read_are_named(tmp_path):
    write_table(tmp_path / "theirs.parquet", pd.DataFrame({"x": [1]}))
    (tmp_path / "theirs.parquet").chmod(0o600)
    body = f"""
        os.chmod({str(tmp_path)!r}, 0o777)
        os.chdir({str(tmp_path)!r})
        import pandas, pyarrow.parquet, safetensors
        os.setuid(65534)
        read_table("theirs.parquet")
    """
    for folder in list(tmp_path.parents)[:3]:
        folder.chmod(folder.stat().st_mode | 0o055)
    ended = run_job(tmp_path / "log", body)
    assert ended.returncode == 1
    assert re.search("error in measure: permission is denied; .*umask 002.*theirs.parquet", ended.stderr), ended.stderr


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (
            "raise OSError(errno.EDQUOT, 'Disk quota exceeded', 'shard-0001')",
            "your quota .*shard-0001",
        ),
        ("raise RuntimeError('Error: I/O error: No space left on device (os error 28)')", "the disk is full"),
        ("import torch; torch.empty(2**60)", "out of memory .*let fewer jobs run at a time"),
        ("write_json('/proc/nowhere/x.json', 1)", None),
    ],
    ids=["quota", "safetensors", "memory", "another error"],
)
@pytest.mark.slow(0.1)
def test_errors_that_a_user_can_mend_are_sentences(tmp_path, body, sentence):
    ended = run_job(tmp_path / "log", body)
    assert ended.returncode == 1
    if sentence:
        assert re.search(f"error in measure: {sentence}", ended.stderr)
        assert "Traceback" not in ended.stderr
    else:
        assert "Traceback" in ended.stderr


def test_a_sentence_keeps_its_traceback_in_a_file_beside_the_log(tmp_path):
    """The log of a job that failed is shown as a whole, so the traceback is not in it."""
    (tmp_path / "measure.traceback").write_text("of an earlier attempt")
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"no weights")
    body = f"""
        from rosetta_scaling.store.foreign import reading_network
        from safetensors import safe_open
        with reading_network({str(tmp_path)!r}):
            safe_open({str(weights)!r}, "pt")
    """
    ended = run_job(tmp_path / "measure.log", body)
    log = (tmp_path / "measure.log").read_text()
    assert ended.returncode == 1
    assert "error in measure: model folder" in ended.stderr
    assert "does not begin as a safetensors file does" in ended.stderr
    assert "Traceback" not in ended.stderr + log
    assert f"the traceback is in {tmp_path}/measure.traceback" in log
    assert "SafetensorError" in (tmp_path / "measure.traceback").read_text()


def test_a_job_that_succeeds_leaves_no_traceback(tmp_path):
    (tmp_path / "measure.traceback").write_text("of an earlier attempt")
    assert run_job(tmp_path / "measure.log", "pass").returncode == 0
    assert not (tmp_path / "measure.traceback").exists()
