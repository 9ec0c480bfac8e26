"""What the neurons of a network do in every document."""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer

from rosetta_scaling.activations import pooling
from rosetta_scaling.activations.inputs.contract import Batch
from rosetta_scaling.activations.inputs.opening import open_inputs
from rosetta_scaling.config.units import Units
from rosetta_scaling.networks.linear import neurons_of
from rosetta_scaling.networks.mlps import find_mlps, read_inputs
from rosetta_scaling.units.text import cut_passages, tokenize

PASSAGES = 32  # read at a time


class Read(NamedTuple):
    """Means over the tokens of every document (documents, neurons of all layers), and the layer of every neuron."""

    means: np.ndarray  # of activations
    magnitudes: np.ndarray  # of |pre-activation|: in gated MLPs of the map that is not the gate's
    layer: np.ndarray
    seconds: float  # of processor time


def token_counts(tokenizer: Tokenizer, texts: list[str]) -> np.ndarray:
    """Tokens of every text (texts,)."""
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    return np.array([len(encoding) for encoding in tokenizer.encode_batch(texts)])


def read_documents(
    model: torch.nn.Module, tokenizer: Tokenizer, texts: list[str], *, units: Units, device: torch.device
) -> Read:
    """Read documents in passages, as the probe text is read, and average over their tokens.

    The first token of a passage does not count unless `units` says so: it sees no other, and attention sinks are there.
    A document without a token that counts has zeros.
    """
    began = time.process_time()
    tokens, document, weight = _passages(tokenizer, texts, units)
    inputs, sums = open_inputs(model, tokens, device), _Sums(model, len(texts))
    by_length = np.argsort(inputs.lengths, kind="stable")
    for samples in np.split(by_length, range(PASSAGES, len(by_length), PASSAGES)):
        batch = inputs.batch(np.sort(samples))
        if len(batch.units):
            receive = sums.receiver(batch, document[batch.units], weight[batch.units])
            with torch.inference_mode(), read_inputs(sums.modules, receive):
                model(**batch.arguments)
    total = np.maximum(1, np.bincount(document, weights=weight, minlength=len(texts)))
    magnitudes, means = (sums.values / torch.from_numpy(total).float()[:, None]).numpy()
    return Read(means, magnitudes, sums.layer, time.process_time() - began)


class _Sums:
    """Sums of magnitudes and of activations over the tokens of every document: (2, documents, neurons)."""

    def __init__(self, model: torch.nn.Module, documents: int):
        self.mlps = find_mlps(model)
        # By number in the order in which a forward pass comes by: the way up of layer 0, its way back, that of layer 1
        ways = [way for mlp in self.mlps for way in (mlp.ups[0], mlp.down)]
        self.modules = dict(enumerate(ways))
        widths = [neurons_of(mlp.down) for mlp in self.mlps]
        self.bounds = np.cumsum([0, *widths])  # (layers + 1,)
        self.layer = np.repeat(np.arange(len(widths)), widths)
        self.values = torch.zeros(2, documents, sum(widths))

    def receiver(self, batch: Batch, document: np.ndarray, weight: np.ndarray) -> Callable[[int, torch.Tensor], None]:
        """What adds the inputs of `modules` in a batch, to the documents of its units, weighted."""
        rows, times = torch.from_numpy(document), torch.from_numpy(weight)[:, None]

        def receive(place: int, values: torch.Tensor) -> None:
            layer, side = divmod(place, 2)
            if side == 0:
                values = self.mlps[layer].pre_activations(values)[-1].abs()
            columns = slice(int(self.bounds[layer]), int(self.bounds[layer + 1]))
            of_tokens = batch.rows(values)
            pooled = pooling.means(of_tokens, batch.bags.to(of_tokens.device))
            self.values[side, :, columns].index_add_(0, rows, pooled.cpu() * times)

        return receive


def _passages(tokenizer: Tokenizer, texts: list[str], units: Units) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """The table of tokens of all passages, each passage one unit; and by unit its document and its number of tokens."""
    passages = cut_passages(pd.DataFrame({"doc": range(len(texts)), "domain": "", "text": texts}), units.passage_bytes)
    tokens = tokenize(tokenizer, passages, units.max_tokens)
    counted = ~tokens.special & (units.include_first | (tokens.position > 0))
    size = tokens[counted].groupby("passage").size()  # of passages with a token that counts
    tokens["unit"] = np.where(counted, pd.Index(size.index).get_indexer(tokens.passage), -1)
    return tokens, passages.doc.to_numpy()[size.index], size.to_numpy(np.float32)
