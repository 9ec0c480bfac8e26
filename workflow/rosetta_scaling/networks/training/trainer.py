"""The ladder: small networks that the study trains from scratch.

Training is a pure function of its settings: the batch of step s depends on (seed, s) alone and there is no dropout,
so a run that was killed and resumed ends with the same weights.
"""

import json
import logging
import math
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch

from rosetta_scaling.config.families import Family
from rosetta_scaling.config.ladder import Ladder, Size
from rosetta_scaling.networks.model_sizes import trained_size
from rosetta_scaling.networks.training.steps import new_steps
from rosetta_scaling.store import progress
from rosetta_scaling.store.atomic import atomic, folder_lock
from rosetta_scaling.store.digests import file_sha256
from rosetta_scaling.store.tables import write_json
from rosetta_scaling.store.tensors import open_tensors, write_tensors

log = logging.getLogger(__name__)


class Task(Protocol):
    """What a network is trained to do, and on what."""

    def new_model(self) -> Any:
        """The network before its first step."""

    def open(self) -> Any:
        """What it is trained on."""

    def epochs(self, data: Any, steps: int) -> float:
        """How often so many steps read what it is trained on, on average."""

    def batch(self, data: Any, step: int) -> tuple[torch.Tensor, ...]:
        """What a step is trained on, in main memory: it depends on the seed of the family and the step alone."""

    def loss(self, model: torch.nn.Module, *batch: torch.Tensor) -> torch.Tensor:
        """The loss on a batch, which lies where the network is."""

    def measure(self, model: torch.nn.Module, device: torch.device) -> dict[str, float]:
        """How well it does on what it was not trained on: validation_loss, and more."""

    def save_beside(self, model: torch.nn.Module, folder: Path) -> None:
        """Write what else belongs into the folder of the network."""


def learning_rate(step: int, steps: int, peak: float, warmup: float) -> float:
    """Linear warm-up, then a cosine to a tenth of the peak."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return peak * (step + 1) / rising
    return peak * (0.55 + 0.45 * math.cos(math.pi * (step - rising) / max(1, steps - rising)))


class Training:
    """Model, optimiser and step of one run; saved and restored exactly."""

    def __init__(self, task: Task, settings: Ladder, device: torch.device):
        self.task, self.device, self.model = task, device, task.new_model().to(device)
        self.steps = new_steps(self.model, partial(task.loss, self.model), settings, device)
        self.step = 0
        self.losses: list[list[float]] = []  # [step, loss], for the training curve

    def save(self, path: Path) -> None:
        tensors = {f"model.{name}": p.detach() for name, p in self.steps.parameters.items()}
        for name, p in self.steps.parameters.items():
            for key, value in self.steps.optimiser.state[p].items():
                tensors[f"{key}.{name}"] = value
        write_tensors(path, tensors, {"step": str(self.step), "losses": json.dumps(self.losses)})

    def restore(self, path: Path) -> None:
        with open_tensors(path) as file, torch.no_grad():
            for name, p in self.steps.parameters.items():
                p.copy_(file.get_tensor(f"model.{name}"))
                self.steps.optimiser.state[p] = {
                    key: file.get_tensor(f"{key}.{name}").to(p.device) for key in ("step", "exp_avg", "exp_avg_sq")
                }
            self.step = int(file.metadata()["step"])
            self.losses = json.loads(file.metadata()["losses"])

    def advance(self, data: Any, rate: float) -> torch.Tensor:
        """One optimiser step; returns the loss before it, on the device: reading it waits for a GPU."""
        loss = self.steps(self.task.batch(data, self.step), rate)
        self.step += 1
        return loss


@dataclass(frozen=True)
class TrainingJob:
    """One network that is trained here: what it is, what it is trained to do, and where it is written."""

    name: str
    family: Family
    size: Size
    settings: Ladder
    task: Task
    out_dir: Path
    work_dir: Path  # saved states; a run that was killed continues from here
    tokens_before: int = 0  # that a network which is trained further has read

    @property
    def steps(self) -> int:
        return self.settings.steps_of(trained_size(self.family, self.size).non_embedding_parameters)


def train(job: TrainingJob, device: torch.device) -> None:
    """Train one network and write it as a `save_pretrained` folder with what prepares its inputs and a manifest.

    The last state stays in `job.work_dir`, so that a workflow that was killed between the end of the job and its own
    bookkeeping does not train again. A second process on the same network waits for the first.
    """
    with folder_lock(job.work_dir):
        if all((job.out_dir / file).exists() for file in ("manifest.json", "model.safetensors", "config.json")):
            log.info("%s: already finished by another process", job.name)
            return
        run, data = Training(job.task, job.settings, device), job.task.open()
        saved = job.work_dir / "training.safetensors"
        if saved.exists():
            run.restore(saved)
            log.info("%s: continues at step %d", job.name, run.step)
        seconds = _train_to_the_end(job, run, data, saved)
        _publish(job, run, seconds, job.task.epochs(data, run.step))


def _train_to_the_end(job: TrainingJob, run: Training, data: Any, saved: Path) -> float:
    """Train and save on the way; the seconds that it took, NaN for a run that was resumed."""
    settings = job.settings
    first, began, last_saved = run.step, time.monotonic(), time.monotonic()
    report = progress.Reporter(log, job.name, job.steps, first)
    while run.step < job.steps:
        step = run.step
        loss = run.advance(data, learning_rate(step, job.steps, job.size.learning_rate, settings.warmup))
        if run.step % max(1, job.steps // 50) == 0:
            run.losses.append([run.step, loss.item()])
        report(run.step, partial(_words, loss))
        if time.monotonic() - last_saved > settings.checkpoint_seconds:
            run.save(saved)
            last_saved = time.monotonic()
    run.save(saved)
    return time.monotonic() - began if first == 0 else float("nan")


def _words(loss: torch.Tensor) -> str:
    return f"loss {loss.item():.3f}"


def _publish(job: TrainingJob, run: Training, seconds: float, epochs: float) -> None:
    settings, measured = job.settings, job.task.measure(run.model, run.device)
    with atomic(job.out_dir) as folder:
        run.model.save_pretrained(folder)
        job.task.save_beside(run.model, folder)
        write_json(
            folder / "manifest.json",
            {
                "model": job.name,
                "source": job.family.source,
                "modality": job.family.modality,
                "architecture": job.family.architecture,
                "seed": job.family.seed,
                "tokens_before": job.tokens_before,
                "training_tokens": job.tokens_before + run.step * settings.batch_sequences * settings.context,
                "epochs": epochs,
                "arithmetic": run.steps.arithmetic,
                "train_seconds": None if math.isnan(seconds) else round(seconds, 1),
                **measured,
                "losses": run.losses,
                "sha256": {f.name: file_sha256(f) for f in sorted(folder.glob("*.safetensors"))},
            },
        )
    log.info("%s: %s", job.name, ", ".join(f"{name} {value:.3f}" for name, value in measured.items()))
