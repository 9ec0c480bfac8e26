"""Further training on text: the next token of one domain, from the weights of a trained network."""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from rosetta_scaling.networks.loading import load_model
from rosetta_scaling.networks.training.text import TextTask, validate
from rosetta_scaling.networks.training.tokenizers import token_stream
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_table


@dataclass(frozen=True)
class FurtherTask(TextTask):
    """Go on from a trained network; see trainer.Task.

    `family` is that of the origin with another seed, which decides the order of the text and its windows. Where more
    tokens are asked for than the text has, it is read more than once.
    """

    origin: Path  # folder of the trained network
    documents: Path  # table of the corpus
    domain: str | None  # None: all text

    def new_model(self) -> Any:
        model = super().new_model()
        model.load_state_dict(load_model(self.origin, torch.device("cpu")).state_dict())
        return model

    def open(self) -> np.ndarray:
        """The stream of tokens to train on. Raises StudyError when it is shorter than one sequence."""
        texts = self._texts("train").tolist()
        order = np.random.default_rng([self.family.seed, 1]).permutation(len(texts))
        tokens = token_stream(self._tokenizer(), [texts[i] for i in order]) if texts else np.empty(0)
        if len(tokens) <= self.settings.context:
            raise StudyError(
                f"{self._where} gives {len(tokens):,} tokens to train further on, fewer than one sequence of "
                f"ladder.context = {self.settings.context}: add text"
            )
        return tokens

    def measure(self, model: torch.nn.Module, device: torch.device) -> dict[str, float]:
        """Also the loss on held-out text of the domain: of the origin, and after training."""
        before, after = (self._bits(one.to(device), device) for one in (self.new_model(), model))
        return super().measure(model, device) | {"domain_bits_before": before, "domain_bits_after": after}

    def _bits(self, model: torch.nn.Module, device: torch.device) -> float:
        """Loss in bits per byte on the probe text of the domain."""
        texts = self._texts("probe")
        tokens = token_stream(self._tokenizer(), texts.tolist())
        size = sum(len(text.encode()) for text in texts)
        return validate(model, tokens, self.settings.context, device) * len(tokens) / size / math.log(2)

    def _texts(self, split: str) -> pd.Series:
        """Texts of the domain. Raises StudyError where the corpus has no such domain."""
        of_domain = self._table if self.domain is None else self._table[self._table.domain == self.domain]
        if of_domain.empty:
            raise StudyError(
                f"a family is to be trained further on the domain '{self.domain}', but the corpus has "
                f"{sorted(self._table.domain.unique())}: correct families.*.domain"
            )
        return of_domain.text[of_domain.split == split]

    @cached_property
    def _table(self) -> pd.DataFrame:
        return read_table(self.documents)

    @property
    def _where(self) -> str:
        return "the corpus" if self.domain is None else f"the domain '{self.domain}' of the corpus"
