"""Further training on text: the next token of some text, from the weights of a trained network."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from rosetta_scaling.networks.loading import load_model
from rosetta_scaling.networks.training.text import TextTask, bits_per_byte, validate
from rosetta_scaling.networks.training.tokenizers import token_stream
from rosetta_scaling.store.errors import StudyError


@dataclass(frozen=True)
class FurtherTask(TextTask):
    """Go on from a trained network; see trainer.Task.

    `family` is that of the origin with another seed, which decides the windows of the text. Where more tokens are asked
    for than the text has, it is read more than once.
    """

    origin: Path  # folder of the trained network
    texts: list[str]  # to train on, in this order
    probes: dict[str, list[str]]  # texts on which the loss is measured, by name

    def new_model(self) -> Any:
        model = super().new_model()
        model.load_state_dict(load_model(self.origin, torch.device("cpu")).state_dict())
        return model

    def open(self) -> np.ndarray:
        """The stream of tokens to train on. Raises StudyError when it is shorter than one sequence."""
        tokens = token_stream(self._tokenizer(), self.texts) if self.texts else np.empty(0)
        if len(tokens) <= self.settings.context:
            raise StudyError(
                f"the text gives {len(tokens):,} tokens to train further on, fewer than one sequence of "
                f"ladder.context = {self.settings.context}: add text"
            )
        return tokens

    def measure(self, model: torch.nn.Module, device: torch.device) -> dict[str, float]:
        """Also the loss on every probe: of the origin, and after training."""
        networks = {"before": self.new_model(), "after": model}
        bits = {when: self.bits(network.to(device), device) for when, network in networks.items()}
        of_probes = {f"{name}_bits_{when}": of[name] for when, of in bits.items() for name in of}
        return super().measure(model, device) | of_probes

    def bits(self, model: torch.nn.Module, device: torch.device) -> dict[str, float]:
        """Loss in bits per byte on every probe."""
        found, tokenizer = {}, self._tokenizer()
        for name, texts in self.probes.items():
            tokens = token_stream(tokenizer, texts)
            nats = validate(model, tokens, self.settings.context, device)
            found[name] = bits_per_byte(nats, len(tokens), sum(len(text.encode()) for text in texts))
        return found


def texts_of_domain(documents: pd.DataFrame, domain: str | None) -> dict[str, list[str]]:
    """Texts of a corpus by split, of one domain or of all. Raises StudyError where the corpus has no such domain."""
    of_domain = documents if domain is None else documents[documents.domain == domain]
    if of_domain.empty:
        raise StudyError(
            f"a family is to be trained further on the domain '{domain}', but the corpus has "
            f"{sorted(documents.domain.unique())}: correct families.*.domain"
        )
    return {split: of_domain.text[of_domain.split == split].tolist() for split in ("train", "probe")}
