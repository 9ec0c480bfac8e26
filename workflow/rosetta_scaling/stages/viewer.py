"""The viewer of a study: a folder whose page shows every neuron of every network, offline."""

import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from rosetta_scaling import WORKFLOW
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.numerics.seeds import seed_from
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.nulls import NULLS
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.schemas.tables.viewer import VIEWED
from rosetta_scaling.stages.facts import source_files
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.store.atomic import atomic
from rosetta_scaling.store.progress import Reporter
from rosetta_scaling.store.tables import read_table

if TYPE_CHECKING:
    import torch

    from rosetta_scaling.viewer.page import Network
    from rosetta_scaling.viewer.shards import Details

log = logging.getLogger(__name__)


class View(NamedTuple):
    """A network on the units of a scope, as the page shows it."""

    scope: str
    model: str
    others: list[str]  # networks that it was matched with on these units

    @property
    def key(self) -> str:
        return f"{self.scope}/{self.model}"


def views(layout: Layout) -> list[View]:
    """Every network on the units on which its selectivity is measured (see scope_of_member)."""
    found = {
        (layout.scope_of_member(curve, rung, member), model)
        for (curve, rung), models in layout.points.items()
        for member, model in enumerate(models)
    }
    return [
        View(scope, model, others_of(layout, scope, model))
        for model in layout.models
        for scope, one in sorted(found)
        if one == model
    ]


def others_of(layout: Layout, scope: str, model: str) -> list[str]:
    """The networks that a model was matched with on the units of a scope, in the order of the study."""
    paired = {other for pair in layout.pairs.values() if model in pair for other in pair if other != model}
    return [other for other in layout.models if other in paired and layout.scope(model, other) == scope]


def curves_of_anchor(layout: Layout, view: View) -> dict[str, str]:
    """Curve -> point, where the network of a view is the anchor."""
    return {
        curve: rung
        for (curve, rung), models in layout.points.items()
        if models[0] == view.model and layout.scope_of_member(curve, rung, 0) == view.scope
    }


def viewer_inputs(plan: StudyPlan) -> Inputs:
    """All that is known of single neurons, and the activations themselves."""
    layout, shown = plan.layout, views(plan.layout)
    pairs = list(layout.pairs.values())
    sources = {file for view in shown for model in (view.model, *view.others)
               for file in source_files(plan, view.scope, model).inputs}  # fmt: skip
    neurons = {layout.selectivity(view.scope, model) for view in shown for model in (view.model, *view.others)}
    return {
        "units": layout.units_tables,
        "sources": sorted(sources),
        "neurons": sorted(neurons),
        "tokens": [promoted_tokens(layout, view) for view in shown],
        "images": sorted(images_of_scopes(plan, shown).values()),
        "contexts": [layout.contexts(view.scope, view.model) for view in shown],
        "matches": [layout.matches(*pair) for pair in pairs],
        "nulls": [layout.null(null, *pair) for pair in pairs for null in NULLS],
        "halves": [layout.replicate("half", *pair) for pair in pairs],
        "rosetta": [layout.rosetta(*point) for point in layout.points],
        "judged": [str(Path(summary).with_suffix(".parquet")) for summary in layout.judgements],
        "audit": layout.audits,
    }


def images_of_scopes(plan: StudyPlan, shown: list[View]) -> dict[str, str]:
    """The images that networks read, by scope; none in a study of text."""
    is_of_images = plan.study.modality == "image"
    return {view.scope: plan.layout.tokens(view.scope, view.model) for view in shown if is_of_images}


def promoted_tokens(layout: Layout, view: View) -> str:
    return str(Path(layout.selectivity(view.scope, view.model)).with_suffix(".tokens.parquet"))


def write_viewer(plan: StudyPlan, device: "torch.device", out: str) -> None:
    """Write the folder of the viewer: its page, and its data in data/SCOPE/MODEL/, one network after the other."""
    layout, shown = plan.layout, views(plan.layout)
    report, keys = Reporter(log, "viewer", len(shown)), {view.key for view in shown}

    def networks() -> Iterator["Network"]:
        for number, view in enumerate(shown):
            yield read_network(plan, view, keys, device)
            report(number + 1)

    units = {scope: read_table(layout.units(scope)) for scope in dict.fromkeys(view.scope for view in shown)}
    images = ((scope, read_table(path).image) for scope, path in images_of_scopes(plan, shown).items())
    with atomic(out) as folder:
        write_page(folder, layout.study.study, units, networks(), images=images)


