"""Selectivity of every neuron: how narrow its response is, on the output side and on the input side."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from rosetta_scaling.config import Selectivity
from rosetta_scaling.hooks import find_down_projections, weight_out
from rosetta_scaling.store import StudyError, read_table, write_table


def unembedding(model: torch.nn.Module, settings: Selectivity) -> torch.Tensor:
    """W_U, shape (vocabulary, hidden), float64; with the gain of the final norm and centred, as the settings say."""
    head = model.get_output_embeddings()
    if head is None:
        raise StudyError(f"{type(model).__name__} has no unembedding; vocab_kurtosis needs a language model head")
    weights = head.weight.detach().double()
    if settings.fold_final_norm:
        weights = weights * final_norm_gain(model)
    if settings.centre_unembedding:
        weights = weights - weights.mean(0)
    return weights


def final_norm_gain(model: torch.nn.Module) -> torch.Tensor:
    """Gain of the norm between the last block and the unembedding: the last norm module of width `hidden`."""
    norms = [m for m in model.base_model.children() if "norm" in type(m).__name__.lower() and hasattr(m, "weight")]
    if not norms:
        raise StudyError(f"{type(model).__name__}: no final norm found; set selectivity.fold_final_norm to false")
    return norms[-1].weight.detach().double()


def vocab_kurtosis(weights_out: torch.Tensor, weights_vocabulary: torch.Tensor, chunk: int = 4096) -> np.ndarray:
    """Excess kurtosis over the vocabulary of cos(W_out, W_U), one value per neuron (the paper's section 5.1).

    weights_out (hidden, neurons), weights_vocabulary (vocabulary, hidden). Float64.
    """
    unit_vocabulary = torch.nn.functional.normalize(weights_vocabulary.double(), dim=1)
    values = []
    for part in weights_out.double().split(chunk, dim=1):
        cosine = unit_vocabulary @ torch.nn.functional.normalize(part, dim=0)  # (vocabulary, neurons)
        centred = cosine - cosine.mean(0)
        values.append((centred**4).mean(0) / (centred**2).mean(0) ** 2 - 3)
    return torch.cat(values).numpy()


def write_selectivity(model: torch.nn.Module, statistics: str | Path, settings: Selectivity, out: str | Path) -> None:
    """One row per neuron: the activation statistics and the output-side metric."""
    table = read_table(statistics)
    head = unembedding(model, settings)
    with torch.no_grad():
        kurtosis = [vocab_kurtosis(weight_out(module), head) for module in find_down_projections(model)]
    table.insert(2, "vocab_kurtosis", np.concatenate(kurtosis))
    write_table(out, pd.DataFrame(table))
