"""The tables of the report, as formatted cells for the template: see report.py."""

from collections.abc import Callable, Mapping

import pandas as pd

from rosetta_scaling.claims.verdicts import Claim
from rosetta_scaling.config.study import NULLS
from rosetta_scaling.formatting import data_size, duration, fixed, interval, number, percent
from rosetta_scaling.report.figures.data import anchor_rows

QUANTITIES = {
    "count": "Rosetta neurons",
    "excess": "excess over the largest null",
    "null_shift": "null: shifted units",
    "null_permute": "null: permuted units",
    "null_gaussian": "null: Gaussian units",
    "null_rotate": "null: rotated neurons",
    "null_rotate_raw": "null: rotated raw neurons",
    "null_untrained": "null: untrained networks",
    "null_iid": "null: independent noise",
    "calibrated_05": "calibrated, FDR 5%",
    "calibrated_01": "calibrated, FDR 1%",
    "equal_n_count": "at equal n",
    "equal_n_null": "at equal n, rotated neurons",
    "effect": "effect as measured",
    "adjusted": "effect, adjusted",
    "difference": "difference of the medians",
    "mean": "Rosetta neurons",
    "mean_others": "other neurons",
    "median_rosetta": "median, Rosetta neurons",
    "median_others": "median, other neurons",
}
EFFECTS, MEDIANS = ("effect", "adjusted"), ("median_rosetta", "median_others", "difference")
SIZES = {
    "neurons": "against neurons",
    "parameters": "against parameters",
    "non_embedding_parameters": "against parameters without embeddings",
    "hidden_size": "against width",
    "training_flops": "against training compute",
}


def cells(frame: pd.DataFrame, columns: Mapping[str, str | Callable]) -> dict:
    """A table for the template. A column given by name is text; one given by a function of the row is a number."""
    rows = frame.to_dict("records")
    return {
        "columns": [(header, callable(source)) for header, source in columns.items()],
        "rows": [[c(row) if callable(c) else f"{row[c]}" for c in columns.values()] for row in rows],
    }


def pairs(values: Mapping) -> dict:
    """A two-column table of a dictionary."""
    shown = {k: number(v) if isinstance(v, int | float) and not isinstance(v, bool) else v for k, v in values.items()}
    return {"columns": [("what", False), ("value", False)], "rows": list(shown.items())}


def table_cells(tables: dict[str, pd.DataFrame], provenance: dict) -> dict[str, dict]:
    """Every table of the page by the name the template knows it under."""
    counts, fits, trends = tables["counts"], tables["fits"], tables["trends"]
    metrics = trends[trends["table"] == "polarization"]
    effects, medians = (metrics[metrics["quantity"].isin(some)] for some in (EFFECTS, MEDIANS))
    main = counts["criterion"].iloc[0]
    return {
        "counts": counts_cells(counts[counts["criterion"] == main], {"curve": "curve"}),
        "counts_others": counts_cells(
            counts[counts["criterion"] != main], {"curve": "curve", "criterion": "criterion"}
        ),
        "decomposition": decomposition_cells(tables["decomposition"]),
        "stability": stability_cells(counts[counts["criterion"] == main], {"curve": "curve"}),
        "stability_others": stability_cells(
            counts[counts["criterion"] != main], {"curve": "curve", "criterion": "criterion"}
        ),
        "seeds": seeds_cells(tables["seeds"][tables["seeds"]["criterion"] == main]),
        "fits": fits_cells(fits[fits["criterion"] == main], {"curve": "curve"}),
        "fits_others": fits_cells(fits[fits["criterion"] != main], {"curve": "curve", "criterion": "criterion"}),
        "trends": trends_cells(effects, "metric"),
        "trends_medians": trends_cells(medians[medians["set"] == trends["set"].iloc[0]], "metric"),
        "trends_specialisation": trends_cells(trends[trends["table"] == "specialisation"], "domain"),
        "trends_families": trends_cells(trends[trends["table"] == "families"], "family"),
        "polarization": polarization_cells(anchor_rows(tables["polarization"])),
        "specialisation": mean_cells(anchor_rows(tables["specialisation"]), "domain", fixed),
        "families": mean_cells(anchor_rows(tables["families"]), "family", percent),
        "diagonal": diagonal_cells(tables["diagonal"]),
        "judge": judge_cells(tables["judge"]),
        "models": models_cells(tables["models"]),
        "audit": audit_cells(tables["audit"]),
        **provenance_cells(provenance),
    }


def counts_cells(counts: pd.DataFrame, first: dict[str, str]) -> dict:
    """Counts with all nulls beside each, and the excess over the largest."""

    def null(name: str) -> Callable:
        return lambda r: interval(r, f"null_{name}", f"null_{name}_low", f"null_{name}_high", number)

    columns = first | {
        "point": "point",
        "anchor": "anchor",
        "neurons": lambda r: number(r["neurons"]),
        "Rosetta neurons": lambda r: number(r["count"]),
        **{f"null: {name.replace('_', ' ')}": null(name) for name in NULLS},
        "null: iid": lambda r: number(r["null_iid"]),
        "excess": lambda r: number(r["excess"]),
        "share of anchor": lambda r: percent(r["fraction"]),
        "mean r": lambda r: fixed(r["mean_r"]),
        "constant neurons": lambda r: number(r["constant_neurons"]),
    }
    return cells(counts, columns)


