"""The workflow on a real SLURM (see slurm_cluster.py), with all that happens to jobs and runs there: `make slurm-test`.

One small study, which ran undisturbed on this machine, runs on the cluster too, where jobs are requeued, cancelled and
run out of time, a node dies, and the run itself is killed and started again. Tables must come out the same.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pandas as pd
import pytest
from slurm_cluster import GPUS, SlurmCluster, obstacle
from slurm_profiles import edited
from study_runs import checkout, small_study, tables

pytestmark = [
    pytest.mark.study(9),
    pytest.mark.skipif(bool(obstacle()), reason=str(obstacle())),
    pytest.mark.timeout(3600),
]

NAME = "small"
SITE = {"partition": "cpu", "gpu_partition": "gpu", "gpu_threads": 1}  # another number of threads rounds otherwise
MODEL, PAIR = "rule_model_", "rule_pair_"  # how the comments of the groups of a model and of a pair begin
VIEWER = "rule_viewer"


def profile_of_a_site(folder: Path) -> None:
    """A copy of the SLURM profile in which a site has edited its lines; and nobody waits for files or for squeue."""
    text = edited(**SITE).replace("latency-wait: 60", "latency-wait: 10")
    (folder / "workflow/profiles/site").mkdir()
    quick = "\nslurm-init-seconds-before-status-checks: 1\nslurm-keep-successful-logs: true\n"
    (folder / "workflow/profiles/site/config.yaml").write_text(text + quick)


class Run:
    """`make study PROFILE=site` without the set-up."""

    def __init__(self, folder: Path):
        self.folder = folder
        command = [sys.executable, "-m", "rosetta_scaling.jobs.run", NAME, "--profile", "site"]
        environment = os.environ | {"PYTHONPATH": str(folder / "workflow")}
        with open(folder / "printed", "a") as printed:
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=printed, stderr=subprocess.STDOUT, start_new_session=True
            )

    @property
    def printed(self) -> str:
        return (self.folder / "printed").read_text()

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def slurm_log(folder: Path, job: str) -> str:
    return "".join(path.read_text() for path in (folder / "results/slurm-logs").rglob(f"{job}.log"))


def at_work(cluster: SlurmCluster, folder: Path, prefix: str, besides: Collection[str] = (), restarts: int = 0) -> str:
    """Wait for a job of a group that has begun to compute, after so many restarts, and return its number."""
    found = []

    def one_computes() -> bool:
        running = [job for job in cluster.jobs("RUNNING") if job["comment"].startswith(prefix)]
        able = [job["id"] for job in running if job["id"] not in besides and job["restarts"] == str(restarts)]
        found[:] = [job for job in able if "computing on" in slurm_log(folder, job)]
        return bool(found)

    cluster.wait_for(one_computes, f"a job {prefix}... to compute", 1200)
    return found[0]


def scontrol(*command: str) -> str:
    return subprocess.run(["scontrol", *command], check=True, timeout=30, capture_output=True, text=True).stdout


def at_once(job: str) -> None:
    """Let a job that was put back into the queue start, before the two minutes are over that SLURM waits."""
    scontrol("update", f"JobId={job}", "StartTime=now")


def make_late(job: str) -> None:
    """Give a running job a minute in all, and hold up its processes, which SLURM's warning sets going again."""
    rows = [line.split() for line in scontrol("listpids", job).splitlines()[1:]]
    for pid in [int(row[0]) for row in rows if row[2] == "0"]:  # the step that srun started, not the batch script
        os.kill(pid, signal.SIGSTOP)
    scontrol("update", f"JobId={job}", "TimeLimit=1")


def minutes(limit: str) -> float:
    """Of a time limit as squeue writes it, days-hours:minutes:seconds without what is zero in front."""
    parts = [int(part) for part in reversed(re.split("[-:]", limit))]
    return sum(part * unit for part, unit in zip(parts, (1 / 60, 1, 60, 1440), strict=False))


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory) -> dict:
    """What there is to know of a run on the cluster to which everything happened that happens there."""
    folder = checkout(tmp_path_factory.mktemp("cluster"))
    small_study(folder)
    profile_of_a_site(folder)
    with SlurmCluster(tmp_path_factory.mktemp("slurm")) as cluster:
        first, victims = Run(folder), {}
        try:
            victims["requeued"] = at_work(cluster, folder, MODEL)
            scontrol("requeue", victims["requeued"])
            victims["cancelled"] = at_work(cluster, folder, MODEL, victims.values())
            subprocess.run(["scancel", victims["cancelled"]], check=True)
            victims["late"] = at_work(cluster, folder, MODEL, victims.values())
            make_late(victims["late"])
            at_once(victims["requeued"])
            victims["struck"] = at_work(cluster, folder, PAIR)
            cluster.lose_node()  # the job waits its two minutes: what starts on the node at once is taken for stale
            orphan = at_work(cluster, folder, PAIR, restarts=1)
            first.kill()
            second = Run(folder)
            code = second.process.wait()
            assert code == 0, second.printed
        finally:
            if first.process.poll() is None:
                first.kill()
        jobs = pd.DataFrame(cluster.jobs()).set_index("id")
    return {"folder": folder, "jobs": jobs, "orphan": orphan, "printed": second.printed} | victims


