"""Figures and report, on the tables of a small simulated study whose counts, nulls and effects are really computed."""

import base64
import contextlib
import dataclasses
import functools
import html
import itertools
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from schema_rows import rows_of
from scipy import stats

from rosetta_scaling import WORKFLOW
from rosetta_scaling.claims.fits import judge_fits
from rosetta_scaling.config.parsing import load, parse
from rosetta_scaling.fits.theory.model import isolation_of_correlation, rank_slope
from rosetta_scaling.fits.theory.simulation import simulate as simulate_theory
from rosetta_scaling.formatting import MINUS, number
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.report.answer import at_the_largest_size, power_of_list, what_was_compared
from rosetta_scaling.report.figures.answer import draw_answer, draw_main_claims
from rosetta_scaling.report.figures.catalogue import FIGURES, make_figures, read_tables
from rosetta_scaling.report.figures.counts import draw_counts, draw_criteria, draw_decomposition, draw_fraction
from rosetta_scaling.report.figures.data import counts_data, decomposed, decomposition_data
from rosetta_scaling.report.figures.layers import draw_diagonal
from rosetta_scaling.report.figures.selectivity import draw_families, draw_polarization, draw_specialisation
from rosetta_scaling.report.pages import write_report
from rosetta_scaling.schemas.names import FIT_TABLES
from rosetta_scaling.schemas.nulls import NULLS, drawn_nulls
from rosetta_scaling.schemas.tables.continued import CONTINUED
from rosetta_scaling.schemas.tables.transport import COUNTED, TRANSPORT
from rosetta_scaling.selectivity.polarization.confounds import adjust
from rosetta_scaling.selectivity.polarization.effects import mean_against_placebo, placebo_sets, polarization, slope
from rosetta_scaling.stages.fits import write_fits
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json, read_table, write_json, write_table

pytestmark = pytest.mark.slow(1)

FAMILIES = {"gpt2": 0, "llama": 1, "neox": 2}
CURVES = {"gpt2--llama": ("gpt2", "llama"), "gpt2--neox": ("gpt2", "neox"), "all": ("gpt2", "llama", "neox")}
RUNGS = {"r1": 64, "r2": 128, "r3": 256, "r4": 512}  # neurons
LAYERS, UNITS, DRAWS = 4, 240, 3
CRITERIA = {"mutual_top1": -1, "mutual_top1_r0.3": 0.3, "mutual_top1_r0.8": 0.8}  # least correlation
NULL_NAMES = [f"null_{null}" for null in NULLS]
HOSTILE = "<script>alert('x')</script> & co"


# ---- a simulated study: some neurons follow latents that all families share, the others are noise -------------------


def simulate(family: str, neurons: int, draw: int = 0) -> np.ndarray:
    """Activations (units, neurons): the first neurons**0.8 follow heavy-tailed latents of the rung. draw > 0: noise."""
    noise = np.random.default_rng([FAMILIES[family], neurons, draw]).normal(size=(UNITS, neurons))
    if draw:
        return noise
    shared = int(neurons**0.8)
    latents = np.random.default_rng(neurons).laplace(size=(UNITS, shared))
    noise[:, :shared] = latents + 0.8 * noise[:, :shared]
    order = np.random.default_rng([neurons, FAMILIES[family]]).permutation(neurons)
    return noise[:, order]


def rotated(acts: np.ndarray, seed: int) -> np.ndarray:
    return acts @ np.linalg.qr(np.random.default_rng(seed).normal(size=(acts.shape[1],) * 2))[0]


CHANGES = {
    "shift": lambda acts, seed: np.roll(acts, 60 * seed, axis=0),
    "permute": lambda acts, seed: np.random.default_rng(seed).permutation(acts),
    "gaussian": lambda acts, seed: np.random.default_rng(seed).normal(size=acts.shape),
    "rotate_pre": lambda acts, seed: np.maximum(rotated(stats.zscore(acts), 100 + seed), 0),
    "rotate": lambda acts, seed: rotated(stats.zscore(acts), seed),
    "rotate_raw": rotated,
}


