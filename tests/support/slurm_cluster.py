"""A real SLURM of one node with make-believe GPUs, for tests: munged, slurmctld and slurmd as ordinary processes.

Everything lies in one folder and listens on 127.0.0.1. Two things do not: the inner `srun` of Snakemake's SLURM plugin
is not told of SLURM_CONF, so the configuration has to be in /etc/slurm, where it is removed at the end; and the daemons
have to be root's.
"""

import contextlib
import os
import platform
import shutil
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

CONFIGURATION = Path("/etc/slurm")
FILES = ("slurm.conf", "gres.conf")
PROGRAMS = {
    "munged": "munge",
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "sbatch": "slurm-client",
}  # Debian packages
GPUS = 2
NULL_DEVICE = os.makedev(1, 3)

SLURM_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
# Nothing listens beyond this machine.
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
# No cgroups: they are not to be had in containers. So memory is counted, but nobody is killed for it.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
MpiDefault=none
SwitchType=switch/none
# Counts GPUs, processors and memory.
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
AccountingStorageType=accounting_storage/none
# Without accounting a job is known as long as squeue shows it.
MinJobAge=3600
# Tests do not wait for the scheduler.
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
SlurmdTimeout=10
ReturnToService=2
KillWait=5
{more}
NodeName={host} NodeAddr=127.0.0.1 CPUs={processors} RealMemory={memory_mb} Gres=gpu:fake:{gpus} State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=UNLIMITED State=UP
PartitionName=gpu Nodes={host} MaxTime=UNLIMITED State=UP
"""


def obstacle() -> str | None:
    """One sentence on why no cluster can be started here; None when one can."""
    if missing := [package for program, package in PROGRAMS.items() if not shutil.which(program)]:
        return f"SLURM is not installed: `make slurm-test` or apt-get install {' '.join(missing)}"
    if os.geteuid() != 0:
        return "SLURM's daemons have to be started by root"
    if found := [str(CONFIGURATION / name) for name in FILES if os.path.lexists(CONFIGURATION / name)]:
        return f"{', '.join(found)} exists: another SLURM is configured on this machine"
    return None


class SlurmCluster:
    """`with SlurmCluster(folder):` one node, partitions `cpu` and `gpu`, and as many jobs at a time as processors.

    `more` are lines for slurm.conf. Raises RuntimeError with one sentence when the cluster cannot be started.
    """

    def __init__(self, folder: Path, more: str = ""):
        self.folder, self.more = folder.resolve(), more
        self.host = platform.node().split(".")[0]
        self.daemons: list[subprocess.Popen] = []

    def __enter__(self) -> "SlurmCluster":
        if reason := obstacle():
            raise RuntimeError(reason)
        try:
            self._configure()
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def _configure(self) -> None:
        for name in ("state", "spool", "gpu"):
            (self.folder / name).mkdir(parents=True)
        devices = [self.folder / f"gpu/nvidia{i}" for i in range(GPUS)]
        for device in devices:  # slurmd asks for character devices; what they do it does not ask
            try:
                os.mknod(device, 0o666 | stat.S_IFCHR, NULL_DEVICE)
            except OSError as error:
                raise RuntimeError(f"no device files can be made here, which stand for GPUs ({error})") from None
        slurm_conf = SLURM_CONF.format(
            host=self.host,
            folder=self.folder,
            controller_port=_free_port(),
            node_port=_free_port(),
            processors=os.cpu_count(),
            memory_mb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 - 100,
            gpus=GPUS,
            more=self.more,
        )
        gres_conf = "".join(f"NodeName={self.host} Name=gpu Type=fake File={device}\n" for device in devices)
        self.made_folder = not CONFIGURATION.exists()
        CONFIGURATION.mkdir(exist_ok=True)
        for name, text in zip(FILES, (slurm_conf, gres_conf), strict=True):
            (self.folder / name).write_text(text)
            (CONFIGURATION / name).symlink_to(self.folder / name)

    def _start(self) -> None:
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(1024))
        files = {"socket": "munge.sock", "seed-file": "munge.seed", "pid-file": "munge.pid", "log-file": "munge.log"}
        options = [f"--{name}={self.folder / file}" for name, file in files.items()]
        self._daemon("munged", "--foreground", "--force", f"--key-file={key}", *options)
        self._daemon("slurmctld", "-D", "-c")
        self._daemon("slurmd", "-D")
        self.wait_for(self._is_idle, "the node to be idle")

    def _daemon(self, *command: str) -> None:
        with open(self.folder / f"{command[0]}.log", "a") as log:
            self.daemons.append(subprocess.Popen(command, stdout=log, stderr=log))

    def _state(self) -> str:
        """Of the node: idle, mixed, allocated, down ..., with a mark when it does not answer."""
        return subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True, timeout=10).stdout

    def _is_idle(self) -> bool:
        return set(self._state().split()) == {"idle"}

    def wait_for(self, condition, what: str, seconds: float = 30) -> None:
        """Wait until condition() is true; on the way, complain of a daemon that has ended."""
        end = time.monotonic() + seconds
        while not condition():
            ended = [daemon.args[0] for daemon in self.daemons if daemon.poll() is not None]
            if ended or time.monotonic() > end:
                logs = {name: (self.folder / f"{name}.log").read_text()[-500:] for name in ("slurmctld", "slurmd")}
                raise RuntimeError(f"waited for {what} in vain; ended: {ended}; the logs end in {logs}")
            time.sleep(0.1)

    def jobs(self, *states: str) -> list[dict[str, str]]:
        """What squeue knows of all jobs, finished ones too: id, state, comment, partition, gpus, minutes, ..."""
        fields = {
            "id": "JobID",
            "state": "State",
            "comment": "Comment",
            "partition": "Partition",
            "gpus": "tres-per-job",
        }
        fields |= {"minutes": "TimeLimit", "memory": "MinMemory", "restarts": "RestartCnt", "name": "Name"}
        columns = ",".join(f"{field}:|" for field in fields.values())
        command = ["squeue", "--noheader", "--states=all", f"--Format={columns}"]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        rows = [dict(zip(fields, line.split("|"), strict=False)) for line in lines]
        return [row for row in rows if not states or row["state"] in states]

    def lose_node(self) -> None:
        """Kill slurmd and all that runs on the node, as a power cut does; it comes back when SLURM has noticed."""
        jobs = [job["id"] for job in self.jobs("RUNNING")]
        listed = [subprocess.run(["scontrol", "listpids", job], capture_output=True, text=True).stdout for job in jobs]
        pids = [line.split()[0] for text in listed for line in text.splitlines()[1:]]
        steps = subprocess.run(["pgrep", "slurmstepd"], capture_output=True, text=True).stdout.split()
        slurmd = next(daemon for daemon in self.daemons if daemon.args[0] == "slurmd")
        self.daemons.remove(slurmd)
        slurmd.kill()
        slurmd.wait()
        for pid in {*pids, *steps} - {"-1", "0"}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        self.wait_for(lambda: "down" in self._state(), "the node to be down", 60)
        self._daemon("slurmd", "-D")
        self.wait_for(lambda: "down" not in self._state(), "the node to be back", 60)

    def stop(self) -> None:
        """End all jobs and daemons of this cluster, and leave /etc/slurm as it was."""
        if any(daemon.args[0] == "slurmctld" and daemon.poll() is None for daemon in self.daemons):
            subprocess.run(["scancel", "--signal=KILL", "--full", "--user=root"], capture_output=True, timeout=30)
            subprocess.run(["scancel", "--user=root"], capture_output=True, timeout=30)
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self.daemons.clear()
        for name in FILES:
            if (link := CONFIGURATION / name).is_symlink() and link.readlink().parent == self.folder:
                link.unlink()
        if getattr(self, "made_folder", False) and not any(CONFIGURATION.iterdir()):
            CONFIGURATION.rmdir()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