def stability_cells(counts: pd.DataFrame, first: dict[str, str]) -> dict:
    """Interval, calibrated counts, split halves and counts at equal n."""
    columns = first | {
        "point": "point",
        "Rosetta neurons": lambda r: interval(r, "count", "count_low", "count_high", number),
        "FDR 5%": lambda r: number(r["calibrated_05"]),
        "largest null there": lambda r: number(r["calibrated_05_null"]),
        "FDR 1%": lambda r: number(r["calibrated_01"]),
        "closer than own": lambda r: number(r["closer_than_own"]),
        "split-half Jaccard": lambda r: fixed(r["splithalf_jaccard"]),
        "held-out r": lambda r: fixed(r["splithalf_r"]),
        "mean r": lambda r: fixed(r["mean_r"]),
        "at equal n": lambda r: f"{number(r['equal_n_count'])} of {number(r['equal_n'])}",
        "rotated, at equal n": lambda r: number(r["equal_n_null"]),
    }
    return cells(counts, columns)


def decomposition_cells(table: pd.DataFrame) -> dict:
    def share(name: str) -> Callable:
        return lambda r: f"{number(r[name])} ({percent(r[f'{name}_share'])})"

    columns = {
        "curve": "curve",
        "point": "point",
        "Rosetta neurons": lambda r: number(r["count"]),
        "chance": share("chance"),
        "shared subspace": share("subspace"),
        "shared neurons": share("neurons"),
        "their interval": lambda r: f"[{number(r['neurons_low'])}, {number(r['neurons_high'])}]",
    }
    return cells(table, columns)


def seeds_cells(seeds: pd.DataFrame) -> dict:
    columns = {"architectures": "architectures", "point": "point", "curves": "curves"} | {
        "mean count": lambda r: number(r["mean"]),
        "standard deviation": lambda r: number(r["deviation"]),
    }
    return cells(seeds, columns)


def fits_cells(fits: pd.DataFrame, first: dict[str, str]) -> dict:
    """One row per curve, criterion and quantity; one column per notion of size."""
    rows = []
    for (curve, criterion, quantity), group in fits.groupby(["curve", "criterion", "quantity"], sort=False):
        exponents = {row["x"]: exponent(row) for row in group.to_dict("records")}
        row = {"curve": curve, "criterion": criterion, "quantity": QUANTITIES.get(quantity, quantity)}
        rows.append(row | {x: exponents.get(x, "not fitted") for x in SIZES})
    columns = {"what": "quantity"} | {header: x for x, header in SIZES.items()}
    return cells(pd.DataFrame(rows), first | columns)


def exponent(row: Mapping) -> str:
    """The exponent with interval, R2 and number of points, or why there is none; then the note, if any."""
    note = "" if pd.isna(row["note"]) else f"; {row['note']}"
    if pd.isna(row["alpha"]):
        return f"no fit (n = {number(row['points'])}){note}"
    quality = f"R\N{SUPERSCRIPT TWO} {fixed(row['r2'])}, n = {number(row['points'])}"
    return f"{interval(row, 'alpha', 'low', 'high')}\n{quality}{note}"


def trends_cells(trends: pd.DataFrame, of: str) -> dict:
    columns = {
        of: "of",
        "what": "words",
        "set": "set",
        "curve": "curve",
        "slope per decade": lambda r: interval(r, "slope", "low", "high", number),
        "placebo": lambda r: f"[{number(r['placebo_low'])}, {number(r['placebo_high'])}]",
        "points": lambda r: number(r["points"]),
    }
    return cells(trends.assign(words=trends["quantity"].map(lambda q: QUANTITIES.get(q, q))), columns)


def polarization_cells(polarization: pd.DataFrame) -> dict:
    columns = {
        "metric": "metric",
        "curve": "curve",
        "point": "point",
        "model": "model",
        "neurons": lambda r: number(r["neurons"]),
        "Rosetta": lambda r: number(r["rosetta"]),
        "others": lambda r: number(r["others"]),
        "median, Rosetta": lambda r: number(r["median_rosetta"]),
        "median, others": lambda r: number(r["median_others"]),
        "difference": lambda r: interval(r, "difference", "difference_low", "difference_high", number),
        "effect": lambda r: interval(r, "effect", "low", "high"),
        "placebo": lambda r: interval(r, "placebo", "placebo_low", "placebo_high"),
        "effect, adjusted": lambda r: interval(r, "adjusted", "adjusted_low", "adjusted_high"),
        "effective others": lambda r: number(r["effective_others"]),
        "imbalance before, after": lambda r: f"{fixed(r['imbalance_before'])}, {fixed(r['imbalance'])}",
        "alike": lambda r: "yes" if r["balanced"] else "no",
    }
    return cells(polarization, columns)