def write_page(
    folder: Path,
    study: str,
    units: Mapping[str, pd.DataFrame],
    networks: Iterable["Network"],
    *,
    images: Iterable[tuple[str, pd.Series]] = (),
) -> None:
    """Write the page of a study to a new folder.

    `units` by scope; of `networks`, and of `images` (each a scope and its image files), one at a time is held.
    """
    from rosetta_scaling.viewer.images import image_scripts
    from rosetta_scaling.viewer.page import about_network, about_study, in_words, network_scripts, study_script
    from rosetta_scaling.viewer.scripts import text_script

    folder.mkdir(parents=True)
    for path in (*(WORKFLOW / "viewer").iterdir(), WORKFLOW / "report/style.css"):
        shutil.copy(path, folder)
    for scope, table in units.items():
        write_text(folder / f"data/{scope}/text.js", text_script(f"{scope}/text", in_words(table)))
    for scope, files in images:
        write_scripts(folder, image_scripts(f"{scope}/images", files))
    about = []
    for network in networks:
        write_checked_table(folder / f"data/{network.key}/neurons.parquet", network.table, VIEWED)
        write_scripts(folder, network_scripts(network))
        about.append(about_network(network))
    write_text(folder / "data/study.js", study_script(about_study(study, about)))


def read_network(plan: StudyPlan, view: View, keys: set[str], device: "torch.device") -> "Network":
    """Read all that is shown of a network; `keys` of all views that are shown."""
    from rosetta_scaling.selectivity.contexts import strongest_contexts
    from rosetta_scaling.viewer.page import Network, in_words
    from rosetta_scaling.viewer.words import index_words

    layout = plan.layout
    units = in_words(read_table(layout.units(view.scope)))
    contexts = read_table(layout.contexts(view.scope, view.model))
    strongest = strongest_contexts(contexts[contexts.activation > 0], plan.study.activations.top_contexts)
    tokens = read_table(promoted_tokens(layout, view))
    promoted = tokens[tokens.side == "promoted"]
    others = {other: f"{view.scope}/{other}" for other in view.others}
    return Network(
        key=view.key,
        model=view.model,
        others={other: key if key in keys else None for other, key in others.items()},
        details=read_details(plan, view, read_neuron_table(layout, view), device),
        fires=index_words(strongest.neuron.to_numpy(), units.text.iloc[strongest.unit]),
        promotes=index_words(promoted.neuron.to_numpy(), promoted.text),
    )


def read_neuron_table(layout: Layout, view: View) -> pd.DataFrame:
    """The table of neurons of a view (see viewer/neurons.py)."""
    from rosetta_scaling.points.rosetta import orient
    from rosetta_scaling.viewer.neurons import PairEvidence, neuron_table

    def evidence(other: str) -> PairEvidence:
        a, b = view.model, other
        read = partial(read_oriented, swap=layout.pair(a, b) != (a, b))
        nulls = {null: read(layout.null(null, a, b)) for null in NULLS}
        return PairEvidence(read(layout.matches(a, b)), nulls, read(layout.replicate("half", a, b)))

    def read_oriented(path: str, swap: bool) -> pd.DataFrame:
        return orient(read_table(path), swap)

    curves, labels = curves_of_anchor(layout, view), None
    if layout.judgements and curves:
        judged = [read_table(f"{layout.judge(*point)}/judgement.parquet") for point in curves.items()]
        labels = (
            pd.concat(judged).dropna(subset="description").drop_duplicates("neuron").set_index("neuron").description
        )
    return neuron_table(
        read_table(layout.selectivity(view.scope, view.model)),
        {other: evidence(other) for other in view.others},
        {curve: read_table(layout.rosetta(curve, rung)) for curve, rung in curves.items()},
        labels,
    )


def read_details(plan: StudyPlan, view: View, table: pd.DataFrame, device: "torch.device") -> "Details":
    """What is shown of single neurons: two passes over the network itself, one over each other one."""
    from rosetta_scaling.stages.sources import open_source
    from rosetta_scaling.viewer.examples import Scale, Windows, example_units, sample_units
    from rosetta_scaling.viewer.shards import Details, Tokens

    layout, study = plan.layout, plan.study

    def chunks(model: str) -> Iterator["torch.Tensor"]:
        return open_source(source_files(plan, view.scope, model), study, device).chunks()

    def scale(model: str) -> Scale:
        return Scale.of(read_table(layout.selectivity(view.scope, model)))

    units, own = read_table(layout.units(view.scope)), scale(view.model)
    seed = [study.nulls.seed, seed_from([view.scope, view.model, "viewer"])]
    sampled = sample_units(chunks(view.model), own, len(units), seed)
    examples = example_units(read_table(layout.contexts(view.scope, view.model)), sampled)
    patches = (units.row.max() + 1) ** 2 if "row" in units else None
    windows = Windows(examples, units.passage.to_numpy(), patches)
    codes = [windows.read(chunks(view.model), own, np.arange(len(table)))]
    for other in view.others:
        codes.append(windows.read(chunks(other), scale(other), table[f"partner.{other}"].to_numpy()))
    tokens = Tokens.of(read_table(promoted_tokens(layout, view)), len(table))
    return Details(table, examples, codes, sampled.histogram, tokens)


def write_scripts(folder: Path, scripts: Iterable[tuple[str, str]]) -> None:
    for key, text in scripts:
        write_text(folder / f"data/{key}.js", text)


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
