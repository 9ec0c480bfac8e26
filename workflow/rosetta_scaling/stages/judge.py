"""The judge of a study, step by step: examples and requests, answers, verdicts. Off unless `judge.neurons` is set."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.numerics.seeds import seed_from
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.schemas.tables.selectivity import EXAMPLES, JUDGED, JUDGEMENT
from rosetta_scaling.selectivity.judge.answers import read_answers, read_lines, write_lines
from rosetta_scaling.selectivity.judge.client import ask
from rosetta_scaling.stages.facts import source_files
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_table

if TYPE_CHECKING:
    import torch

HELD_OUT = 5  # contexts of either kind, as in the paper's table 5
CANDIDATES = 20_000  # random units among which those of the lower half are looked for


# -- questions -------------------------------------------------------------------------------------------------------


def request_inputs(plan: StudyPlan, curve: str, rung: str) -> Inputs:
    """The Rosetta neurons of a point, what its anchor fires on, and the anchor's activations."""
    layout, model = plan.layout, plan.layout.points[curve, rung][0]
    scope = layout.scope_of_member(curve, rung, 0)
    return {
        "rosetta": [layout.rosetta(curve, rung)],
        "contexts": [layout.contexts(scope, model)],
        "units": [layout.units(scope)],
        "source": source_files(plan, scope, model).inputs,
        "audit": [layout.audit(rung)],
    }


def write_requests(plan: StudyPlan, curve: str, rung: str, device: "torch.device", *, folder: Path) -> None:
    """Write examples.parquet and describe.jsonl: random Rosetta neurons of a point's anchor, and as many others.

    Of a neuron's `top_contexts` strongest contexts the last HELD_OUT are kept from the judge, to be told from as many
    random units of the lower half of its activations.
    """
    from rosetta_scaling.selectivity.contexts import strongest_contexts
    from rosetta_scaling.selectivity.judge.questions import description_requests
    from rosetta_scaling.stages.sources import open_source

    layout, study = plan.layout, plan.study
    model = layout.points[curve, rung][0]
    scope = layout.scope_of_member(curve, rung, 0)
    units = read_table(layout.units(scope))
    rosetta = read_table(layout.rosetta(curve, rung))[study.judged[0]].to_numpy()
    rng = np.random.default_rng([study.nulls.seed, seed_from([curve, rung, "judge"])])
    chosen = [rng.permutation(np.flatnonzero(group))[: study.judge.neurons] for group in (rosetta, ~rosetta)]
    neurons = np.sort(np.concatenate(chosen))
    top = study.activations.top_contexts
    contexts = read_table(layout.contexts(scope, model))
    strongest = strongest_contexts(contexts[contexts.neuron.isin(neurons) & (contexts.activation > 0)], top)
    strongest["kind"] = np.where(strongest["rank"] < top - HELD_OUT, "top", "positive")
    weakest = weak_units(open_source(source_files(plan, scope, model), study, device), neurons, rng)
    examples = pd.concat([strongest, weakest], ignore_index=True)
    examples["text"] = marked_windows(units, examples.unit.to_numpy())
    examples["group"] = np.where(rosetta[examples.neuron], "rosetta", "others")
    write_checked_table(folder / "examples.parquet", examples, EXAMPLES)
    write_lines(folder / "describe.jsonl", description_requests(model, examples, str(study.judge.model)))


