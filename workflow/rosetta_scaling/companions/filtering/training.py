"""Networks of the ladder that are trained further on what an arm chose."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer

from rosetta_scaling.companions.filtering.arms import ALL_DATA, START
from rosetta_scaling.companions.filtering.pools import POOL, TEST
from rosetta_scaling.companions.filtering.selection import budget_of
from rosetta_scaling.config.companions.filtering import FilteringSettings
from rosetta_scaling.config.families import Family
from rosetta_scaling.config.ladder import Ladder, Size
from rosetta_scaling.networks.loading import load_model
from rosetta_scaling.networks.training.text import TextTask, validate
from rosetta_scaling.networks.training.tokenizers import token_stream
from rosetta_scaling.networks.training.trainer import Training, learning_rate
from rosetta_scaling.schemas.tables.filtering import RUNS


@dataclass(frozen=True)
class Start:
    """The network from which training goes on."""

    folder: Path
    family: Family
    size: Size
    ladder: Ladder
    tokenizer: Tokenizer


@dataclass(frozen=True)
class TestText:
    """Text on which a loss is measured: its tokens, and its length in bytes."""

    tokens: np.ndarray
    size: int

    def bits(self, model: torch.nn.Module, context: int, device: torch.device) -> float:
        """Loss in bits per byte."""
        return validate(model, self.tokens, context, device) * len(self.tokens) / self.size / math.log(2)


class Further:
    """Trains copies of one network further, and measures their loss on text of the target and on other text."""

    def __init__(self, start: Start, documents: pd.DataFrame, settings: FilteringSettings, device: torch.device):
        self.start, self.settings, self.device = start, settings, device
        self.weights = load_model(start.folder, torch.device("cpu")).state_dict()
        self.tests = [self._test(documents[(documents.role == TEST) & (documents.target == side)]) for side in (1, 0)]
        sequence = start.ladder.batch_sequences * start.ladder.context
        self.steps = max(1, round(settings.epochs * budget_of(documents) / sequence))

    def _test(self, documents: pd.DataFrame) -> TestText:
        tokens = token_stream(self.start.tokenizer, documents.text.tolist())
        return TestText(tokens, int(documents.bytes.sum()))

    def losses(self, texts: list[str], share: float, seed: int) -> tuple[float, float]:
        """Bits per byte on the target and on other text, after training on the texts at a share of the peak rate.

        Without texts, those of the network as it is.
        """
        start, ladder = self.start, self.start.ladder
        family = start.family.model_copy(update={"seed": seed})  # by which windows of the text are drawn
        run = Training(TextTask(family, start.size, ladder, start.folder), ladder, self.device)
        run.model.load_state_dict(self.weights)
        if texts:
            tokens, peak = token_stream(start.tokenizer, texts), share * start.size.learning_rate
            while run.step < self.steps:
                run.advance(tokens, learning_rate(run.step, self.steps, peak, ladder.warmup))
        target, other = (test.bits(run.model, ladder.context, self.device) for test in self.tests)
        return target, other


def train_on_choices(further: Further, documents: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """The table RUNS: a network for every arm in `chosen` (see CHOSEN), learning rate and seed; one on the whole pool
    for as many tokens; and the network as it was."""
    rows, text = [], documents.set_index("document").text
    choices = {(arm, seed): text[part.document].tolist() for (arm, seed), part in chosen.groupby(["arm", "seed"])}
    pool = documents.text[documents.role == POOL].tolist()
    choices |= {(ALL_DATA, seed): pool for seed in range(further.settings.seeds)}
    rows.append((START, 0.0, 0, *further.losses([], 0, 0)))
    for (arm, seed), texts in choices.items():
        for share in further.settings.learning_rates:
            rows.append((arm, share, seed, *further.losses(texts, share, further.settings.seed + seed)))
    return pd.DataFrame(rows, columns=RUNS.names)
