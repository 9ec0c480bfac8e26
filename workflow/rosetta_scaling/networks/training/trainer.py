"""The ladder: small language models that the study trains from scratch.

Training is a pure function of its settings: the batch of step s depends on (seed, s) alone and there is no dropout,
so a run that was killed and resumed ends with the same weights.
"""

import json
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from rosetta_scaling.config.families import Family
from rosetta_scaling.config.ladder import Ladder, Size
from rosetta_scaling.networks.training.architectures import make_config, new_model
from rosetta_scaling.networks.training.tokenizers import END
from rosetta_scaling.store import progress
from rosetta_scaling.store.atomic import atomic, folder_lock
from rosetta_scaling.store.digests import file_sha256
from rosetta_scaling.store.errors import DamagedFile, StudyError
from rosetta_scaling.store.foreign import explaining, reason_of
from rosetta_scaling.store.tables import write_json
from rosetta_scaling.store.tensors import open_tensors, write_tensors

log = logging.getLogger(__name__)


def learning_rate(step: int, steps: int, peak: float, warmup: float) -> float:
    """Linear warm-up, then a cosine to a tenth of the peak."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return peak * (step + 1) / rising
    return peak * (0.55 + 0.45 * math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def batch(tokens: np.ndarray, step: int, seed: int, *, sequences: int, context: int) -> torch.Tensor:
    """Random windows of the token stream, shape (sequences, context + 1). Depends on (seed, step) alone."""
    starts = np.random.default_rng([seed, step]).integers(0, len(tokens) - context, sequences)
    return torch.from_numpy(np.stack([tokens[s : s + context + 1] for s in starts]).astype(np.int64))


def loss_on(model: torch.nn.Module, windows: torch.Tensor) -> torch.Tensor:
    """Mean next-token cross-entropy in nats; windows (batch, context + 1)."""
    logits = model(input_ids=windows[:, :-1], use_cache=False).logits  # (batch, context, vocabulary)
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), windows[:, 1:].flatten())


def validate(model: torch.nn.Module, tokens: np.ndarray, context: int, device: torch.device) -> float:
    """Loss in nats per token over all whole windows of the held-out stream."""
    count = (len(tokens) - 1) // context
    if not count:
        raise StudyError(
            f"the probe text gives {len(tokens):,} tokens, fewer than one sequence of ladder.context = {context}: "
            "raise corpus.probe_bytes_per_domain"
        )
    windows = np.lib.stride_tricks.sliding_window_view(tokens[: count * context + 1], context + 1)[::context]
    model.eval()
    with torch.no_grad():
        batches = torch.from_numpy(windows.astype(np.int64)).split(32)
        total = sum(loss_on(model, windows.to(device)).item() * len(windows) for windows in batches)
    return total / count


# -- training --------------------------------------------------------------------------------------------------------


class Training:
    """Model, optimiser and step of one run; saved and restored exactly."""

    def __init__(self, family: Family, size: Size, settings: Ladder, device: torch.device):
        self.model = new_model(make_config(family, size, settings.context), family.seed).to(device)
        matrices = [p for p in self.model.parameters() if p.ndim >= 2]
        vectors = [p for p in self.model.parameters() if p.ndim < 2]
        groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=size.learning_rate, betas=(0.9, 0.95), fused=True)
        self.step = 0
        self.losses: list[list[float]] = []  # [step, loss], for the training curve

    def save(self, path: Path) -> None:
        tensors = {f"model.{name}": p.detach() for name, p in self.model.named_parameters()}
        for name, p in self.model.named_parameters():
            for key, value in self.optimiser.state[p].items():
                tensors[f"{key}.{name}"] = value
        write_tensors(path, tensors, {"step": str(self.step), "losses": json.dumps(self.losses)})

    def restore(self, path: Path) -> None:
        with open_tensors(path) as file, torch.no_grad():
            for name, p in self.model.named_parameters():
                p.copy_(file.get_tensor(f"model.{name}"))
                self.optimiser.state[p] = {
                    key: file.get_tensor(f"{key}.{name}").to(p.device) for key in ("step", "exp_avg", "exp_avg_sq")
                }
            self.step = int(file.metadata()["step"])
            self.losses = json.loads(file.metadata()["losses"])

    def advance(self, windows: torch.Tensor, rate: float) -> float:
        """One optimiser step; returns the loss before it."""
        self.model.train()
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        loss = loss_on(self.model, windows)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.step += 1
        return loss.item()


@dataclass(frozen=True)
class TrainingJob:
    """One network of the ladder: what it is, what it is trained on, and where it is written."""

    name: str
    family: Family
    size: Size
    settings: Ladder
    text_dir: Path  # tokens.npy, held_out.npy and tokenizer.json, see tokenizers.py
    out_dir: Path
    work_dir: Path  # saved states; a run that was killed continues from here

    @property
    def steps(self) -> int:
        return math.ceil(self.settings.tokens / (self.settings.batch_sequences * self.settings.context))


def train(job: TrainingJob, device: torch.device) -> None:
    """Train one network and write it as a `save_pretrained` folder with its tokenizer and a manifest.

    The last state stays in `job.work_dir`, so that a workflow that was killed between the end of the job and its own
    bookkeeping does not train again. A second process on the same network waits for the first.
    """
    with folder_lock(job.work_dir):
        if all((job.out_dir / file).exists() for file in ("manifest.json", "model.safetensors", "config.json")):
            log.info("%s: already finished by another process", job.name)
            return
        run = Training(job.family, job.size, job.settings, device)
        saved = job.work_dir / "training.safetensors"
        if saved.exists():
            run.restore(saved)
            log.info("%s: continues at step %d", job.name, run.step)
        seconds = _train_to_the_end(job, run, saved, device)
        _publish(job, run, seconds, device)


def _train_to_the_end(job: TrainingJob, run: Training, saved: Path, device: torch.device) -> float:
    """Train and save on the way; the seconds that it took, NaN for a run that was resumed."""
    settings, tokens = job.settings, np.load(job.text_dir / "tokens.npy", mmap_mode="r")
    if len(tokens) <= settings.context:
        raise StudyError(
            f"the corpus gives {len(tokens):,} training tokens, fewer than one sequence of ladder.context = "
            f"{settings.context}: add text"
        )
    first, began, last_saved = run.step, time.monotonic(), time.monotonic()
    report = progress.Reporter(log, job.name, job.steps, first)
    while run.step < job.steps:
        seed = job.family.seed
        windows = batch(tokens, run.step, seed, sequences=settings.batch_sequences, context=settings.context)
        rate = learning_rate(run.step, job.steps, job.size.learning_rate, settings.warmup)
        loss = run.advance(windows.to(device), rate)
        if run.step % max(1, job.steps // 50) == 0:
            run.losses.append([run.step, loss])
        report(run.step, f"loss {loss:.3f}")
        if time.monotonic() - last_saved > settings.checkpoint_seconds:
            run.save(saved)
            last_saved = time.monotonic()
    run.save(saved)
    return time.monotonic() - began if first == 0 else float("nan")


def _publish(job: TrainingJob, run: Training, seconds: float, device: torch.device) -> None:
    settings, held_out = job.settings, np.load(job.text_dir / "held_out.npy")
    loss = validate(run.model, held_out, settings.context, device)
    path = job.text_dir / "tokenizer.json"
    with explaining(lambda error: str(DamagedFile(path, reason_of(error)))):
        tokenizer = Tokenizer.from_file(str(path))
    held_out_bytes = len(tokenizer.decode(held_out.tolist(), skip_special_tokens=True).encode())
    with atomic(job.out_dir) as folder:
        run.model.save_pretrained(folder)
        _save_tokenizer(tokenizer, folder, settings.context)
        write_json(
            folder / "manifest.json",
            {
                "model": job.name,
                "source": "ladder",
                "modality": job.family.modality,
                "architecture": job.family.architecture,
                "seed": job.family.seed,
                "training_tokens": run.step * settings.batch_sequences * settings.context,
                "train_seconds": None if math.isnan(seconds) else round(seconds, 1),
                "validation_loss": loss,
                "validation_bits_per_byte": loss * len(held_out) / held_out_bytes / math.log(2),
                "losses": run.losses,
                "sha256": {f.name: file_sha256(f) for f in sorted(folder.glob("*.safetensors"))},
            },
        )
    log.info("%s: validation loss %.3f nats per token", job.name, loss)


def _save_tokenizer(tokenizer: Tokenizer, folder: Path, context: int) -> None:
    from transformers import PreTrainedTokenizerFast

    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, bos_token=END, model_max_length=context
    )
    wrapped.save_pretrained(folder)
