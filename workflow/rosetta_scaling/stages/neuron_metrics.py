"""Metrics of the selectivity of neurons, from what was measured in a network."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer

from rosetta_scaling.config.study import Study
from rosetta_scaling.numerics.seeds import seed_from
from rosetta_scaling.selectivity.contexts import strongest_contexts
from rosetta_scaling.selectivity.information import document_types, normalised_firing
from rosetta_scaling.selectivity.input_side import input_metrics
from rosetta_scaling.selectivity.monosemanticity import context_monoscore, detection
from rosetta_scaling.store.tensors import read_tensors
from rosetta_scaling.units.labels import UnitLabels


def metrics_of_layers(folder: Path, labels: UnitLabels, study: Study, name: list[str]) -> pd.DataFrame:
    """Metrics of the inputs of all neurons, from the statistics of every layer; columns layer, channel come first."""
    seed = [study.nulls.seed, seed_from(name)]
    layers = [
        input_metrics(read_tensors(file), labels, study.selectivity.shuffles, [*seed, layer]).assign(layer=layer)
        for layer, file in enumerate(sorted(folder.glob("statistics/layer-*.safetensors")))
    ]
    table = pd.concat(layers)
    table.insert(0, "channel", table.index)
    table.insert(0, "layer", table.pop("layer"))
    return table.reset_index(drop=True)


def known_tokens(tokenizer: Tokenizer, network: torch.nn.Module) -> int | None:
    """Rows of the unembedding that stand for tokens; those after them are padding. None without an unembedding."""
    model: Any = network
    head = model.get_output_embeddings()
    return None if head is None else min(max(tokenizer.get_vocab().values()) + 1, len(head.weight))


def context_metrics(
    study: Study, contexts: pd.DataFrame, units: pd.DataFrame, labels: UnitLabels, *, neurons: int, device: torch.device
) -> pd.DataFrame:
    """What the strongest contexts of every neuron say: monoscore, detection_auc and firing_DOMAIN."""
    settings, seed, top = study.selectivity, study.nulls.seed, study.activations.top_contexts
    chosen = np.random.default_rng(seed).permutation(neurons)[: settings.detection_neurons]
    # The same seed for all models: what the random negatives do to an AUC, they do to all of them.
    auc = detection(contexts, units, labels.fold, seed=seed, neurons=chosen)
    columns = {
        "monoscore": context_monoscore(contexts, units, neurons, top, embedding=settings.embedding, device=str(device)),
        "detection_auc": auc.reindex(range(neurons)).to_numpy(),
    }
    types = document_types(labels.domains)
    kinds = sorted(set(types))
    kind = np.array([kinds.index(one) for one in types])[labels.block_domain][labels.block]
    firing = normalised_firing(strongest_contexts(contexts[contexts.activation > 0], top), kind, len(kinds), neurons)
    return pd.DataFrame(columns | {f"firing_{name}": values for name, values in zip(kinds, firing, strict=True)})
