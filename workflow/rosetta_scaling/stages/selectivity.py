"""The selectivity of every neuron of a model: one row per neuron, one column per metric."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.schemas.tables.selectivity import NEURON_TABLE, TOKENS_OF_NEURONS
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.store.tables import read_table

if TYPE_CHECKING:
    import torch


def selectivity_inputs(plan: StudyPlan, scope: str, model: str) -> Inputs:
    """The network, its tokenizer, what was measured in it, and the files of a local embedding."""
    layout, embedding = plan.layout, Path(plan.study.selectivity.embedding)
    return {
        "checkpoint": [layout.checkpoint_manifest(model)],
        "tokenizer": [layout.tokenizer_file(model)] if plan.study.modality == "text" else [],
        "units": [layout.units(scope)],
        "statistics": [f"{layout.activations(scope, model)}/statistics"],
        "contexts": [layout.contexts(scope, model)],
        "embedding": [str(path) for path in sorted(embedding.rglob("*")) if path.is_file()],
    }


def write_selectivity(
    plan: StudyPlan, scope: str, model: str, device: "torch.device", *, out: str, out_tokens: str
) -> None:
    """Write the table of neurons, and the tokens that each promotes and suppresses most."""
    from rosetta_scaling.selectivity.kinds import families
    from rosetta_scaling.stages.neuron_metrics import context_metrics, metrics_of_layers
    from rosetta_scaling.units.labels import label_units

    layout, study = plan.layout, plan.study
    units = read_table(layout.units(scope))
    labels = label_units(units, study.activations.unit_texts)
    table = metrics_of_layers(Path(layout.activations(scope, model)), labels, study, [scope, model])
    if study.modality == "text":
        output, tokens = _written(layout.checkpoint(model), layout.tokenizer_file(model))
    else:
        output, tokens = pd.DataFrame(index=table.index), TOKENS_OF_NEURONS.empty()
    contexts = read_table(layout.contexts(scope, model))
    about = context_metrics(study, contexts, units, labels, neurons=len(table), device=device)
    table = pd.concat([table, output, about], axis=1)
    write_checked_table(out, pd.concat([table, families(table)], axis=1), NEURON_TABLE)
    write_checked_table(out_tokens, tokens, TOKENS_OF_NEURONS)


def _written(checkpoint: str, tokenizer_file: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Metrics of what every neuron writes to the vocabulary, and the tokens that it promotes and suppresses most."""
    import torch

    from rosetta_scaling.networks.loading import load_model
    from rosetta_scaling.selectivity.output_side import output_metrics
    from rosetta_scaling.stages.neuron_metrics import known_tokens
    from rosetta_scaling.units.tokenizers import load_tokenizer

    tokenizer = load_tokenizer(tokenizer_file)
    # On the processor: a network larger than the GPU would not have all its weights at hand.
    network = load_model(checkpoint, torch.device("cpu"))
    output, tokens = output_metrics(network, known_tokens(tokenizer, network))
    texts = {token: tokenizer.decode([token], skip_special_tokens=False) for token in tokens.token.unique().tolist()}
    return output, tokens.assign(text=tokens.token.map(texts))
