"""Passages of text as inputs of a network: token ids, a mask where the network needs one, means over units.

Passages of a batch are padded behind their text. Networks that look there are given a mask.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from rosetta_scaling.activations.pooling import Bags
from rosetta_scaling.networks.batches import arguments, token_rows
from rosetta_scaling.networks.requirements import require_readable
from rosetta_scaling.numerics.runs import begins_run


@dataclass(frozen=True)
class TextBatch:
    """Some passages; see contract.py."""

    arguments: dict[str, torch.Tensor]
    units: np.ndarray  # (n,)
    bags: Bags  # places of the flat ids (passages * longest,)

    def rows(self, values: torch.Tensor) -> torch.Tensor:
        return token_rows(values, *self.arguments["input_ids"].shape)

    def inside(self, values: torch.Tensor) -> torch.Tensor:
        rows = self.rows(values)
        return rows[self.bags.places.to(rows.device)].float()


class TextInputs:
    """The passages of a table of tokens; see contract.py.

    `tokens` has columns passage, position, token, unit (-1: in no unit), in the order of passages and positions; units
    count from 0 in the same order. Raises StudyError when the network cannot read them: see requirements.py.
    """

    def __init__(self, model: torch.nn.Module, tokens: pd.DataFrame, device: torch.device):
        self.model, self.device = model, device
        self.token, self.unit = tokens.token.to_numpy(), tokens.unit.to_numpy()  # (tokens,)
        passage = tokens.passage.to_numpy()
        # Where every passage begins, and the number of tokens: (passages + 1,).
        self.bounds = np.append(np.flatnonzero(begins_run(passage)), len(passage))
        self.lengths = np.diff(self.bounds)
        # One more than the last unit that has begun when a passage ends.
        self.ends = np.maximum.accumulate(np.maximum.reduceat(self.unit, self.bounds[:-1])) + 1
        self.units = int(self.ends[-1])
        self.masked = require_readable(model, self.token, int(self.lengths.max()), device)

    def batch(self, samples: np.ndarray) -> TextBatch:
        begins, lengths = self.bounds[samples], self.lengths[samples]  # (passages,)
        row = np.repeat(np.arange(len(samples)), lengths)  # (tokens of the batch,)
        position = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)  # (tokens of the batch,)
        source = np.repeat(begins, lengths) + position  # their numbers among all tokens
        ids = np.zeros((len(samples), lengths.max()), np.int64)  # (passages, longest)
        ids[row, position] = self.token[source]
        inside = np.flatnonzero(self.unit[source] >= 0)  # (tokens in units,)
        unit = self.unit[source[inside]]  # (tokens in units,), rising within a passage
        first = np.flatnonzero(begins_run(unit))  # (n,)
        places = row[inside] * ids.shape[1] + position[inside]  # (tokens in units,)
        mask = None
        if self.masked:
            mask = torch.from_numpy(np.arange(ids.shape[1]) < lengths[:, None]).to(self.device)  # (passages, longest)
        called_with = arguments(self.model, torch.from_numpy(ids).to(self.device), mask)
        bags = Bags(torch.from_numpy(places), torch.from_numpy(np.append(first, len(unit))))
        return TextBatch(called_with, unit[first], bags.to(self.device))
