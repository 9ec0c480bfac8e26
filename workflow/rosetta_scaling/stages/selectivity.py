"""The selectivity of every neuron of a model: one row per neuron, one column per metric."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer

from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.networks.loading import load_model
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.schemas.tables.selectivity import NEURON_TABLE, TOKENS_OF_NEURONS
from rosetta_scaling.selectivity.contexts import strongest_contexts
from rosetta_scaling.selectivity.information import document_types, normalised_firing
from rosetta_scaling.selectivity.input_side import input_metrics
from rosetta_scaling.selectivity.kinds import families
from rosetta_scaling.selectivity.monosemanticity import context_monoscore, detection
from rosetta_scaling.selectivity.output_side import output_metrics
from rosetta_scaling.store.digests import digest
from rosetta_scaling.store.tables import read_table
from rosetta_scaling.store.tensors import read_tensors
from rosetta_scaling.units.labels import UnitLabels, label_units


def write_selectivity(layout: Layout, scope: str, model: str, device: torch.device, out: str, out_tokens: str) -> None:
    """Write the table of neurons, and the tokens that each promotes and suppresses most."""
    study, folder = layout.study, Path(layout.activations(scope, model))
    units = read_table(layout.units(scope))
    labels = label_units(units, study.activations.unit_texts)
    seed = [study.nulls.seed, int(digest([scope, model]), 16)]
    layers = [
        input_metrics(read_tensors(file), labels, study.selectivity.shuffles, [*seed, layer]).assign(layer=layer)
        for layer, file in enumerate(sorted(folder.glob("statistics/layer-*.safetensors")))
    ]
    table = pd.concat(layers)
    table.insert(0, "channel", table.index)
    table.insert(0, "layer", table.pop("layer"))
    table = table.reset_index(drop=True)
    tokenizer = Tokenizer.from_file(layout.tokenizer_file(model))
    # On the processor: a network larger than the GPU would not have all its weights at hand.
    network = load_model(layout.checkpoint(model), torch.device("cpu"))
    output, tokens = output_metrics(network, known_tokens(tokenizer, network))
    texts = {token: tokenizer.decode([token], skip_special_tokens=False) for token in tokens.token.unique().tolist()}
    tokens["text"] = tokens.token.map(texts)
    contexts = read_table(folder / "contexts.parquet")
    about = context_metrics(layout, contexts, units, labels, len(table), device)
    table = pd.concat([table, output, about], axis=1)
    write_checked_table(out, pd.concat([table, families(table)], axis=1), NEURON_TABLE)
    write_checked_table(out_tokens, tokens, TOKENS_OF_NEURONS)


def known_tokens(tokenizer: Tokenizer, network: torch.nn.Module) -> int | None:
    """Rows of the unembedding that stand for tokens; those after them are padding. None without an unembedding."""
    head = network.get_output_embeddings()
    return None if head is None else min(max(tokenizer.get_vocab().values()) + 1, len(head.weight))


def context_metrics(
    layout: Layout, contexts: pd.DataFrame, units: pd.DataFrame, labels: UnitLabels, neurons: int, device: torch.device
) -> pd.DataFrame:
    """What the strongest contexts of every neuron say: monoscore, detection_auc and firing_DOMAIN."""
    settings, seed = layout.study.selectivity, layout.study.nulls.seed
    top = layout.study.activations.top_contexts
    chosen = np.random.default_rng(seed).permutation(neurons)[: settings.detection_neurons]
    # The same seed for all models: what the random negatives do to an AUC, they do to all of them.
    auc = detection(contexts, units, labels.half, seed=seed, neurons=chosen)
    columns = {
        "monoscore": context_monoscore(contexts, units, neurons, top, settings.embedding, str(device)),
        "detection_auc": auc.reindex(range(neurons)).to_numpy(),
    }
    types = document_types(labels.domains)
    kinds = sorted(set(types))
    kind = np.array([kinds.index(one) for one in types])[labels.block_domain][labels.block]
    firing = normalised_firing(strongest_contexts(contexts[contexts.activation > 0], top), kind, len(kinds), neurons)
    return pd.DataFrame(columns | {f"firing_{name}": values for name, values in zip(kinds, firing, strict=True)})
