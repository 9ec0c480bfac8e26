"""The judge of a study, step by step: examples and requests, answers, verdicts. Off unless `judge.neurons` is set."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.schemas.tables.selectivity import EXAMPLES, JUDGED, JUDGEMENT
from rosetta_scaling.selectivity.contexts import strongest_contexts, windows
from rosetta_scaling.selectivity.judge.answers import read_answers, read_lines, write_lines
from rosetta_scaling.selectivity.judge.client import ask
from rosetta_scaling.selectivity.judge.questions import (
    description_requests,
    detection_requests,
    judge_summary,
    judge_table,
)
from rosetta_scaling.store.digests import digest
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_table

HELD_OUT = 5  # contexts of either kind, as in the paper's table 5
CANDIDATES = 20_000  # random units among which those of the lower half are looked for


def write_requests(layout: Layout, curve: str, rung: str, device, folder: Path) -> None:
    """Write examples.parquet and describe.jsonl: random Rosetta neurons of a point's anchor, and as many others.

    Of a neuron's `top_contexts` strongest contexts the last HELD_OUT are kept from the judge, to be told from as many
    random units of the lower half of its activations.
    """
    from rosetta_scaling.stages.sources import open_source  # here, because the other steps do without torch

    model = layout.points[curve, rung][0]
    scope = layout.scope_of_member(curve, rung, 0)
    units = read_table(layout.units(scope))
    rosetta = read_table(layout.rosetta(curve, rung))[layout.study.judged[0]].to_numpy()
    rng = np.random.default_rng([layout.study.nulls.seed, int(digest([curve, rung, "judge"]), 16)])
    chosen = [rng.permutation(np.flatnonzero(group))[: layout.study.judge.neurons] for group in (rosetta, ~rosetta)]
    neurons = np.sort(np.concatenate(chosen))
    top = layout.study.activations.top_contexts
    contexts = read_table(f"{layout.activations(scope, model)}/contexts.parquet")
    strongest = strongest_contexts(contexts[contexts.neuron.isin(neurons) & (contexts.activation > 0)], top)
    strongest["kind"] = np.where(strongest["rank"] < top - HELD_OUT, "top", "positive")
    weakest = weak_units(open_source(layout, scope, model, device), neurons, rng)
    examples = pd.concat([strongest, weakest], ignore_index=True)
    examples["text"] = marked_windows(units, examples.unit.to_numpy())
    examples["group"] = np.where(rosetta[examples.neuron], "rosetta", "others")
    write_checked_table(folder / "examples.parquet", examples, EXAMPLES)
    write_lines(folder / "describe.jsonl", description_requests(model, examples, layout.study.judge.model))


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
    own = units.text.to_numpy(object)[chosen]
    left, right = windows(units, chosen, after=0), windows(units, chosen, before=0)
    return [
        f"{before[: len(before) - len(unit)]}[[{unit}]]{after[len(unit) :]}"
        for unit, before, after in zip(own, left, right, strict=True)
    ]


def write_answers(layout: Layout, curve: str, rung: str, stage: str, requests: str, out: Path) -> None:
    """Ask the endpoint, or take the answers that the user has put into the folder `judge.answers`."""
    settings = layout.study.judge
    if settings.endpoint:
        # Not an output of a rule: what was answered once is kept, and not asked (and paid for) again.
        kept = Path(layout.cache) / "judge" / layout.study.study / f"{curve}-{rung}-{stage}.jsonl"
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


def write_detections(layout: Layout, curve: str, rung: str, folder: Path) -> None:
    """Write detect.jsonl, the requests that test the descriptions."""
    examples, settings = read_table(folder / "examples.parquet"), layout.study.judge
    described = read_answers(folder / "describe.answers.jsonl", read_lines(folder / "describe.jsonl"))
    model = layout.points[curve, rung][0]
    requests = detection_requests(model, examples, described, settings.model, layout.study.nulls.seed)
    write_lines(folder / "detect.jsonl", requests)


def write_judgement(layout: Layout, folder: Path) -> None:
    """Write judgement.parquet, a row per neuron, and judgement.csv, a summary for Rosetta neurons and the others."""
    examples = read_table(folder / "examples.parquet")
    answers = [
        read_answers(folder / f"{stage}.answers.jsonl", read_lines(folder / f"{stage}.jsonl"))
        for stage in ("describe", "detect")
    ]
    group = examples.drop_duplicates("neuron").set_index("neuron").group
    table = judge_table(examples, *answers, layout.study.nulls.seed)
    table.insert(1, "group", group.reindex(table.neuron).to_numpy())
    write_checked_table(folder / "judgement.parquet", table, JUDGEMENT)
    confidence = layout.study.polarization.confidence
    summaries = [judge_summary(part, confidence).assign(group=name) for name, part in table.groupby("group")]
    write_checked_table(folder / "judgement.csv", pd.concat(summaries, ignore_index=True), JUDGED)
