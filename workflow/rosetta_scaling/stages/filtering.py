"""The study of data filtering: pools, choices by text and by neurons, networks that are trained further, and tables."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.tables.filtering import CHOSEN, NEURONS, POOL, RUNS, SCORES
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.store.tables import read_table

if TYPE_CHECKING:
    import torch

ROSETTA, OTHERS = "Rosetta neurons", "others"


def trained_further(plan: StudyPlan) -> str:
    """The network that is trained further."""
    return plan.layout.points[plan.layout.trained_further][0]


# -- pools -----------------------------------------------------------------------------------------------------------


def pool_inputs(plan: StudyPlan) -> Inputs:
    layout = plan.layout
    return {"documents": [layout.documents], "tokenizer": [layout.tokenizer_file(trained_further(plan))]}


def write_pool(plan: StudyPlan, task: str, out: str) -> None:
    """Write the documents of a task."""
    from rosetta_scaling.companions.filtering.pools import build_pool
    from rosetta_scaling.companions.filtering.reading import token_counts
    from rosetta_scaling.units.tokenizers import load_tokenizer

    layout, study = plan.layout, plan.study
    documents = read_table(layout.documents)
    pool = build_pool(documents, task, study.companions.filtering, study.corpus.near_duplicate_threshold)
    tokenizer = load_tokenizer(layout.tokenizer_file(trained_further(plan)))
    pool["tokens"] = token_counts(tokenizer, pool.text.tolist())
    write_checked_table(out, pool, POOL)


# -- choices ---------------------------------------------------------------------------------------------------------


def text_inputs(plan: StudyPlan, task: str) -> Inputs:
    """The pool, and the files of a local embedding."""
    embedding = Path(plan.study.selectivity.embedding)
    return {
        "pool": [plan.layout.filtering_job(task, "pool.parquet")],
        "embedding": [str(path) for path in sorted(embedding.rglob("*")) if path.is_file()],
    }


def choose_by_text(plan: StudyPlan, task: str, device: "torch.device", *, scores: str, chosen: str) -> None:
    """Write the scores of all arms that look at no neurons, and what they choose."""
    import time

    from rosetta_scaling.companions.filtering.arms import NOTHING, TEXT
    from rosetta_scaling.companions.filtering.case import Features
    from rosetta_scaling.companions.filtering.selection import arms_that_look, run_arms
    from rosetta_scaling.selectivity.text_contexts import embed

    settings = plan.study.companions.filtering
    pool = read_table(plan.layout.filtering_job(task, "pool.parquet"))
    began = time.process_time()
    vectors = embed(pool.text.tolist(), plan.study.selectivity.embedding, str(device))
    seconds = {"embedding": time.process_time() - began}
    features = Features(pool, settings.tasks[task].keywords, vectors)
    _write_choices(*run_arms(features, arms_that_look(NOTHING, TEXT), settings, seconds), scores, chosen)


def _write_choices(scored: pd.DataFrame, picked: pd.DataFrame, scores: str, chosen: str) -> None:
    write_checked_table(scores, scored, SCORES)
    write_checked_table(chosen, picked, CHOSEN)


def neuron_inputs(plan: StudyPlan, curve: str, rung: str) -> Inputs:
    """The pools, the network, and what the study knows of its neurons on the probe text."""
    layout = plan.layout
    model, scope = layout.points[curve, rung][0], layout.scope_of_member(curve, rung, 0)
    return {
        "pools": [layout.filtering_job(task, "pool.parquet") for task in plan.study.companions.filtering.tasks],
        "checkpoint": [layout.checkpoint_manifest(model)],
        "tokenizer": [layout.tokenizer_file(model)],
        "documents": [layout.documents],
        "units": [layout.units(scope)],
        "contexts": [layout.contexts(scope, model)],
        "selectivity": [layout.selectivity(scope, model)],
        "rosetta": [layout.rosetta(curve, rung)],
    }


def choose_by_neurons(plan: StudyPlan, curve: str, rung: str, device: "torch.device") -> None:
    """Let the anchor of a point read every pool; write scores, chosen documents and chosen neurons of every task."""
    from rosetta_scaling.companions.filtering.arms import NEURONS as LOOK_AT_NEURONS
    from rosetta_scaling.companions.filtering.case import Features, NeuronFeatures
    from rosetta_scaling.companions.filtering.reading import read_documents
    from rosetta_scaling.companions.filtering.selection import arms_that_look, run_arms
    from rosetta_scaling.networks.loading import load_model
    from rosetta_scaling.units.tokenizers import load_tokenizer

    layout, study = plan.layout, plan.study
    model, settings = layout.points[curve, rung][0], study.companions.filtering
    network = load_model(layout.checkpoint(model), device, study.networks)
    tokenizer = load_tokenizer(layout.tokenizer_file(model))
    for task in settings.tasks:
        pool = read_table(layout.filtering_job(task, "pool.parquet"))
        shared, moments, table = _choice(plan, task, curve, rung)
        read = read_documents(network, tokenizer, pool.text.tolist(), units=study.units, device=device)
        numbers = [None if pd.isna(neuron) else int(neuron) for neuron in table.neuron]
        neurons = NeuronFeatures(read.means, read.magnitudes, read.layer, shared, moments, (numbers[0], numbers[1]))
        seconds = dict.fromkeys(arms_that_look(LOOK_AT_NEURONS), read.seconds)
        made = run_arms(Features(pool, neurons=neurons), list(seconds), settings, seconds)
        names = ("scores.parquet", "chosen.parquet", "neurons.parquet")
        scores, chosen, out = (layout.filtering_job(task, "neurons", curve, rung, name) for name in names)
        _write_choices(*made, scores, chosen)
        write_checked_table(out, table, NEURONS)


def _choice(plan: StudyPlan, task: str, curve: str, rung: str) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Which neurons are Rosetta neurons; their mean and deviation on the probe text; and what the rule has chosen."""
    from rosetta_scaling.companions.filtering.choice import choose, context_table
    from rosetta_scaling.companions.filtering.pools import is_target

    layout, study = plan.layout, plan.study
    model, scope = layout.points[curve, rung][0], layout.scope_of_member(curve, rung, 0)
    documents, units = read_table(layout.documents), read_table(layout.units(scope))
    rosetta, known = read_table(layout.rosetta(curve, rung)), read_table(layout.selectivity(scope, model))
    targets = documents.doc[is_target(documents, study.companions.filtering.tasks[task])]
    moments = np.column_stack([known["mean"], np.sqrt(known["variance"])])
    in_target = units.doc.isin(targets).to_numpy()
    table = context_table(read_table(layout.contexts(scope, model)), in_target, moments, study.activations.top_contexts)
    shared, rows = rosetta[study.judged[0]].to_numpy(bool), []
    for name, candidates in ((ROSETTA, shared), (OTHERS, ~shared)):
        neuron = choose(table, candidates)
        place = (None, None, np.nan) if neuron is None else (rosetta.layer[neuron], *table.loc[neuron])
        rows.append((name, int(candidates.sum()), neuron, *place))
    return shared, moments, pd.DataFrame(rows, columns=NEURONS.names)