def matches(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mutual nearest neighbours under Pearson correlation: indices in x, indices in y, r."""
    r = stats.zscore(x).T @ stats.zscore(y) / len(x)
    best = r.argmax(1)
    mine = np.flatnonzero(r.argmax(0)[best] == np.arange(x.shape[1]))
    return mine, best[mine], r[mine, best[mine]]


def rosetta(acts: list[np.ndarray], least: float) -> np.ndarray:
    """Neurons of the first model matched with r >= least in every other one."""
    found = [m[0][m[2] >= least] for m in (matches(acts[0], other) for other in acts[1:])]
    return np.array(sorted(set.intersection(*map(set, found))), dtype=int)


@functools.cache
def every_draw() -> list[tuple]:
    """Curve, its members, rung, neurons, activations of the models, and of every draw of every null."""
    found = []
    for (curve, members), (rung, n) in itertools.product(CURVES.items(), RUNGS.items()):
        acts = [simulate(f, n) for f in members]
        draws = {"untrained": [[simulate(f, n, draw) for f in members] for draw in range(1, DRAWS + 1)]}
        for null, change in CHANGES.items():
            draws[null] = [[acts[0], *(change(a, seed) for a in acts[1:])] for seed in range(1, DRAWS + 1)]
        found.append((curve, members, rung, n, acts, draws))
    return found


def isolation_rows() -> pd.DataFrame:
    rows = []
    for curve, _, rung, _, acts, draws in every_draw():
        for criterion in ("mutual_top1", "mutual_top1_r0.8"):
            for kind, tables in {"real": [acts], **draws}.items():
                found = [matches(draw[0], draw[1])[2] for draw in tables]
                s = [isolation_of_correlation(r[r >= CRITERIA[criterion]]) for r in found]
                means = [values.mean() for values in s if len(values)] or [np.nan]
                row = {"curve": curve, "point": rung, "criterion": criterion, "kind": kind}
                row |= {"matches": np.mean([len(values) for values in s]), "isolation": np.mean(means)}
                row |= {"isolation_low": min(means), "isolation_high": max(means)}
                rows.append(row | {"rank_slope": pd.Series([rank_slope(values) for values in s]).mean()})
    return pd.DataFrame(rows)


def count_rows() -> pd.DataFrame:
    rows = []
    for curve, members, rung, n, acts, draws in every_draw():
        for criterion, least in CRITERIA.items():
            if len(members) == 3:
                least = {0.8: 0.5}.get(least, least)
            row = {"curve": curve, "point": rung, "models": " ".join(f"{f}-{rung}" for f in members)}
            row |= {"anchor": f"{members[0]}-{rung}", "neurons": n, "parameters": 90 * n + 40_000}
            row |= {"non_embedding_parameters": 90 * n, "hidden_size": n // LAYERS // 4, "criterion": criterion}
            row |= {"training_flops": 6 * 90 * n * 1e7}
            row["count"] = len(rosetta(acts, least))
            row |= {"fraction": row["count"] / n, "marked": 1}
            for name, tables in draws.items():
                null = [len(rosetta(draw, least)) for draw in tables]
                name = f"null_{name}"
                row |= {name: np.mean(null), f"{name}_low": min(null), f"{name}_high": max(null)}
            row["excess"] = row["count"] - max(row[f"null_{name}"] for name in draws)
            row |= {"null_iid": n / 2, "count_low": 0.9 * row["count"], "count_high": 1.1 * row["count"]}
            row |= {"calibrated_05": len(rosetta(acts, max(least, 0.4))), "calibrated_05_null": 0.5}
            row |= {"calibrated_01": len(rosetta(acts, max(least, 0.5))), "calibrated_01_null": 0.0}
            won = {"wins": 0.6 * row["count"], "decoy_wins": 2.5, "beyond_decoys": 0.6 * row["count"] - 2.5}
            row |= won | {"beyond_decoys_low": 1.0, "beyond_decoys_high": 99.0, "beyond_decoys_se": 2.0}
            row |= {"common_r": 0.6, "corrected": 11.0, "corrected_low": 3.0, "corrected_high": 19.0}
            row |= {"closer_than_own": row["count"] // 2, "splithalf_jaccard": 0.5, "splithalf_r": np.nan}
            row |= {"equal_n": 64, "equal_n_count": 12.5, "equal_n_null": 9.5}
            row |= {"anchor_neurons": n, "constant_neurons": 0, "mean_r": matches(acts[0], acts[1])[2].mean()}
            rows.append(row)
    return pd.DataFrame(rows)


def above_r_rows() -> pd.DataFrame:
    rows = []
    for curve, _, rung, _, acts, draws in every_draw():
        for source, tables in {"count": [acts], **draws}.items():
            for least in np.arange(0, 1, 0.1):
                found = [len(rosetta(draw, least)) for draw in tables]
                row = {"curve": curve, "point": rung, "criterion": "mutual_top1", "r": least, "source": source}
                rows.append(row | {"count": np.mean(found), "low": min(found) * 0.9, "high": max(found) * 1.1})
    return pd.DataFrame(rows)


def list_rows(counts: pd.DataFrame) -> pd.DataFrame:
    rows = counts[counts["criterion"] == "mutual_top1"][["curve", "point", "criterion"]]
    half = {"half_r": 0.55, "half_r_low": 0.5, "half_r_high": 0.61, "strong": 20, "corrected": 24.5}
    half |= {"corrected_low": 19.0, "corrected_high": 30.0}
    weak = {"half_r": 0.3, "half_r_low": 0.3, "half_r_high": 0.34, "strong": 31, "corrected": 25.0}
    weak |= {"corrected_low": 11.0, "corrected_high": 39.0}
    lists = {0.05: {"count": 23, "false": 1.25, **half}, 0.01: {"count": 0, "false": 0.0}}
    lists[1.0] = {"count": 35, "false": 6.5, **weak}
    return pd.concat([rows.assign(q=q, **dict.fromkeys(half, np.nan) | of_list) for q, of_list in lists.items()])


def recurrence_rows() -> pd.DataFrame:
    row = {"curve": "all", "point": "r1", "criterion": "mutual_top1", "networks": 2}
    row |= {
        "one": 31,
        "one_independent": 33.5,
        "one_decoys": 24.25,
        "all": 9,
        "all_independent": 4.5,
        "all_decoys": 2.75,
    }
    row |= {"again": 0.45, "again_low": 0.3, "again_high": 0.6, "again_independent": 0.2, "again_decoys": 0.25}
    return pd.DataFrame([row])


def decomposition_rows(counts: pd.DataFrame) -> pd.DataFrame:
    rows = counts[counts["criterion"] == "mutual_top1"][["curve", "point", "criterion", "count"]]
    rows = rows.assign(chance=1, subspace=2.5, neurons=rows["count"] - 3.5, neurons_low=0.0, neurons_high=rows["count"])
    return rows.assign(**{f"{part}_share": rows[part] / rows["count"] for part in ("chance", "subspace", "neurons")})


def seed_rows() -> pd.DataFrame:
    row = {"architectures": "gpt2 llama", "point": "r1", "criterion": "mutual_top1", "curves": "gpt2--llama again"}
    return pd.DataFrame([row | {"replicates": 2, "mean": 17.5, "deviation": 0.7}])


def snapshot_rows(counts: pd.DataFrame) -> pd.DataFrame:
    rows = counts[["curve", "point", "criterion", "count"]]
    rows = pd.concat([rows.assign(units=120, count=rows["count"] // 2), rows.assign(units=240)])
    return rows.assign(low=np.nan, high=np.nan, extrapolated=False)


def every_anchor():
    """Curve, point, activations of the anchor, and its Rosetta neurons as a mask."""
    for (curve, members), (rung, n) in itertools.product(CURVES.items(), RUNGS.items()):
        acts = [simulate(f, n) for f in members]
        about = {"curve": curve, "point": rung, "model": f"{members[0]}-{rung}", "is_anchor": True, "neurons": n}
        yield about, acts[0], np.isin(np.arange(n), rosetta(acts, -1))


def polarization_rows() -> pd.DataFrame:
    metrics = {
        "vocab_kurtosis": lambda a: stats.kurtosis(a[:80]),
        "activation_kurtosis": stats.kurtosis,
        "gini": lambda a: stats.variation(np.abs(a)) / 2,
    }
    rows = []
    for about, acts, chosen in every_anchor():
        for metric, measure in metrics.items():
            values = measure(acts)
            table = pd.DataFrame({"layer": np.arange(len(values)) % LAYERS, "mean": acts.mean(0)})
            table = table.assign(variance=acts.var(0), fraction_active=(acts > 0).mean(0))
            sets = placebo_sets(chosen, table.layer.to_numpy(), 20, np.random.default_rng(0))
            adjustment = adjust(table, chosen)
            row, _ = polarization(values, chosen, adjustment, sets, confidence=0.95)
            balance = dataclasses.asdict(adjustment)
            del balance["weights"]
            for name in ("mutual_top1", "mutual_top1_r0.8"):
                rows.append(about | {"set": name, "metric": metric} | row | balance)
            rows.append(rows[-1] | {"model": "another", "is_anchor": False, "set": "mutual_top1"})
    return pd.DataFrame(rows)


def mean_rows(key: str, columns: dict) -> pd.DataFrame:
    rows = []
    for about, acts, chosen in every_anchor():
        sets = placebo_sets(chosen, np.zeros(len(chosen), int), 20, np.random.default_rng(0))
        for name, measure in columns.items():
            values = measure(acts).astype(float)
            row, _ = mean_against_placebo(values, chosen, sets, 0.95, share=key == "family")
            rows.append(about | {"set": "mutual_top1", key: name} | row)
    return pd.DataFrame(rows)


def trend_rows(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    rows = []
    for name, key, quantities in (
        ("polarization", "metric", ("effect", "adjusted", "median_rosetta", "median_others", "difference")),
        ("specialisation", "domain", ("mean", "mean_others")),
        ("families", "family", ("mean", "mean_others")),
    ):
        table = tables[name]
        anchors = table[table["is_anchor"]]
        for (curve, chosen, of), group in anchors.groupby(["curve", "set", key], sort=False):
            for quantity in quantities:
                found = slope(group["neurons"].to_numpy(), group[quantity].to_numpy(), 0.95)
                row = {"curve": curve, "table": name, "set": chosen, "of": of, "quantity": quantity}
                rows.append(row | found | {"placebo_low": -0.1, "placebo_high": 0.1})
    return pd.DataFrame(rows)


def depth_rows() -> pd.DataFrame:
    rows = []
    for about, _, chosen in every_anchor():
        for layer in range(LAYERS):
            shares = {"rosetta_share": chosen[layer::LAYERS].sum() / chosen.sum(), "neurons_share": 1 / LAYERS}
            about = {name: about[name] for name in ("curve", "point", "model")}
            rows.append(about | {"depth": layer / (LAYERS - 1), "rosetta": chosen[layer::LAYERS].sum()} | shares)
    return pd.DataFrame(rows)


def diagonal_rows(layers: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for keys, group in layers.groupby(["curve", "point", "model_a", "model_b"], sort=False):
        on, matches = group.loc[group["layer_a"] == group["layer_b"], "matches"].sum(), group["matches"].sum()
        row = dict(zip(("curve", "point", "model_a", "model_b"), keys, strict=True))
        row |= {"matches": matches, "on_diagonal": on, "share": on / matches, "low": 0.9 * on / matches, "high": 1.0}
        rows.append(row | {"expected": 1 / LAYERS, "rotated": 0.3, "rotated_low": 0.2, "rotated_high": 0.4})
    return pd.DataFrame(rows)


def judge_rows() -> pd.DataFrame:
    row = {"curve": "all", "point": "r1", "group": "rosetta", "measure": "f1", "neurons": 10, "answered": 0.9}
    return pd.DataFrame([row | {"mean": 0.75, "low": 0.61, "high": 0.89, "chance": 0.487}])


def layer_rows() -> pd.DataFrame:
    rows = []
    for (curve, members), (rung, n) in itertools.product(CURVES.items(), RUNGS.items()):
        a, b, _ = matches(*(simulate(f, n) for f in members[:2]))
        table, *_ = np.histogram2d(a * LAYERS // n, b * LAYERS // n, bins=[range(LAYERS + 1)] * 2)
        expected = np.outer(table.sum(1), table.sum(0)) / table.sum()
        for i, j in itertools.product(range(LAYERS), repeat=2):
            row = {"curve": curve, "point": rung, "model_a": f"{members[0]}-{rung}", "model_b": f"{members[1]}-{rung}"}
            rows.append(row | {"layer_a": i, "layer_b": j, "matches": int(table[i, j]), "expected": expected[i, j]})
    return pd.DataFrame(rows)


def model_rows() -> tuple[pd.DataFrame, pd.DataFrame]:
    models, training = [], []
    for (family, seed), (rung, n) in itertools.product(FAMILIES.items(), RUNGS.items()):
        loss = 2 + 3 * n**-0.2 + 0.1 * seed
        row = {"model": f"{family}-{rung}", "family": family, "rung": rung, "architecture": f"{family} decoder"}
        row |= {"source": "ladder", "modality": "text", "parameters": 90 * n + 40_000, "neurons": n, "layers": LAYERS}
        row |= {"non_embedding_parameters": 90 * n, "hidden_size": n // LAYERS // 4, "vocabulary": 4096, "seed": seed}
        row |= {
            "training_tokens": 10_000_000,
            "epochs": 2.5,
            "validation_loss": loss,
            "validation_bits_per_byte": loss / 2.6,
        }
        row |= {
            "train_seconds": 3.7 * n,
            "origin": "ladder",
            "checkpoint": f"cache/checkpoints/{family}{rung}",
            "sha256": f"{n:f>64x}",
        }
        models.append(row)
        for step in range(0, 1001, 50):
            curve = {"step": step, "tokens": step * 10_000, "loss": loss + 5 / (1 + step / 30)}
            training.append({"model": row["model"], "family": family, "rung": rung} | curve)
    return pd.DataFrame(models), pd.DataFrame(training)


def provenance() -> dict:
    domains = {"python code": {"documents": 900, "bytes": 4_000_000}, "manuals": {"documents": 300, "bytes": 1_500_000}}
    return {
        "study": "sample",
        "started": "2025-11-21T10:00:00+00:00",
        "finished": "2025-11-21T11:05:09+00:00",
        "seconds": 3909.2,
        "peak_memory_mb": 2913.4,
        "code": {"commit": "0123456789abcdef0123456789abcdef01234567", "dirty": True},
        "versions": {"python": "3.12.1", "torch": "2.9.0", "transformers": "5.20.0", "snakemake": "9.27"},
        "machine": {"system": "Linux", "cores": 8, "processor": "x86_64", "memory_gb": 31.2},
        "configuration": load(WORKFLOW / "studies/smoke.yaml").model_dump(mode="json"),
        "configuration_sha256": "c" * 64,
        "corpus": {"name": "packages", "documents": 1200, "bytes": 5_500_000, "sha256": "d" * 64, "domains": domains},
        "units": {"count": UNITS, "kind": "text spans", "mean_bytes": 4.5},
        "files": [{"path": "results/sample/tables/counts.csv", "sha256": "e" * 64, "bytes": 12_345}],
        "steps": [{"rule": "train", "jobs": 12, "seconds": 3100.5, "max_rss_mb": 2913.4}],
    }


MAIN = {
    "claim": "More neurons match than decoys explain.",
    "source": "paper, section 4.2",
    "verdict": "supported",
    "statistic": "wins 178, decoys 65",
    "sentence": "Real neurons win more often than decoys.",
    "main": True,
    "effect": 113.2,
    "effect_low": 91.0,
    "effect_high": 135.0,
    "effect_name": "wins beyond decoys",
    "threshold": [0.0, None],
    "null": 4.25,
    "null_name": "rotated neurons",
    "power": 0.973,
    "p_adjusted": 0.0008,
}
CLAIMS = [
    MAIN,
    MAIN
    | {
        "claim": "The exponent is about a half.",
        "verdict": "inconclusive",
        "effect": 0.62,
        "effect_low": 0.41,
        "effect_high": 0.83,
        "effect_name": "exponent",
        "threshold": [0.4, 0.6],
        "null": 0.6,
        "reason": "power",
        "needs": "two more sizes",
    },
    {key: MAIN[key] for key in ("claim", "source", "statistic", "main")}
    | {"claim": "A theory holds.", "verdict": "not supported", "sentence": "It was not estimated."},
    {
        "claim": "The number of Rosetta neurons grows as a sublinear power law of model size.",
        "source": "paper, section 4",
        "verdict": "supported",
        "statistic": "alpha = 0.74 [0.66, 0.82], 4 points",
        "sentence": "In every curve the whole interval lies between 0 and 1; the untrained null grows as well.",
    },
    {
        "claim": "Rosetta neurons become more selective with size.",
        "source": "precondition of this study",
        "verdict": "inconclusive",
        "reason": "null",
        "statistic": "slope 0.05 [-0.02, 0.12] per decade, 4 points",
        "sentence": "The interval of the slope contains 0.",
    },
    {
        "claim": "The difference in selectivity grows with size (gini).",
        "source": "paper, section 5.1",
        "verdict": "supported",
        "statistic": "slope 0.15 [0.1, 0.2] per decade, 4 points",
        "sentence": "It rises on all curves.",
        "metric": "gini",
        "column": "polarizes",
    },
    {
        "claim": f"Counts have nothing to do with the null {HOSTILE}",
        "source": HOSTILE,
        "verdict": "not supported",
        "statistic": HOSTILE,
        "sentence": HOSTILE,
    },
]


def audit_rows() -> pd.DataFrame:
    rows = [{"a": "neox-r1", "b": "bloom-r1", "identical_share": 0.0, "mlp": np.nan, "verdict": "independent"}]
    rows += [{"a": "neox-r1", "b": "llama-r1", "identical_share": 0.125, "mlp": 0.43, "verdict": "shared embeddings"}]
    return pd.DataFrame(rows).assign(anywhere=0.02, reordered=0.24, embeddings=0.88)


def write_sample(results: Path) -> None:
    counts, (models, training), layers = count_rows(), model_rows(), layer_rows()
    tables = {"models": models, "training": training, "counts": counts, "isolation": isolation_rows()}
    tables |= {"above_r": above_r_rows(), "lists": list_rows(counts), "recurrence": recurrence_rows()}
    tables["planted"] = list_rows(counts).drop(columns=["false", "strong"]).assign(r=0.5, planted=50, found=20)
    tables |= {"decomposition": decomposition_rows(counts), "seeds": seed_rows(), "snapshots": snapshot_rows(counts)}
    tables |= {"polarization": polarization_rows(), "layers": layers, "diagonal": diagonal_rows(layers)}
    tables["specialisation"] = mean_rows("domain", {"code": lambda a: a.max(0), "prose": lambda a: a.std(0)})
    tables["families"] = mean_rows("family", {"unigram": lambda a: stats.kurtosis(a) > 1, "dead": lambda a: a[0] > 9})
    tables |= {"trends": trend_rows(tables), "depth": depth_rows(), "judge": judge_rows(), "audit": audit_rows()}
    for name, table in tables.items():
        write_table(results / "tables" / f"{name}.csv", table)
    with contextlib.chdir(results.parents[1]):
        write_sample_fits(results / "tables")
    judged = (*FIT_TABLES, "counts", "isolation")
    about_fits = judge_fits({name: read_table(results / "tables" / f"{name}.csv") for name in judged}, JUDGED)
    write_json(
        results / "tables" / "claims.json",
        {"claims": [*CLAIMS, *(replace(claim, main=False).as_json() for claim in about_fits)]},
    )
    write_table(results / "tables" / "settled.csv", settled_rows())
    write_json(results / "tables" / "provenance.json", provenance())
    (results / "viewer").mkdir()
    (results / "viewer/index.html").touch()


def settled_rows() -> pd.DataFrame:
    """With two draws of the nulls in place of four the first claim would be inconclusive, the others as they are."""
    rows = [(claim["claim"], draws, claim["verdict"]) for draws in (2, 4) for claim in CLAIMS]
    rows[0] = (*rows[0][:2], "inconclusive")
    return pd.DataFrame(rows, columns=["claim", "draws", "verdict"])


JUDGED = ["mutual_top1", "mutual_top1_r0.8"]


def write_sample_fits(folder: Path) -> None:
    """All that is fitted, as the workflow does it: by a study of these families and rungs."""
    values = load(WORKFLOW / "studies/smoke.yaml").model_dump(mode="json")
    size = {"hidden_size": 8, "layers": 1, "heads": 2, "learning_rate": 0.01}
    values |= {"study": "sample", "curves": {curve: list(members) for curve, members in CURVES.items()}}
    values["ladder"]["rungs"] = dict.fromkeys(RUNGS, size)
    kinds = {"gpt2": "gpt2", "llama": "llama", "neox": "gpt_neox"}
    values["families"] = {
        name: {"architecture": kinds[name], "vocabulary": 320, "seed": seed} for name, seed in FAMILIES.items()
    }
    values["matching"]["criteria"] = [{}, {"min_r": 0.3}, {"min_r": 0.8}]
    values["nulls"] |= {f"{null}_draws": DRAWS for null in NULLS}
    values["theory"] = {"betas": [2.0], "sizes": [64, 128, 256], "runs": 1, "inputs": 500}
    layout = Layout(parse(values), corpus_key="k")
    assert layout.study.judged == JUDGED
    write_json(f"{layout.corpus_dir}/manifest.json", {"sha256": "d" * 64})
    write_table(layout.units("study"), pd.DataFrame({"unit": range(UNITS)}))
    write_table(layout.simulations[0], simulate_theory(2.0, [64, 128, 256], 1, 500))
    write_fits(layout, folder)


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """A finished study: tables, figures and report."""
    results = tmp_path_factory.mktemp("folder") / "results" / "sample"
    write_sample(results)
    make_figures(results / "tables", results / "figures")
    write_report(results, results / "report", {})
    return results


@pytest.fixture
def tables(results) -> dict[str, pd.DataFrame]:
    fitted = {name: read_table(results / "tables" / f"{name}.csv") for name in FIT_TABLES}
    return read_tables(results / "tables") | fitted


class Page(HTMLParser):
    """Text, tags with attributes, and table rows of a page."""

    def __init__(self, html: str):
        super().__init__()
        self.tags, self.rows, self.text, self.inside_cell = [], [], [], False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        self.inside_cell = self.inside_cell or tag in ("td", "th")

    def handle_data(self, data):
        self.text.append(data)
        if self.inside_cell:
            self.rows[-1][-1] += data

    def handle_endtag(self, tag):
        self.inside_cell = self.inside_cell and tag not in ("td", "th")


@pytest.fixture(scope="module")
def page(results) -> Page:
    return Page((results / "report" / "index.html").read_text())


@pytest.fixture(scope="module")
def fits_page(results) -> Page:
    return Page((results / "report" / "fits.html").read_text())


# ---- figures ---------------------------------------------------------------------------------------------------------


def drawn_points(figure, size: float) -> list[tuple]:
    """(panel, x, y) of every marker of the given size: the measured points have one size, the nulls another."""
    return [
        (panel, *point)
        for panel, axes in enumerate(figure.axes)
        for marks in axes.collections
        if hasattr(marks, "get_sizes") and set(marks.get_sizes()) == {size}
        for point in marks.get_offsets().tolist()
    ]


def test_every_figure_has_its_csv_and_pictures(results):
    for name in FIGURES:
        assert len(read_table(results / "figures" / f"{name}.csv")) > 0
        assert (results / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert b"</svg>" in (results / "figures" / f"{name}.svg").read_bytes()


def test_csv_is_the_table_that_is_drawn(results, tables):
    saved = read_table(results / "figures" / "counts.csv")
    expected, _ = counts_data(tables["counts"], tables["fits"])
    pd.testing.assert_frame_equal(saved, expected, check_dtype=False)  # a csv does not type an empty column
    points = drawn_points(draw_counts(saved), size=42)
    assert np.allclose([point[1:] for point in points], saved[["neurons", "count"]])


def test_nulls_are_drawn_beside_every_count(results):
    saved = read_table(results / "figures" / "counts.csv")
    nulls = drawn_points(draw_counts(saved), size=26)
    for name in ("null_untrained", "null_permute", "null_rotate"):
        assert {(x, y) for _, x, y in nulls} >= set(zip(saved["neurons"], saved[name], strict=True))
    shares = read_table(results / "figures" / "fraction.csv")
    assert len(drawn_points(draw_fraction(shares), size=26)) == len(drawn_nulls()) * len(shares)


def test_zero_counts_stay_inside_the_log_axis(results):
    others = read_table(results / "figures" / "counts_criteria.csv")
    assert (others["count"] == 0).any(), "the sample must have a count of zero"
    figure = draw_criteria(others)
    figure.canvas.draw()
    points = [
        (axes, x, y) for axes in figure.axes for line in axes.lines for x, y in zip(*line.get_data(), strict=True)
    ]
    assert len(points) == 2 * len(others)  # counts and largest nulls
    zeros = [point for point in points if point[2] == 0]
    assert len(zeros) >= (others["count"] == 0).sum() + (others["largest_null"] == 0).sum()
    for axes, x, y in zeros:
        assert axes.bbox.contains(*axes.transData.transform((x, y)))


def test_the_decomposition_draws_every_part_with_its_exponent(results, tables):
    data = read_table(results / "figures" / "decomposition.csv")
    expected = decomposition_data(tables["counts"], tables["fits"])
    pd.testing.assert_frame_equal(data, expected, check_dtype=False)
    figure = draw_decomposition(data)
    for axes, (curve, group) in zip(figure.axes, data.groupby("curve", sort=False), strict=True):
        assert axes.get_title().startswith(curve)
        assert len(axes.lines) == len(decomposed())
        for line, quantity in zip(axes.lines, decomposed(), strict=True):
            part = group[group["quantity"] == quantity]
            np.testing.assert_allclose(line.get_ydata(), part["value"].clip(lower=0))
            alpha = part["alpha"].iloc[0]
            words = (f"\u03b1 = {alpha:.2f}" if np.isfinite(alpha) else "no fit").replace("-", MINUS)
            assert line.get_label() == ("_" if quantity.startswith("null") else words)
        assert len(axes.get_legend().get_texts()) == sum(not name.startswith("null") for name in decomposed())


def test_the_answer_draws_the_count_beside_every_null_at_the_largest_point(results, tables):
    data = read_table(results / "figures" / "answer.csv")
    assert set(zip(data["curve"], data["point"], strict=True)) == {("gpt2--llama", "r4")}
    axes = draw_answer(data).axes[0]
    steps = [line for line in axes.lines if line.get_drawstyle() == "steps-mid"]
    assert len(steps) == 1 + len(NULLS)
    for line, (_, rows) in zip(steps, data.groupby("source", sort=False), strict=True):
        np.testing.assert_allclose(line.get_ydata(), rows["count"])
    words = [text.get_text() for text in axes.texts]
    assert sorted(words) == sorted(["real neurons", *(null.label for null in NULLS.values())])


def test_main_claims_are_drawn_with_region_null_and_verdict(results):
    data = read_table(results / "figures" / "main_claims.csv")
    assert data["claim"].tolist() == [claim["claim"] for claim in CLAIMS[:3]]
    figure = draw_main_claims(data)
    first, second, third = figure.axes
    (region,) = second.patches
    assert (region.get_x(), region.get_x() + region.get_width()) == pytest.approx((0.4, 0.6))
    assert [line.get_xdata().tolist() for line in second.lines] == [[0.41, 0.83], [0.6], [0.62]]
    (region,) = first.patches
    assert region.get_x() + region.get_width() == pytest.approx(first.get_xlim()[1]), "the region has no upper end"
    assert third.texts[0].get_text() == "no estimate"
    words = " ".join(" ".join(text.get_text().split()) for text in figure.texts)
    assert "inconclusive: too little data exponent 0.62 [0.41, 0.83] null 0.60, power 97%" in words


def test_an_interval_without_an_end_reaches_the_edge():
    row = {"claim": "c", "verdict": "supported", "reason": "", "effect_name": "e", "null_name": "", "effect": 1.0}
    row |= {"low": 0.5, "high": np.nan, "floor": 0.0, "ceiling": np.inf, "null": np.nan, "power": np.nan}
    axes = draw_main_claims(pd.DataFrame([row])).axes[0]
    assert axes.lines[0].get_xdata().tolist() == [0.5, axes.get_xlim()[1]]


def test_fit_line_follows_the_fit_and_says_its_interval(results, tables):
    figure = draw_counts(read_table(results / "figures" / "counts.csv"))
    fit = tables["fits"].iloc[0]
    x, y = figure.axes[0].lines[0].get_data()
    assert np.allclose(np.log(y), np.log(fit["c"]) + fit["alpha"] * np.log(x))
    reference_x, reference_y = figure.axes[0].lines[1].get_data()
    assert np.allclose(np.diff(np.log(reference_y)) / np.diff(np.log(reference_x)), 1)
    title = figure.axes[0].get_title()
    assert f"{fit['alpha']:.2f} [{fit['low']:.2f}, {fit['high']:.2f}], n = 4" in title


def test_polarization_shows_the_primary_set_of_the_anchors_inside_the_limits(results):
    data = read_table(results / "figures" / "polarization.csv")
    assert set(data["model"]) == {f"gpt2-{rung}" for rung in RUNGS}
    assert set(data["set"]) == {"mutual_top1"}
    figure = draw_polarization(data)
    assert len(drawn_points(figure, size=26)) == len(drawn_points(figure, size=12)) == len(data)
    for axes, metric in zip(figure.axes, data["metric"].unique(), strict=True):
        shown = data.loc[data["metric"] == metric, ["adjusted_low", "adjusted_high", "placebo_low", "placebo_high"]]
        low, high = axes.get_ylim()
        assert low < shown.min(axis=None) < shown.max(axis=None) < high


@pytest.mark.parametrize(("name", "draw"), [("specialisation", draw_specialisation), ("families", draw_families)])
def test_means_are_drawn_as_they_are_in_the_table(results, name, draw):
    data = read_table(results / "figures" / f"{name}.csv")
    figure = draw(data)
    drawn = [tuple(point[1:]) for point in drawn_points(figure, size=26)]
    lines = [axes.lines for axes in figure.axes]
    drawn += [point for line in itertools.chain(*lines) for point in zip(*line.get_data(), strict=True)]
    for row in data.to_dict("records"):
        assert any(np.allclose(point, (row["neurons"], row["mean"])) for point in drawn)


def test_the_diagonal_is_drawn_with_both_its_nulls(results):
    data = read_table(results / "figures" / "diagonal.csv")
    figure = draw_diagonal(data)
    drawn = [tuple(line.get_ydata()) for axes in figure.axes for line in axes.lines]
    for _, rows in data.groupby("curve", sort=False):
        assert {tuple(rows["expected"]), tuple(rows["rotated"])} <= set(drawn)


def test_pictures_are_equal_byte_for_byte(results, tmp_path):
    make_figures(results / "tables", tmp_path)
    for name in FIGURES:
        for suffix in ("svg", "png", "csv"):
            first, second = (folder / f"{name}.{suffix}" for folder in (results / "figures", tmp_path))
            assert first.read_bytes() == second.read_bytes(), f"{name}.{suffix}"
        assert b"dc:date" not in (tmp_path / f"{name}.svg").read_bytes()  # within one second two dates are equal


def test_a_study_with_one_criterion_and_no_training_still_gets_every_figure(tables, tmp_path):
    counts, polarization = tables["counts"], tables["polarization"]
    tables["counts"] = counts[(counts["criterion"] == "mutual_top1") & (counts["curve"] == "all")].head(1)
    tables["models"] = tables["models"].assign(validation_bits_per_byte=np.nan, validation_loss=np.nan)
    tables["training"] = tables["training"].head(0)
    nothing = ["effect", "adjusted", "adjusted_low", "adjusted_high", "median_rosetta", "median_others"]
    tables["polarization"] = polarization.assign(**dict.fromkeys(nothing, np.nan))
    del tables["claims"]
    for name, table in tables.items():
        write_table(tmp_path / "tables" / f"{name}.csv", table)
    write_json(tmp_path / "tables" / "claims.json", {"claims": CLAIMS[3:]})  # none of them is a main claim
    make_figures(tmp_path / "tables", tmp_path / "figures")
    assert sorted(p.name for p in (tmp_path / "figures").glob("*.svg")) == sorted(f"{name}.svg" for name in FIGURES)


def test_numbers_are_formatted_without_matplotlib():
    code = (
        "import sys, rosetta_scaling.report.tables, rosetta_scaling.report.cells; sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_importing_figures_is_cheap():
    code = "import sys, rosetta_scaling.report.figures.catalogue\n"
    code += "sys.exit(len({'seaborn', 'matplotlib.pyplot'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---- report ----------------------------------------------------------------------------------------------------------


def test_page_has_every_claim_and_verdict(page):
    for claim in CLAIMS:
        for part in ("claim", "source", "statistic", "sentence"):
            assert claim[part] in text_of(page)


def cards(html: str) -> list[str]:
    """The text of every card."""
    return [text_of(Page(part.split("</article>")[0])) for part in html.split('<article class="claim">')[1:]]


def test_main_claims_have_cards_with_numbers_and_what_would_decide(results):
    shown = cards((results / "report" / "index.html").read_text())
    assert len(shown) == 3
    assert "supported More neurons match than decoys explain. Wins beyond decoys 113 [91, 135]" in shown[0]
    assert "strongest null (rotated neurons) 4.25 ; power 97%; adjusted p 0.0008." in shown[0]
    assert "inconclusive: too little data The exponent" in shown[1]
    assert "What would decide: two more sizes" in shown[1]
    assert "power" not in shown[2]
    assert "It was not estimated." in shown[2]


def test_all_other_claims_stand_in_one_table_that_can_be_filtered(results, page):
    html = (results / "report" / "index.html").read_text()
    judged = read_json(results / "tables" / "claims.json")["claims"]
    rows = re.findall(r'<tr data-verdict="([^"]*)" data-topic="([^"]*)" data-metric="([^"]*)">', html)
    assert len(rows) == len(judged) - 3
    assert [row[0] for row in rows if row[1] == "selectivity"] == ["supported"]
    options = [tag for tag, _ in page.tags if tag == "option"]
    assert len(options) == 3 + 3 + 3 + 1  # "all" of each; all verdicts; all topics; one metric
    parts = re.split(r'<th colspan="6" scope="rowgroup">', html)[1:]
    names = [part.partition(" (")[0] for part in parts]
    assert names == ["Findings", "Controls"]
    assert "Rosetta neurons become more selective" in parts[1]
    assert "a null does as well" in parts[1]


def test_what_cannot_be_decided_and_how_often_rules_are_right_is_told_where_it_is_known(results, tmp_path):
    text = text_of(Page((results / "report/index.html").read_text()))
    assert "Cannot be decided by design" not in text
    assert "Operating characteristics" not in text
    shutil.copytree(results, tmp_path / "results")
    why = [{"metric": "gini", "because": "the confounds explain 92% of it"}]
    write_json(tmp_path / "results/tables/claims.json", {"claims": CLAIMS, "undecidable": why})
    power = {"claim": "More match", "truth": "paper", "effect": 1.0, "effect_name": "of shared neurons", "draws": 100}
    power |= {"supported": 0.87, "not_supported": 0.0, "inconclusive": 0.13}
    none = power | {"truth": "null", "effect": 0.0, "supported": 0.0, "not_supported": 0.98, "inconclusive": 0.02}
    write_table(tmp_path / "results/tables/power.csv", pd.DataFrame([none, power]))
    write_report(tmp_path / "results", tmp_path / "results/report", {})
    made = Page((tmp_path / "results/report/index.html").read_text())
    assert "gini : the confounds explain 92% of it" in text_of(made)
    assert ["More match", "no effect", "of shared neurons", "0.00", "0%", "98%", "2%"] in made.rows
    assert ["More match", "the paper's effect", "of shared neurons", "1.00", "87%", "0%", "13%"] in made.rows


def test_every_claim_says_what_fewer_draws_of_the_nulls_would_have_said(results):
    first, second, *_ = cards((results / "report/index.html").read_text())
    assert "With 2 draws of the nulls in place of 4 it would be: inconclusive." in first
    assert "The verdict is the same with 2 to 4 draws of the nulls." in second


def test_without_main_claims_the_first_findings_have_cards(results, tmp_path):
    shutil.copytree(results, tmp_path / "results")
    write_json(tmp_path / "results/tables/claims.json", {"claims": CLAIMS[3:] * 7})
    write_report(tmp_path / "results", tmp_path / "report", {})
    html = (tmp_path / "report/index.html").read_text()
    assert len(cards(html)) == 10
    assert not any("more selective with size" in card for card in cards(html)), "a control is no finding"
    assert html.count("<tr data-verdict") == 4 * 7 - 10
    assert "Of 28 claims, 14 supported, 7 not supported and 7 inconclusive (7 because a null does as well)." in html


def test_the_answer_says_what_is_matched_and_what_the_strongest_null_gives(page, tables):
    top = tables["counts"].query("criterion == 'mutual_top1' and point == 'r4'").iloc[0]
    nulls = {name: top[name] for name in NULL_NAMES}
    strongest = max(nulls, key=nulls.get)
    label = NULLS[strongest.removeprefix("null_")].label
    words = f"{number(top['count'])} of 512 neurons of gpt2-r4 have a match; the strongest null ({label})"
    assert words in text_of(page)
    assert f"the real one wins {number(top['wins'])} times" in text_of(page)
    assert "11 [3, 19] (r ≥ 0.6)" in text_of(page)
    said = "Of the 3 main claims, 1 supported, 1 not supported and 1 inconclusive (1 because the data are too few)."
    assert said in text_of(page)


def test_the_answer_gives_what_is_beyond_decoys_where_it_was_measured():
    top = {"neurons": 64, "models": "a-r1 b-r1", "anchor": "a-r1", "anchor_neurons": 64, "count": 30, "excess": -2.0}
    top |= {"wins": 17.0, "decoy_wins": 6.5, "beyond_decoys": 10.5, "beyond_decoys_low": 2.0, "beyond_decoys_high": 19}
    for i, null in enumerate(NULLS.values()):
        top |= dict(zip(null.columns, (float(i), i - 0.5, i + 0.5), strict=True))
    first, second = at_the_largest_size(pd.DataFrame([top]))
    last = list(NULLS.values())[-1]
    assert f"({last.label}), where no neuron can be shared, gives {len(NULLS) - 1} [" in first
    assert "wins 17 times and that of one draw 6.5 times: 10.5 [2, 19] neurons are beyond" in second
    unknown = top | dict.fromkeys(("beyond_decoys", "excess"), np.nan)
    assert len(at_the_largest_size(pd.DataFrame([unknown]))) == 1


def test_networks_that_were_never_trained_do_not_count_as_trained(tables):
    models = tables["models"].assign(source="ladder")
    assert f"{len(models)} networks of " in what_was_compared(models, provenance())
    assert "families, trained independently of each other, with" in what_was_compared(models, provenance())
    models.loc[models.index[:2], "source"] = "untrained"
    expected = f"families, {len(models) - 2} trained independently of each other and 2 never trained, with"
    assert expected in what_was_compared(models, provenance())


def test_the_power_of_the_lists_stands_beside_them(page, tables):
    shown = text_of(page)
    assert "The list with 5% false discoveries holds 23 neurons, and half of the pairs that were planted" in shown
    assert "at r = 0.55 [0.50, 0.61]; corrected for those that it misses, 24.5 [19, 30] neurons are shared" in shown
    points = len(tables["counts"].query("criterion == 'mutual_top1'"))
    assert len(rows_with(page, "FDR 5%", "23", "1.25", "0.55 [0.50, 0.61]", "20", "24.5 [19, 30]")) == points
    assert len(rows_with(page, "FDR 1%", "0", "none", "not measured")) == points
    assert len(rows_with(page, "every win", "35", "0.30 or less", "25 [11, 39]")) == points
    lists = pd.DataFrame([{"curve": "c", "point": "r1", "q": 0.05, "count": 0, "half_r": np.nan}])
    assert power_of_list(lists, {"curve": "c", "point": "r1"})[0].endswith("planted there: what it misses is unknown.")
    assert not power_of_list(lists, {"curve": "c", "point": "r2"})


def test_recurrence_stands_beside_independence_and_decoys(page):
    row = ("31 (33.5; 24.2)", "9 (4.5; 2.75)", "45.0% [30.0%, 60.0%]", "20.0%", "25.0%")
    assert len(rows_with(page, *row)) == 1


def test_what_becomes_of_neurons_is_told_where_a_family_goes_on(page, results, tmp_path):
    assert "when training goes on" not in text_of(page)
    shutil.copytree(results, tmp_path / "results")
    about = provenance()
    about["configuration"]["families"]["further"] = {"source": "continued", "of": "neox", "domain": "code"}
    about["configuration"]["families"]["further"] |= {"tokens": 50_000, "modality": "text"}
    write_json(tmp_path / "results/tables/provenance.json", about)
    row = {"model": "further-r1", "fate": "stays", "rosetta": 40, "share": 0.9, "low": 0.8, "high": 0.95, "null": 0.03}
    row |= {"difference": 0.2, "difference_low": 0.1, "difference_high": 0.3, "bits_before": 2.5, "bits_after": 2.125}
    write_table(tmp_path / "results/tables/continued.csv", rows_of(CONTINUED, 1, **row))
    write_report(tmp_path / "results", tmp_path / "results/report", {})
    told = Page((tmp_path / "results/report/index.html").read_text())
    cells = ("further-r1", "2.500, 2.125", "stays", "40", "90.0% [80.0%, 95.0%]", "0.20 [0.10, 0.30]", "3.0%")
    assert len(rows_with(told, *cells)) == 1
    assert "further (neox, trained further on 50,000 tokens of code)" in text_of(told)


def test_what_is_matched_one_to_one_is_shown_where_it_is_asked_for(page, results, tmp_path):
    assert "optimal transport" not in text_of(page)
    shutil.copytree(results, tmp_path / "results")
    about = provenance()
    about["configuration"]["matching"]["transport_min_r"] = 0.3
    write_json(tmp_path / "results/tables/provenance.json", about)
    row = {"model_b": "bloom-r1", "transported": 31, "null_rotate_pre": 20.5, "null_rotate_pre_low": 17}
    row |= {
        "null_rotate_pre_high": 24,
        "excess": 10.5,
        "excess_low": 6.5,
        "excess_high": 14.5,
        "both": 22,
        "mutual": 25,
    }
    large = dict.fromkeys(COUNTED, np.nan) | {"model_b": "bloom-r9", "note": "too large"}
    table = pd.concat([rows_of(TRANSPORT, 1, **row, note=""), rows_of(TRANSPORT, 1, **large)])
    write_table(tmp_path / "results/tables/transport.csv", table)
    write_report(tmp_path / "results", tmp_path / "results/report", {})
    told = Page((tmp_path / "results/report/index.html").read_text())
    cells = ("bloom-r1", "7 and 7", "0.50", "31", "22", "20.5 [17, 24]", "10.5 [6.5, 14.5]", "25", "0.5")
    assert len(rows_with(told, *cells)) == 1
    assert len(rows_with(told, "bloom-r9", "not measured", "too large")) == 1


def test_every_figure_is_on_its_page_with_caption_and_data(page, fits_page, results):
    for one, name in ((page, "index.html"), (fits_page, "fits.html")):
        figures = [entry.name for entry in FIGURES.values() if entry.place.startswith(f"{name}: ")]
        images = [attributes["src"] for tag, attributes in one.tags if tag == "img"]
        pictures = {base64.b64decode(source.partition("base64,")[2]) for source in images}
        assert pictures == {(results / "figures" / f"{name}.svg").read_bytes() for name in figures}
        links = {attributes.get("href") for tag, attributes in one.tags if tag == "a"}
        assert {f"../figures/{name}.csv" for name in figures} <= links
        assert sum(tag == "figcaption" for tag, _ in one.tags) == len(figures)


@pytest.mark.parametrize("name", ["index.html", "fits.html"])
def test_pages_open_offline_and_their_links_lead_somewhere(results, name):
    html = (results / "report" / name).read_text()
    page = Page(html)
    assert not re.search(r"@import|url\(", html)
    assert not {tag for tag, _ in page.tags} & {"link", "iframe", "object"}
    assert [attributes for tag, attributes in page.tags if tag == "script"] == [{}]
    assert not re.search(r"fetch|XMLHttp|import\b", (WORKFLOW / "report/page.js").read_text())
    assert all(a["src"].startswith("data:") for _, a in page.tags if "src" in a)
    names = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    for href in (a["href"] for tag, a in page.tags if tag == "a"):
        assert href[1:] in names if href.startswith("#") else (results / "report" / href.split("#")[0]).is_file(), href


def test_html_is_escaped(results):
    html = (results / "report" / "index.html").read_text()
    assert html.count("<script") == 1
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; co" in html


def test_null_values_stand_beside_every_count(page, tables):
    for row in tables["counts"].to_dict("records"):
        shown = [cells for cells in page.rows if {row["curve"], row["point"]} <= set(cells) and len(cells) > 9]
        expected = {number(row["count"])}
        for null in NULL_NAMES:
            expected.add(f"{number(row[null])} [{number(row[f'{null}_low'])}, {number(row[f'{null}_high'])}]")
        assert any(expected <= set(cells) for cells in shown), row


def test_a_null_that_was_not_measured_says_so(results, tables, tmp_path):
    copy = tmp_path / "results"
    shutil.copytree(results, copy)
    columns = ["null_untrained", "null_untrained_low", "null_untrained_high"]
    write_table(copy / "tables" / "counts.csv", tables["counts"].assign(**dict.fromkeys(columns, np.nan)))
    write_report(copy, copy / "report", {})
    rows = Page((copy / "report" / "index.html").read_text()).rows
    assert sum("not measured" in row for row in rows if len(row) > 9) == len(tables["counts"])  # lists have 8 columns
    assert "not measured" not in Page((results / "report" / "index.html").read_text()).rows


def test_exponents_have_interval_quality_and_points_or_a_reason(page, tables):
    fit = tables["fits"].iloc[0]
    words = f"{fit['alpha']:.2f} [{fit['low']:.2f}, {fit['high']:.2f}]\nR\u00b2 {fit['r2']:.2f}, n = 4"
    shown = {cell for row in page.rows for cell in row}
    assert words in shown
    assert tables["fits"]["alpha"].isna().any(), "the sample must have a fit that is refused"
    assert any(cell.startswith("no fit (n = 0)") and "4 of 4 points left out" in cell for cell in shown)


def test_provenance_is_on_the_page(page):
    text = " ".join(page.text)
    known = provenance()
    for part in (known["code"]["commit"], "uncommitted changes", known["versions"]["torch"], known["corpus"]["sha256"]):
        assert part in text
    assert {"1 h 05 min", known["configuration_sha256"]} <= {cell for row in page.rows for cell in row}


def test_what_networks_have_in_common_is_on_the_page(page):
    assert ["neox-r1", "bloom-r1", "0.0%", "\N{EN DASH}", "0.02", "0.24", "0.88", "independent"] in page.rows
    assert ["neox-r1", "llama-r1", "12.5%", "0.43", "0.02", "0.24", "0.88", "shared embeddings"] in page.rows


def test_counts_points_and_claims_lead_to_their_neurons(results, tables, tmp_path):
    text = (results / "report/index.html").read_text()
    led = {html.unescape(found) for found in re.findall(r'href="../viewer/index.html#([^"]*)"', text)}
    behind = tables["counts"][["anchor", "curve", "criterion"]].drop_duplicates().astype(str)
    largest = tables["counts"].nlargest(1, "neurons").iloc[0]
    wanted = {f"n={anchor}&r={curve}.{criterion}" for anchor, curve, criterion in behind.itertuples(index=False)}
    points = behind.drop(columns="criterion").drop_duplicates()
    for claim in read_json(results / "tables/claims.json")["claims"]:
        if "metric" in claim:
            order = f"s={claim['metric']}&d=1"
            wanted |= {f"n={anchor}&r={curve}.mutual_top1&{order}" for anchor, curve in points.itertuples(index=False)}
    assert led == wanted
    shown = re.findall(rf'#n={largest.anchor}&amp;r={largest.curve}\.{largest.criterion}">([^<]*)</a></td>', text)
    assert number(largest["count"]) in shown
    copy = tmp_path / "results"
    shutil.copytree(results, copy)
    known = provenance()
    known["configuration"]["viewer"]["make"] = False
    write_json(copy / "tables/provenance.json", known)
    write_report(copy, copy / "report", {})
    for name in ("index.html", "fits.html"):
        assert "viewer" not in (copy / "report" / name).read_text()


def test_companion_studies_are_named_with_their_verdicts(results, tmp_path):
    folders = {"lottery": [tmp_path / "lottery"], "depth": [tmp_path / "depth", tmp_path / "language"]}
    verdicts = {"lottery": ["supported"], "depth": ["not supported"] * 2, "language": ["inconclusive", "not supported"]}
    for name, given in verdicts.items():
        write_json(tmp_path / name / "claims.json", {"claims": [CLAIMS[0] | {"verdict": verdict} for verdict in given]})
    shutil.copytree(results, tmp_path / "results")
    write_report(tmp_path / "results", tmp_path / "report", folders)
    lines = (tmp_path / "report/index.html").read_text().splitlines()
    lottery, depth = (next(line for line in lines if f'href="{name}.html"' in line) for name in folders)
    assert "Lottery-ticket ensembling" in lottery
    assert "1 supported, 0 not supported and 0 inconclusive" in lottery
    assert "0 supported, 3 not supported and 1 inconclusive" in depth
    assert "companions" not in (results / "report/index.html").read_text()


def test_a_wrong_verdict_or_a_missing_figure_stops_without_a_page(results, tmp_path):
    copy = tmp_path / "results"
    shutil.copytree(results, copy)
    for name in ("index.html", "fits.html"):
        (copy / "report" / name).unlink()
    write_json(copy / "tables" / "claims.json", {"claims": [CLAIMS[0] | {"verdict": "yes"}]})
    with pytest.raises(StudyError, match="'yes'"):
        write_report(copy, copy / "report", {})
    write_json(copy / "tables" / "claims.json", {"claims": CLAIMS})
    (copy / "figures" / "loss.svg").unlink()
    with pytest.raises(StudyError, match=r"loss\.svg"):
        write_report(copy, copy / "report", {})
    assert not list((copy / "report").iterdir())


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234567, "1,234,567"), (0.12345, "0.123"), (-2.0, "\u22122"), (1234.56, "1,235"), (np.nan, "\u2013"), (0, "0")],
)
def test_numbers_are_written_for_people(value, text):
    assert number(value) == text


# ---- the page of fits and theory -------------------------------------------------------------------------------------


def text_of(page: Page) -> str:
    return " ".join(" ".join(page.text).split())


def fixed(value: float) -> str:
    return "\u2013" if np.isnan(value) else f"{value:.2f}".replace("-", MINUS)


def ranged(row: dict, name: str = "alpha", low: str = "low", high: str = "high") -> str:
    return f"{fixed(row[name])} [{fixed(row[low])}, {fixed(row[high])}]"


def rows_with(page: Page, *cells: str) -> list[list[str]]:
    return [row for row in page.rows if set(cells) <= set(row)]


def test_claims_about_fits_are_on_their_own_page(page, fits_page, results):
    judged = [claim for claim in read_json(results / "tables" / "claims.json")["claims"] if "fit" in claim]
    assert len(judged) == 2 * 6 + 1
    for claim in judged:
        for part in ("claim", "statistic", "sentence"):
            assert " ".join(claim[part].split()) in text_of(fits_page)
        assert claim["claim"] in text_of(page)
    badges = [attributes["class"] for _, attributes in fits_page.tags if "badge" in (attributes.get("class") or "")]
    assert sorted(badges) == sorted(f"badge {claim['verdict'].replace(' ', '-')}" for claim in judged)
    shares = [sum(claim["verdict"] == verdict for claim in judged) for verdict in ("supported", "not supported")]
    words = f"{shares[0]} supported, {shares[1]} not supported and {len(judged) - sum(shares)} inconclusive"
    assert words in text_of(page)
    assert words in text_of(fits_page)


def test_every_table_of_fits_is_on_the_page_with_its_numbers(fits_page, tables):
    links = {attributes.get("href") for tag, attributes in fits_page.tags if tag == "a"}
    assert {f"../tables/{name}.csv" for name in FIT_TABLES} <= links
    for row in tables["estimators"].query("quantity == 'count'").to_dict("records"):
        shown = rows_with(fits_page, row["curve"], row["criterion"], row["estimator"])
        assert any(fixed(row["alpha"]) in " ".join(cells) for cells in shown), row
    for row in tables["rivals"].to_dict("records"):
        shown = rows_with(fits_page, row["curve"], row["criterion"], row["form"])
        assert any(fixed(row["largest"]) in cells for cells in shown), row
    for row in tables["influence"].to_dict("records"):
        shown = rows_with(fits_page, row["curve"], row["criterion"], row["point"])
        assert any(f"{row['leverage']:.2f}" in cells for cells in shown), row
    for row in tables["uncertainty"].query("quantity == 'count'").to_dict("records"):
        shown = rows_with(fits_page, row["curve"], row["criterion"], "Rosetta neurons", f"{row['model_sd']:.2f}")
        assert any(f"{row['documents_sd']:.2f}" in cells for cells in shown), row
    for row in tables["coverage"].to_dict("records"):
        shown = rows_with(fits_page, row["curve"], row["criterion"], row["estimator"], "0.95")
        words = (
            "not measured" if np.isnan(row["coverage"]) else ranged(row, "coverage", "coverage_low", "coverage_high")
        )
        assert any(words in cells for cells in shown), row
    for row in tables["theory_exponents"].to_dict("records"):
        assert rows_with(fits_page, "2", ranged(row), "0.500", "3"), row
    for row in tables["theory"].query("quantity == 'gap'").to_dict("records"):
        words = ranged(row, "value")
        assert rows_with(fits_page, row["curve"], row["criterion"], row["kind"], "gap", words, "0.00"), row
    for row in tables["pooled"].query("quantity == 'count'").to_dict("records"):
        assert rows_with(fits_page, row["criterion"], row["without"], str(row["curves"]), ranged(row)), row
    sizes = tables["fits"].query("quantity == 'count' and criterion == 'mutual_top1'")
    for row in sizes.to_dict("records"):
        slope, p = fixed(row["geometric"]), number(row["p_sublinear"])
        assert rows_with(fits_page, row["curve"], ranged(row), slope, p), row


def test_curves_of_few_points_are_warned_of_and_extrapolation_is_marked(fits_page, tables):
    text = text_of(fits_page)
    warning = text.index(f"Few points. {', '.join(CURVES)}: 4 points leave 2 degrees of freedom")
    assert warning < text.index("Claims and verdicts"), "nobody has to look for it"
    marked = [tag for tag, attributes in fits_page.tags if attributes.get("class") == "warning"]
    assert marked == ["p", "p"]
    place = text.index("Not measured. These are the fits of this study carried to sizes that it has not seen")
    assert place < text.index("Extrapolation, not measurement")
    far = tables["forecast"].query("name == 'opt-30b' and quantity == 'count'")
    assert set(far["reach"]) == {"far"}
    for row in far.to_dict("records"):
        assert rows_with(fits_page, row["curve"], row["criterion"], "opt-30b", "1,376,256", "far"), row


def test_the_checklist_of_every_fit_is_on_the_page_and_what_is_refused_with_its_reason(fits_page, results):
    known = read_json(results / "tables" / "fits.json")
    text = text_of(fits_page)
    assert len(known["fits"]) > 6
    assert known["refused"], "the sample must have a fit that is refused"
    for fit in known["fits"]:
        assert f"{fit['curve']}, {fit['criterion']}, {fit['quantity']}" in text
    for one in known["refused"]:
        assert rows_with(fits_page, one["curve"], one["criterion"], one["quantity"], one["reason"])
    assert len(rows_with(fits_page, "uncertainty", "degrees of freedom", "2")) == len(
        [fit for fit in known["fits"] if fit["uncertainty"]["points"] == 4]
    )


def test_a_fit_that_lacks_an_entry_stops_the_report_and_is_named(results, tmp_path):
    copy = tmp_path / "results"
    shutil.copytree(results, copy)
    for page in (copy / "report").iterdir():
        page.unlink()
    known = read_json(copy / "tables" / "fits.json")
    del known["fits"][1]["uncertainty"]["degrees_of_freedom"]
    write_json(copy / "tables" / "fits.json", known)
    with pytest.raises(StudyError, match=r"a fit must report fits\.1\.uncertainty\.degrees_of_freedom: Field required"):
        write_report(copy, copy / "report", {})
    known = read_json(results / "tables" / "fits.json")
    left_out = known["fits"].pop(2)
    write_json(copy / "tables" / "fits.json", known)
    name = ", ".join(left_out[key] for key in ("curve", "criterion", "quantity"))
    with pytest.raises(StudyError, match=rf"fits\.json: the fit of {name} is missing"):
        write_report(copy, copy / "report", {})
    assert not list((copy / "report").iterdir())