def test_short_jobs_share_one_of_slurm(disturbed):
    """Two models, a pair; text, theory, audit, curve, tables, viewer: nine jobs and the disturbed ones."""
    jobs = disturbed["jobs"]
    assert len(jobs[jobs.state == "COMPLETED"]) == 2 + 1 + 6
    assert len(jobs) == 9 + 2, "what was cancelled and what was late"


def test_gpus_are_asked_for_by_those_who_can_use_them(disturbed):
    jobs = disturbed["jobs"]
    multiply = jobs.comment.str.startswith((MODEL, PAIR, VIEWER))
    assert set(jobs.partition[multiply]) == {"gpu"}
    assert set(jobs.gpus[multiply]) == {"gres:gpu:1"}
    assert set(jobs.partition[~multiply]) == {"cpu"}
    assert not jobs.gpus[~multiply].str.contains("gpu").any()


def test_a_gpu_that_torch_cannot_use_is_told_and_not_needed(disturbed):
    logs = [path.read_text() for path in (disturbed["folder"] / f"results/{NAME}/logs/train_model").glob("*.log")]
    assert len(logs) == 2
    for log in logs:
        assert int(re.search(r"computing on cpu, though this job was given the GPU (\d)", log).group(1)) < GPUS


def test_a_requeued_job_starts_again_by_itself(disturbed):
    job = disturbed["jobs"].loc[disturbed["requeued"]]
    assert job.state == "COMPLETED"
    assert int(job.restarts) >= 1, "again when the node dies, if it is at work then"


def test_jobs_of_a_node_that_died_are_queued_again_by_themselves(disturbed):
    job = disturbed["jobs"].loc[disturbed["struck"]]
    assert job.restarts == "1"
    assert job.state == "COMPLETED"


def test_a_cancelled_job_is_submitted_again(disturbed):
    assert disturbed["jobs"].state[disturbed["cancelled"]] == "CANCELLED"


def test_a_job_out_of_time_ends_in_good_order(disturbed):
    assert "was told to end (SIGTERM)" in slurm_log(disturbed["folder"], disturbed["late"])
    assert disturbed["jobs"].state[disturbed["late"]] in ("FAILED", "TIMEOUT")


def test_the_next_attempt_asks_for_more_time_and_memory(disturbed):
    jobs = disturbed["jobs"][disturbed["jobs"].comment.str.startswith(MODEL)]
    models = jobs[jobs.state == "COMPLETED"]
    time, memory = models.minutes.map(minutes), models.memory.str.removesuffix("M").astype(int)
    assert memory.max() == pytest.approx(4 * memory.min(), rel=0.01), (
        "doubled after it was cancelled, and after the end"
    )
    assert time.idxmax() == memory.idxmax()
    assert time.max() > 3 * time.min(), "minutes of short jobs are rounded up"


def test_jobs_of_a_killed_run_are_awaited(disturbed):
    assert "The last run was killed" in disturbed["printed"]
    assert re.search(rf"Waiting for SLURM jobs of the killed run: .*\b{disturbed['orphan']}\b", disturbed["printed"])
    assert disturbed["jobs"].state[disturbed["orphan"]] == "COMPLETED"


def test_nothing_half_written_is_left(disturbed):
    assert not list((disturbed["folder"] / "results").rglob("*.part"))
    assert not (disturbed["folder"] / f"results/{NAME}/work").exists()


def test_the_configuration_of_the_machine_is_put_back(disturbed):
    assert obstacle() is None


def test_tables_are_those_of_an_undisturbed_run_on_one_machine(undisturbed, disturbed):
    """The last test, since another worker may still be at the undisturbed run."""
    expected, found = tables(undisturbed, NAME), tables(disturbed["folder"], NAME)
    for name, table in expected.items():
        pd.testing.assert_frame_equal(found[name], table, check_exact=True, obj=name)