# -- training --------------------------------------------------------------------------------------------------------


def further_inputs(plan: StudyPlan, task: str) -> Inputs:
    layout, model = plan.layout, trained_further(plan)
    return {
        "pool": [layout.filtering_job(task, "pool.parquet")],
        "chosen": [
            layout.filtering_job(task, "text", "chosen.parquet"),
            layout.filtering_job(task, "neurons", *layout.trained_further, "chosen.parquet"),
        ],
        "checkpoint": [layout.checkpoint_manifest(model)],
        "tokenizer": [layout.tokenizer_file(model)],
    }


def train_further(plan: StudyPlan, task: str, device: "torch.device", out: str) -> None:
    """Train copies of the network on what every arm has chosen; write their losses."""
    from rosetta_scaling.companions.filtering.training import Further, train_on_choices
    from rosetta_scaling.networks.training.further import FurtherTask

    layout, study, model = plan.layout, plan.study, trained_further(plan)
    files = further_inputs(plan, task)
    pool, chosen = read_table(files["pool"][0]), pd.concat([read_table(file) for file in files["chosen"]])
    start = FurtherTask(
        study.families[layout.family(model)],
        study.ladder.rungs[layout.rung(model)],
        study.ladder,
        Path(layout.tokenizer_file(model)).parent,
        origin=Path(layout.checkpoint(model)),
        texts=[],
        probes={},
    )
    further = Further(start, pool, study.companions.filtering, device)
    write_checked_table(out, train_on_choices(further, pool, chosen), RUNS)


# -- tables ----------------------------------------------------------------------------------------------------------


def filtering_inputs(plan: StudyPlan) -> Inputs:
    """What all jobs have written."""
    layout, tasks = plan.layout, plan.study.companions.filtering.tasks
    networks = [("neurons", *point) for point in layout.points]
    return {
        "pools": [layout.filtering_job(task, "pool.parquet") for task in tasks],
        "scores": [
            layout.filtering_job(task, *place, "scores.parquet") for task in tasks for place in (("text",), *networks)
        ],
        "neurons": [layout.filtering_job(task, *place, "neurons.parquet") for task in tasks for place in networks],
        "runs": [layout.filtering_job(task, "runs.parquet") for task in tasks],
    }


def write_filtering(plan: StudyPlan, folder: str) -> None:
    """Write all tables and claims.json of the study."""
    from rosetta_scaling.companions.catalogue import write_tables

    jobs = Path(plan.layout.companion("filtering"), "jobs")
    write_tables("filtering", plan.study.companions.filtering, jobs, folder)