def weak_units(source, neurons: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """HELD_OUT random units of the lower half of every neuron's activations: neuron, rank, unit, activation, kind."""
    units = np.sort(rng.permutation(source.units)[:CANDIDATES])
    place, parts = np.searchsorted(units, np.arange(0, source.units + source.chunk, source.chunk)), []
    for i, values in enumerate(source.chunks()):
        wanted = units[place[i] : place[i + 1]] - i * source.chunk
        parts.append(values[neurons][:, wanted].float().cpu().numpy())
    activations, tables = np.concatenate(parts, 1), []
    for neuron, values in zip(neurons, activations, strict=True):
        low = np.flatnonzero(values <= np.median(values))
        picked = rng.permutation(low)[:HELD_OUT]
        table = {"neuron": neuron, "rank": range(len(picked)), "unit": units[picked], "activation": values[picked]}
        tables.append(pd.DataFrame(table))
    return pd.concat(tables).assign(kind="negative")


def marked_windows(units: pd.DataFrame, chosen: np.ndarray) -> list[str]:
    """Text around every chosen unit, which stands between [[ and ]]."""
    from rosetta_scaling.selectivity.text_contexts import windows

    own = units.text.to_numpy(object)[chosen]
    left, right = windows(units, chosen, after=0), windows(units, chosen, before=0)
    return [
        f"{before[: len(before) - len(unit)]}[[{unit}]]{after[len(unit) :]}"
        for unit, before, after in zip(own, left, right, strict=True)
    ]


# -- answers ---------------------------------------------------------------------------------------------------------


def answer_inputs(plan: StudyPlan, curve: str, rung: str, stage: str) -> Inputs:
    """The requests, and the answers that a user has put there; without them, the job says where they are expected."""
    layout, settings = plan.layout, plan.study.judge
    by_hand = Path(layout.answers(curve, rung, stage))
    expects_answers = settings.answers and not settings.endpoint
    return {
        "requests": [f"{layout.judge(curve, rung)}/{stage}.jsonl"],
        "answers": [str(by_hand)] if expects_answers and by_hand.exists() else [],
    }


def write_answers(layout: Layout, curve: str, rung: str, stage: str, *, requests: str, out: Path) -> None:
    """Ask the endpoint, or take the answers that the user has put into the folder `judge.answers`."""
    settings = layout.study.judge
    if settings.endpoint:
        kept = Path(layout.given_answers(curve, rung, stage))
        kept.parent.mkdir(parents=True, exist_ok=True)
        ask(read_lines(requests), settings.endpoint, kept)
    else:
        kept = Path(layout.answers(curve, rung, stage))
        if not kept.is_file():
            raise StudyError(
                f"{kept}: no such file; send the requests in {requests} to a judge (they are in the format of OpenAI's "
                "batches), put its answers there, and run the study again"
            )
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(kept, out)


def detection_inputs(plan: StudyPlan, curve: str, rung: str) -> Inputs:
    folder = plan.layout.judge(curve, rung)
    return {"files": [f"{folder}/{name}" for name in ("examples.parquet", "describe.jsonl", "describe.answers.jsonl")]}


def write_detections(layout: Layout, curve: str, rung: str, folder: Path) -> None:
    """Write detect.jsonl, the requests that test the descriptions."""
    from rosetta_scaling.selectivity.judge.questions import detection_requests

    examples, settings = read_table(folder / "examples.parquet"), layout.study.judge
    described = read_answers(folder / "describe.answers.jsonl", read_lines(folder / "describe.jsonl"))
    model = layout.points[curve, rung][0]
    requests = detection_requests(model, examples, described, str(settings.model), seed=layout.study.nulls.seed)
    write_lines(folder / "detect.jsonl", requests)


# -- verdict of the judge --------------------------------------------------------------------------------------------


def judgement_inputs(plan: StudyPlan, curve: str, rung: str) -> Inputs:
    folder = plan.layout.judge(curve, rung)
    stages = [f"{folder}/{stage}{kind}.jsonl" for stage in ("describe", "detect") for kind in ("", ".answers")]
    return {"examples": [f"{folder}/examples.parquet"], "stages": stages}


def write_judgement(layout: Layout, folder: Path) -> None:
    """Write judgement.parquet, a row per neuron, and judgement.csv, a summary for Rosetta neurons and the others."""
    from rosetta_scaling.selectivity.judge.questions import judge_summary, judge_table

    examples = read_table(folder / "examples.parquet")
    described, detected = (
        read_answers(folder / f"{stage}.answers.jsonl", read_lines(folder / f"{stage}.jsonl"))
        for stage in ("describe", "detect")
    )
    group = examples.drop_duplicates("neuron").set_index("neuron").group
    table = judge_table(examples, described, detected, layout.study.nulls.seed)
    table.insert(1, "group", group.reindex(table.neuron).to_numpy())
    write_checked_table(folder / "judgement.parquet", table, JUDGEMENT)
    confidence = layout.study.polarization.confidence
    summaries = [judge_summary(part, confidence).assign(group=name) for name, part in table.groupby("group")]
    write_checked_table(folder / "judgement.csv", pd.concat(summaries, ignore_index=True), JUDGED)
