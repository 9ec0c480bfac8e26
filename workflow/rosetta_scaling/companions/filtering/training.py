"""Networks of the ladder that are trained further on what an arm chose."""

from dataclasses import replace

import pandas as pd
import torch

from rosetta_scaling.companions.filtering.arms import ALL_DATA, START
from rosetta_scaling.companions.filtering.pools import POOL, TEST
from rosetta_scaling.companions.filtering.selection import budget_of
from rosetta_scaling.config.companions.filtering import FilteringSettings
from rosetta_scaling.networks.training.further import FurtherTask
from rosetta_scaling.networks.training.trainer import Training, learning_rate
from rosetta_scaling.schemas.tables.filtering import RUNS


class Further:
    """Trains copies of one network further, and measures their loss on text of the target and on other text."""

    def __init__(self, start: FurtherTask, documents: pd.DataFrame, settings: FilteringSettings, device: torch.device):
        """`start` says from which network training goes on, and how; documents as in pools.py, with their tokens."""
        tests = documents[documents.role == TEST]
        probes = {name: tests.text[tests.target == side].tolist() for name, side in (("target", 1), ("other", 0))}
        self.start, self.settings, self.device = replace(start, probes=probes), settings, device
        sequence = start.settings.batch_sequences * start.settings.context
        self.steps = max(1, round(settings.epochs * budget_of(documents) / sequence))

    def losses(self, texts: list[str], share: float, seed: int) -> tuple[float, float]:
        """Bits per byte on the target and on other text, after training on the texts at a share of the peak rate.

        Without texts, those of the network as it is.
        """
        family = self.start.family.model_copy(update={"seed": seed})  # by which windows of the text are drawn
        task = replace(self.start, family=family, texts=texts)
        run = Training(task, task.settings, self.device)
        if texts:
            tokens, peak = task.open(), share * task.size.learning_rate
            while run.step < self.steps:
                run.advance(tokens, learning_rate(run.step, self.steps, peak, task.settings.warmup))
        bits = task.bits(run.model, self.device)
        return bits["target"], bits["other"]


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
