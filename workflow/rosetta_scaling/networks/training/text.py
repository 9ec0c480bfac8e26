"""Training on text: the next token of a stream."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from rosetta_scaling.config.families import Family
from rosetta_scaling.config.ladder import Ladder, Size
from rosetta_scaling.networks.training.architectures import make_config, new_model
from rosetta_scaling.networks.training.tokenizers import END
from rosetta_scaling.store.errors import DamagedFile, StudyError
from rosetta_scaling.store.foreign import explaining, reason_of


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


def bits_per_byte(nats: float, tokens: int, size: int) -> float:
    """A loss in nats per token, of so many tokens that stand for `size` bytes of text."""
    return nats * tokens / size / math.log(2)


@dataclass(frozen=True)
class TextTask:
    """Learn to predict the next token; see trainer.Task."""

    family: Family
    size: Size
    settings: Ladder
    text_dir: Path  # with tokens.npy, held_out.npy and tokenizer.json, see tokenizers.py

    def new_model(self) -> Any:
        return new_model(make_config(self.family, self.size, self.settings.context), self.family.seed)

    def open(self) -> np.ndarray:
        """The stream of training tokens. Raises StudyError when it is shorter than one sequence."""
        tokens = np.load(self.text_dir / "tokens.npy", mmap_mode="r")
        if len(tokens) <= self.settings.context:
            raise StudyError(
                f"the corpus gives {len(tokens):,} training tokens, fewer than one sequence of ladder.context = "
                f"{self.settings.context}: add text"
            )
        return tokens

    def epochs(self, tokens: np.ndarray, steps: int) -> float:
        return steps * self.settings.batch_sequences * self.settings.context / len(tokens)

    def batch(self, tokens: np.ndarray, step: int) -> tuple[torch.Tensor, ...]:
        sizes = {"sequences": self.settings.batch_sequences, "context": self.settings.context}
        return (batch(tokens, step, self.family.seed, **sizes),)

    def loss(self, model: torch.nn.Module, *batch: torch.Tensor) -> torch.Tensor:
        return loss_on(model, *batch)

    def measure(self, model: torch.nn.Module, device: torch.device) -> dict[str, float]:
        held_out, tokenizer = np.load(self.text_dir / "held_out.npy"), self._tokenizer()
        loss = validate(model, held_out, self.settings.context, device)
        held_out_bytes = len(tokenizer.decode(held_out.tolist(), skip_special_tokens=True).encode())
        return {
            "validation_loss": loss,
            "validation_bits_per_byte": bits_per_byte(loss, len(held_out), held_out_bytes),
        }

    def save_beside(self, model: torch.nn.Module, folder: Path) -> None:
        save_tokenizer(self._tokenizer(), folder, self.settings.context)

    def _tokenizer(self) -> Tokenizer:
        path = self.text_dir / "tokenizer.json"
        with explaining(lambda error: str(DamagedFile(path, reason_of(error)))):
            return Tokenizer.from_file(str(path))


def save_tokenizer(tokenizer: Tokenizer, folder: Path, context: int) -> None:
    """Write a tokenizer beside a network, as transformers does."""
    from transformers import PreTrainedTokenizerFast

    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, bos_token=END, model_max_length=context
    )
    wrapped.save_pretrained(folder)