def mean_cells(rows: pd.DataFrame, key: str, form: Callable) -> dict:
    columns = {
        key: key,
        "curve": "curve",
        "point": "point",
        "Rosetta": lambda r: number(r["rosetta"]),
        "Rosetta neurons": lambda r: interval(r, "mean", "low", "high", form),
        "other neurons": lambda r: form(r["mean_others"]),
        "placebo": lambda r: interval(r, "placebo", "placebo_low", "placebo_high", form),
    }
    return cells(rows, columns)


def diagonal_cells(diagonal: pd.DataFrame) -> dict:
    columns = {
        "curve": "curve",
        "point": "point",
        "models": "models",
        "matches": lambda r: number(r["matches"]),
        "at the same depth": lambda r: interval(r, "share", "low", "high"),
        "partners dealt anew": lambda r: fixed(r["expected"]),
        "rotated neurons": lambda r: interval(r, "rotated", "rotated_low", "rotated_high"),
    }
    return cells(diagonal.assign(models=diagonal["model_a"] + ", " + diagonal["model_b"]), columns)


def judge_cells(judge: pd.DataFrame) -> dict:
    columns = {
        "curve": "curve",
        "point": "point",
        "neurons": "group",
        "what": "measure",
        "judged": lambda r: number(r["neurons"]),
        "answered": lambda r: percent(r["answered"]),
        "mean": lambda r: interval(r, "mean", "low", "high"),
        "chance": lambda r: fixed(r["chance"]),
    }
    return cells(judge, columns)


def verdict_cells(claims: list[Claim]) -> dict:
    """Verdicts by metric, one column per kind of claim."""
    rows = [(claim.metric, claim.column, claim.verdict) for claim in claims]
    table = pd.DataFrame(rows, columns=["metric", "column", "verdict"])
    columns = list(dict.fromkeys(table["column"]))
    wide = table.pivot_table(index="metric", columns="column", values="verdict", aggfunc="first", sort=False)
    return cells(wide.reset_index(), {"metric": "metric"} | {name: name for name in columns})


def audit_cells(audit: pd.DataFrame) -> dict:
    """What the weights of every two networks that are matched have in common."""
    columns = {"network": "a", "and": "b"} | {
        "identical weights": lambda r: percent(r["identical_share"]),
        "cosine of MLPs": lambda r: fixed(r["mlp"]),
        "at any places": lambda r: fixed(r["anywhere"]),
        "reordered": lambda r: fixed(r["reordered"]),
        "cosine of embeddings": lambda r: fixed(r["embeddings"]),
    }
    return cells(audit, columns | {"finding": "verdict"})


def models_cells(models: pd.DataFrame) -> dict:
    columns = {
        "model": "model",
        "architecture": "architecture",
        "origin": "origin",
        "parameters": lambda r: number(r["parameters"]),
        "without embeddings": lambda r: number(r["non_embedding_parameters"]),
        "neurons": lambda r: number(r["neurons"]),
        "layers \N{MULTIPLICATION SIGN} width": lambda r: f"{r['layers']} \N{MULTIPLICATION SIGN} {r['hidden_size']:,}",
        "nats per token": lambda r: fixed(r["validation_loss"], 3),
        "bits per byte": lambda r: fixed(r["validation_bits_per_byte"], 3),
        "vocabulary": lambda r: number(r["vocabulary"]),
        "seed": lambda r: number(r["seed"]),
        "training tokens": lambda r: number(r["training_tokens"]),
        "training time": lambda r: duration(r["train_seconds"]),
        "sha256": "hash",
    }
    return cells(models.assign(hash=models["sha256"].astype(str).str[:12]), columns)


def provenance_cells(provenance: dict) -> dict[str, dict]:
    corpus = provenance["corpus"]
    run = {
        "study": provenance["study"],
        "started": provenance["started"],
        "finished": provenance["finished"],
        "time of all jobs": duration(provenance["seconds"]),
        "memory of the largest job (MB)": provenance["peak_memory_mb"],
        "code, commit": words_of_commit(provenance["code"]),
        "configuration, sha256": provenance["configuration_sha256"],
        "corpus, sha256": corpus["sha256"],
    }
    domains = pd.DataFrame([{"domain": name} | sizes for name, sizes in corpus["domains"].items()])
    documents = {"documents": lambda r: number(r["documents"]), "size": lambda r: data_size(r["bytes"])}
    steps = {
        "rule": "rule",
        "jobs": lambda r: number(r["jobs"]),
        "time, all jobs": lambda r: duration(r["seconds"]),
        "peak memory (MB)": lambda r: number(r["max_rss_mb"]),
    }
    return {
        "run": pairs(run),
        "versions": pairs(provenance["versions"] | provenance["machine"]),
        "domains": cells(domains, {"domain": "domain"} | documents),
        "steps": cells(pd.DataFrame(provenance["steps"]), steps),
        "files": files_cells(provenance["files"]),
    }


def words_of_commit(code: Mapping) -> str:
    return f"{code['commit'] or 'not known'}{' (with uncommitted changes)' if code['dirty'] else ''}"


def files_cells(files: list[dict]) -> dict:
    columns = {"file": "path", "size": lambda r: data_size(r["bytes"]), "sha256": "sha256"}
    return cells(pd.DataFrame(files), columns)
