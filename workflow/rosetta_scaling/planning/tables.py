"""The plan of a study as a person reads it, before anything runs: tiles, bytes, operations and expected time."""

import pandas as pd

from rosetta_scaling.formatting import data_size, duration
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.networks.model_sizes import published
from rosetta_scaling.planning.costs import pair_work, probe_tokens, training_work
from rosetta_scaling.planning.rates import Rates
from rosetta_scaling.planning.sizes import configuration, is_here, weight_bytes
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.store.foreign import explaining, reason_of

# Measured: 0.28 of what is planned for in `pretrained`, 0.38 in both large ladders, 0.5 in the default study.
FEWER_UNITS = " Texts usually have a quarter to a half of these units, and their products take less in proportion."


def pair_plans(plan: StudyPlan, here: Rates, card: Rates) -> pd.DataFrame:
    """One row per pair, nulls and stability included, from the rates of this machine and of a GPU.

    Columns: pair, neurons_a, neurons_b, tiles, tile_bytes (memory of the largest), forward_flops, product_flops (both
    as often as the plan needs them), read_bytes (of stored activations), hours_here, hours_card, bound (what takes most
    of the time on the GPU).
    """
    rows = []
    for pair, models in plan.layout.pairs.items():
        sizes, tiles, work = [plan.size(model) for model in models], plan.matching.tiles[pair], pair_work(plan, pair)
        rows.append(
            {
                "pair": pair,
                "neurons_a": sizes[0].neurons,
                "neurons_b": sizes[1].neurons,
                "tiles": len(tiles),
                "tile_bytes": max(tile.bytes for tile in tiles),
                "forward_flops": work.forward,
                "product_flops": work.products,
                "read_bytes": work.read,
                "hours_here": here.seconds(work) / 3600,
                "hours_card": card.seconds(work) / 3600,
                "bound": card.bound(work),
            }
        )
    return pd.DataFrame(rows)


def model_plans(plan: StudyPlan) -> pd.DataFrame:
    """One row per model, from configurations alone.

    Columns: model, network (what the study calls it), neurons, parameters, download (bytes, 0 when it is here; of the
    hub at 16 bits per parameter), memory (bytes of weights, as they are loaded), pass_flops (one forward pass over the
    probe text), training_flops (0 for those that are not trained here).
    """
    layout, rows = plan.layout, []
    tokens = probe_tokens(plan.study)
    for model in layout.models:
        size, source = plan.size(model), layout.source(model)
        parameters = exact_parameters(layout, model) or size.parameters
        here = source in ("ladder", "local", "untrained", "continued") or is_here(layout, model)
        fetched = 0 if here else download_bytes(layout, model, parameters)
        rows.append(
            {
                "model": model,
                "network": layout.network_reference(model) if source in ("local", "hub", "package") else source,
                "neurons": size.neurons,
                "parameters": parameters,
                "download": fetched,
                "memory": weight_bytes(plan.study) * parameters,
                "pass_flops": 2.0 * parameters * tokens,
                "training_flops": training_work(plan, model).operations,
            }
        )
    return pd.DataFrame(rows)


def exact_parameters(layout: Layout, model: str) -> int | None:
    """Of a network from the hub, by its configuration; others are known by the sizes of their matrices."""
    if layout.source(model) != "hub":
        return None
    from transformers import AutoConfig

    from rosetta_scaling.networks.sizes import size_of_config

    def sentence(error: BaseException) -> str:
        name = layout.network_reference(model)
        return f"config.json of {name} makes no network that can be read ({reason_of(error)}): take another network"

    with explaining(sentence):
        config = AutoConfig.for_model(**configuration(layout, model))
        return size_of_config(config, layout.study.modality).parameters


def download_bytes(layout: Layout, model: str, parameters: int) -> int:
    """What fetching a network takes; of the hub at 16 bits per parameter."""
    if layout.source(model) == "hub":
        return 2 * parameters
    known = published("package", layout.network_reference(model))
    return sum(package["bytes"] for package in known["packages"]) if known else 0


def training_hours(plan: StudyPlan, rates: Rates) -> float:
    """Of all networks that are trained here, one after the other."""
    return sum(rates.training_seconds(training_work(plan, model)) for model in plan.layout.models) / 3600


def hours_in_all(plan: StudyPlan, rates: Rates) -> float:
    """Of training, reading and matching, one after the other."""
    passes = 1 + plan.study.nulls.untrained_draws
    reading = sum(
        rates.forward_seconds(passes * of.pass_flops, plan.size(of.model).hidden)
        for of in model_plans(plan).itertuples()
    )
    matching = sum(rates.seconds(pair_work(plan, pair)) for pair in plan.layout.pairs)
    return training_hours(plan, rates) + (reading + matching) / 3600


def hours_text(hours: float) -> str:
    return duration(3600 * hours)


def plan_table(plan: StudyPlan, here: Rates, card: Rates) -> str:
    """The plan of a study as text, with times on this machine and on a GPU."""
    matching, study = plan.matching, plan.study
    table, models = pair_plans(plan, here, card), model_plans(plan)
    passes = (1 + study.nulls.untrained_draws) * models.pass_flops.sum()
    shown = table.rename(columns={"hours_here": "time_here", "hours_card": "time_card"})
    forms = {
        **dict.fromkeys(("neurons", "neurons_a", "neurons_b", "parameters"), "{:,}".format),
        **dict.fromkeys(("download", "memory", "tile_bytes", "read_bytes"), data_size),
        **dict.fromkeys(("pass_flops", "training_flops", "forward_flops", "product_flops"), "{:.1e}".format),
        **dict.fromkeys(("time_here", "time_card"), hours_text),
    }
    trained_here, trained_on_card = (hours_text(training_hours(plan, rates)) for rates in (here, card))
    here_in_all, card_in_all = (hours_text(hours_in_all(plan, rates)) for rates in (here, card))
    return (
        f"Networks of study {study.study}\n{models.to_string(index=False, formatters=forms)}\n"
        f"To download: {data_size(models.drop_duplicates('network').download.sum())}.\n"
        f"Training takes {models.training_flops.sum():.1e} operations: {trained_here} of one job here, about "
        f"{trained_on_card} of the GPU.\n\n"
        f"Matching of study {study.study}: {matching.engine} engine, activations {matching.placement}, "
        f"at most {matching.units:,} units\n{shown.to_string(index=False, formatters=forms)}\n"
        f"time_card is the time of one {card.device}, and bound what takes most of it.\n"
        f"Disk for activations and sketches: at most {data_size(matching.stored_bytes + matching.sketch_bytes)} of "
        f"{data_size(study.matching.scratch_gb * 1e9)}. "
        f"Memory of a matching job: {data_size(study.matching.memory_mb * 1e6)} beside its libraries.\n"
        f"Products, nulls included: {table.product_flops.sum():.1e} operations. "
        f"Forward passes: {table.forward_flops.sum() + passes:.1e}.\n"
        f"With so many units all takes {here_in_all} of one job here ({here.products / 1e9:,.0f} GFLOP/s, "
        f"{here.device}), or about {card_in_all} of one {card.device} ({card.products / 1e12:.0f} TFLOP/s in products, "
        f"{card.forward / 1e12:.0f} in forward passes of large networks), if it could hold everything."
        f"{FEWER_UNITS if study.modality == 'text' else ''}"
    )
