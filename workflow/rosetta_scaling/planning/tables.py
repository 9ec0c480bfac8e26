"""The plan of a study as a person reads it, before anything runs: tiles, bytes, operations and expected time."""

import pandas as pd

from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.networks.model_sizes import published
from rosetta_scaling.planning.costs import GPU_RATE, pair_operations, probe_tokens
from rosetta_scaling.planning.sizes import configuration, is_here, weight_bytes
from rosetta_scaling.planning.study_plan import StudyPlan


def pair_plans(plan: StudyPlan, rate: float) -> pd.DataFrame:
    """One row per pair; `rate` is the measured number of floating-point operations per second of a matrix product.

    Columns: pair, neurons_a, neurons_b, tiles, tile_mb (memory of the largest), forward_flops, product_flops (both as
    often as the plan needs them), hours (of products alone, at the rate), nulls and stability included.
    """
    rows = []
    for pair, models in plan.layout.pairs.items():
        sizes, tiles = [plan.size(model) for model in models], plan.matching.tiles[pair]
        forward_flops, product_flops = pair_operations(plan, pair)
        rows.append(
            {
                "pair": pair,
                "neurons_a": sizes[0].neurons,
                "neurons_b": sizes[1].neurons,
                "tiles": len(tiles),
                "tile_mb": max(tile.bytes for tile in tiles) / 1e6,
                "forward_flops": forward_flops,
                "product_flops": product_flops,
                "hours": product_flops / rate / 3600,
            }
        )
    return pd.DataFrame(rows)


def model_plans(plan: StudyPlan) -> pd.DataFrame:
    """One row per model, from configurations alone.

    Columns: model, network (what the study calls it), neurons, parameters, download_gb (0 when it is here;
    of the hub at 16 bits per parameter), memory_gb (weights, as they are loaded), pass_flops (one forward pass over the
    probe text).
    """
    layout, rows = plan.layout, []
    tokens = probe_tokens(plan.study)
    for model in layout.models:
        size, source = plan.size(model), layout.source(model)
        parameters = exact_parameters(layout, model) or size.parameters
        here = source in ("ladder", "local", "untrained") or is_here(layout, model)
        fetched = 0 if here else download_bytes(layout, model, parameters)
        rows.append(
            {
                "model": model,
                "network": layout.network_reference(model) if source in ("local", "hub", "package") else source,
                "neurons": size.neurons,
                "parameters": parameters,
                "download_gb": fetched / 1e9,
                "memory_gb": weight_bytes(plan.study) * parameters / 1e9,
                "pass_flops": 2.0 * parameters * tokens,
            }
        )
    return pd.DataFrame(rows)


def exact_parameters(layout: Layout, model: str) -> int | None:
    """Of a network from the hub, by its configuration; others are known by the sizes of their matrices."""
    if layout.source(model) != "hub":
        return None
    from transformers import AutoConfig

    from rosetta_scaling.networks.sizes import size_of_config

    return size_of_config(AutoConfig.for_model(**configuration(layout, model))).parameters


def download_bytes(layout: Layout, model: str, parameters: int) -> int:
    """What fetching a network takes; of the hub at 16 bits per parameter."""
    if layout.source(model) == "hub":
        return 2 * parameters
    known = published("package", layout.network_reference(model))
    return sum(package["bytes"] for package in known["packages"]) if known else 0


def plan_table(plan: StudyPlan, rate: float) -> str:
    """The plan of a study as text."""
    matching, study = plan.matching, plan.study
    table, models = pair_plans(plan, rate), model_plans(plan)
    passes = (1 + study.nulls.untrained_draws) * models.pass_flops.sum()
    flops = table.product_flops.sum() + table.forward_flops.sum() + passes
    about = {
        "neurons": "{:,}",
        "parameters": "{:,}",
        "download_gb": "{:.2f}",
        "memory_gb": "{:.2f}",
        "pass_flops": "{:.1e}",
    }
    listed = models.to_string(index=False, formatters={name: text.format for name, text in about.items()})
    formats = {"tile_mb": "{:,.0f}", "forward_flops": "{:.1e}", "product_flops": "{:.1e}", "hours": "{:.3f}"}
    shown = table.to_string(index=False, formatters={name: text.format for name, text in formats.items()})
    disk = (matching.stored_bytes + matching.sketch_bytes) / 1e9
    return (
        f"Networks of study {study.study}\n{listed}\nTo download: {models.download_gb.sum():.1f} GB.\n\n"
        f"Matching of study {study.study}: {matching.engine} engine, activations {matching.placement}, "
        f"at most {matching.units:,} units\n{shown}\n"
        f"Disk for activations and sketches: at most {disk:.2f} of {study.matching.scratch_gb:g} GB. "
        f"Memory of a matching job: {study.matching.memory_mb} MB beside its libraries.\n"
        f"Products, nulls included: {table.product_flops.sum():.1e} FLOP, {table.hours.sum():.2f} hours of one job at "
        f"the {rate / 1e9:.0f} GFLOP/s measured here.\n"
        f"Forward passes: {table.forward_flops.sum() + passes:.1e} FLOP. In all {flops:.1e} FLOP: "
        f"{flops / rate / 3600:.2f} hours of one job here, about {flops / GPU_RATE / 3600:.2f} hours of one H100 "
        f"({GPU_RATE / 1e12:.0f} TFLOP/s, half of what it multiplies in bfloat16)."
    )
