"""What the neurons of a network do in every document."""

import time
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer

from rosetta_scaling.activations.inputs.opening import open_inputs
from rosetta_scaling.config.units import Units
from rosetta_scaling.networks.mlps import find_mlps, neurons_of, read_inputs
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
    model: torch.nn.Module, tokenizer: Tokenizer, texts: list[str], units: Units, device: torch.device
) -> Read:
    """Read documents in passages, as the probe text is read, and average over their tokens.

    The first token of a passage does not count unless `units` says so: it sees no other, and attention sinks are there.
    A document without a token that counts has zeros.
    """
    began = time.process_time()
    tokens, document, weight = _passages(tokenizer, texts, units)
    inputs, mlps = open_inputs(model, tokens, device), find_mlps(model)
    # By numbers in the order in which a forward pass comes by: the way up of layer 0, its way back, that of layer 1 ...
    modules = {2 * i: mlp.ups[0] for i, mlp in enumerate(mlps)} | {2 * i + 1: mlp.down for i, mlp in enumerate(mlps)}
    bounds = np.cumsum([0, *(neurons_of(mlp.down) for mlp in mlps)])  # (layers + 1,)
    sums = torch.zeros(2, len(texts), int(bounds[-1]))  # of magnitudes, and of activations
    by_length = np.argsort(inputs.lengths, kind="stable")
    for samples in np.split(by_length, range(PASSAGES, len(by_length), PASSAGES)):
        batch = inputs.batch(np.sort(samples))
        if not len(batch.units):
            continue
        rows, times = torch.from_numpy(document[batch.units]), torch.from_numpy(weight[batch.units])[:, None]

        def receive(place: int, values: torch.Tensor, batch=batch, rows=rows, times=times) -> None:
            layer, side = divmod(place, 2)
            if side == 0:
                values = mlps[layer].pre_activations(values)[-1].abs()
            columns = slice(int(bounds[layer]), int(bounds[layer + 1]))
            sums[side, :, columns].index_add_(0, rows, batch.pool(values).cpu() * times)

        with torch.inference_mode(), read_inputs(modules, receive):
            model(**batch.arguments)
    total = np.maximum(1, np.bincount(document, weights=weight, minlength=len(texts)))
    magnitudes, means = (sums / torch.from_numpy(total).float()[:, None]).numpy()
    return Read(means, magnitudes, np.repeat(np.arange(len(mlps)), np.diff(bounds)), time.process_time() - began)


def _passages(tokenizer: Tokenizer, texts: list[str], units: Units) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """The table of tokens of all passages, each passage one unit; and by unit its document and its number of tokens."""
    passages = cut_passages(pd.DataFrame({"doc": range(len(texts)), "domain": "", "text": texts}), units.passage_bytes)
    tokens = tokenize(tokenizer, passages, units.max_tokens)
    counted = ~tokens.special & (units.include_first | (tokens.position > 0))
    size = tokens[counted].groupby("passage").size()  # of passages with a token that counts
    tokens["unit"] = np.where(counted, pd.Index(size.index).get_indexer(tokens.passage), -1)
    return tokens, passages.doc.to_numpy()[size.index], size.to_numpy(np.float32)
