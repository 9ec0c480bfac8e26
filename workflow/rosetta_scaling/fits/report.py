"""Everything that is known about every fit, put together for fits.json: see fit_checklist.py for what must be there."""

import importlib.metadata
from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels.api as sm

from rosetta_scaling import WORKFLOW
from rosetta_scaling.config.nulls import NULLS
from rosetta_scaling.fits.checklist import UNKNOWN
from rosetta_scaling.fits.counts import ABSCISSAE
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.numerics.limits import MINIMUM_RUNGS
from rosetta_scaling.power_laws.estimators import few_points_warning
from rosetta_scaling.power_laws.rivals import FORMS
from rosetta_scaling.store.tables import read_json, read_table

KEYS = ["curve", "criterion", "quantity"]
PACKAGES = ("numpy", "scipy", "statsmodels", "pandas")
MEANING = {
    "count": "Rosetta neurons of the anchor",
    "excess": "Rosetta neurons of the anchor, less the largest of the means of its nulls",
    "calibrated_05": "Rosetta neurons of the anchor that survive a false-discovery rate of 5%",
}


def report_fits(layout: Layout, folder: Path, tables: dict[str, pd.DataFrame]) -> dict:
    """The content of fits.json: every fit of the judged criteria, and those that are refused with the reason.

    `tables` has the FIT_TABLES; the others are read from `folder`.
    """
    tables = tables | {name: read_table(folder / f"{name}.csv") for name in ("counts", "models", "snapshots")}
    facts = corpus_facts(layout)
    fits = tables["fits"]
    fits = fits[(fits.x == "neurons") & fits.criterion.isin(layout.study.judged) & fits.quantity.isin(MEANING)]
    done = fits.alpha.notna()
    return {
        "fits": [report_fit(layout, tables, facts, fit) for fit in fits[done].to_dict("records")],
        "refused": [
            {key: str(fit[key]) for key in KEYS} | {"reason": refusal(fit)} for fit in fits[~done].to_dict("records")
        ],
    }


def refusal(fit: dict) -> str:
    """Why there is no fit."""
    few = f"{fit['points']} points are positive and a fit needs {MINIMUM_RUNGS}"
    return "; ".join(filter(None, [few if fit["points"] < MINIMUM_RUNGS else "", fit["note"]]))


def corpus_facts(layout: Layout) -> dict:
    corpus = read_json(f"{layout.corpus_dir}/manifest.json")
    scopes = {layout.scope(*pair) for pair in layout.pairs.values()}
    return {"sha256": corpus["sha256"], "units": max(len(read_table(layout.units(scope))) for scope in scopes)}


def report_fit(layout: Layout, tables: dict[str, pd.DataFrame], facts: dict, fit: dict) -> dict:
    """One FitReport."""
    chosen = {name: of_fit(table, fit) for name, table in tables.items() if set(KEYS[:2]) <= set(table)}
    counts = chosen["counts"]
    points = counts[counts[fit["quantity"]] > 0]
    return {
        **{key: str(fit[key]) for key in KEYS},  # a csv makes numbers of names that are digits
        "form": form_block(layout, fit),
        "data": data_block(layout, tables["models"], chosen, facts, fit, points),
        "estimation": estimation_block(layout, fit, points),
        "uncertainty": uncertainty_block(layout, tables, chosen, fit),
        "adequacy": adequacy_block(chosen, fit, points),
        "claim": claim_block(layout, chosen, points),
    }


def of_fit(table: pd.DataFrame, fit: dict) -> pd.DataFrame:
    """The rows of a table that belong to a curve, a criterion, and a quantity where it has that column."""
    keys = [key for key in KEYS if key in table]
    return table[(table[keys] == pd.Series({key: fit[key] for key in keys})).all(axis=1)]


def rows_of(table: pd.DataFrame, why: str = "the study has none") -> list[dict]:
    """The rows without the columns that say which fit they are of; what is missing is said in words."""
    rows = table.drop(columns=KEYS, errors="ignore").to_dict("records")
    cleaned = [{key: known(value) for key, value in row.items() if value != ""} for row in rows]
    return cleaned or [{"none": UNKNOWN + why}]


def known(value, why: str = "it is not defined here"):
    """The value, or the sentence that says that it is missing."""
    if isinstance(value, np.generic):
        value = value.item()
    return UNKNOWN + why if pd.isna(value) or value in (np.inf, -np.inf) else value


def in_words(value, why: str = "it is not defined here") -> str:
    """The same for a sentence: 800768.0, which a csv with missing values makes of 800768, is written as that."""
    value = known(value, why)
    return value if isinstance(value, str) else f"{value:.15g}"


def form_block(layout: Layout, fit: dict) -> dict:
    others = "every other model" if len(layout.study.curves[fit["curve"]]) > 2 else "the other model"
    return {
        "equation": "y = c * x**alpha",
        "error_model": "ln y scatters around the line with one variance, independently at every point",
        "x": "neurons: MLP neurons of a model, mean over the models of a point; nothing of the embeddings",
        "y": f"{MEANING[fit['quantity']]}, matched in {others} of the point by the criterion {fit['criterion']}",
        "log_base": "e",
        "why": "the paper claims it; the rivals are fitted beside it",
        "rivals": [form for form in FORMS if form != "power law"],
    }


def data_block(layout, models, chosen, facts, fit, points) -> dict:
    study, models = layout.study, models.set_index("model")
    rest = chosen["counts"].drop(points.index)
    found = zip(rest.point, rest[fit["quantity"]], strict=True)
    left_out = [f"{point}: {fit['quantity']} is {in_words(value)}" for point, value in found]
    members = list(dict.fromkeys(model for row in points.models for model in row.split()))
    trained = all(layout.is_trained_here(model) for model in members)
    tokens = models.training_tokens.reindex(members)
    return {
        "points": [point_data(models, chosen["snapshots"], row, fit) for row in points.to_dict("records")],
        "corpus_sha256": facts["sha256"],
        "units": facts["units"],
        "decades": np.log10(points.neurons.max() / points.neurons.min()),
        "exclusions": left_out or ["none"],
        "confounds": "every network is trained on the same number of tokens, so tokens per parameter fall with size; "
        "depth, width and learning rate change with size too"
        if len(set(tokens.dropna())) == 1 and tokens.notna().all()
        else "training tokens differ between networks or are not known; depth and width change with size too",
        "tokenizers": f"units are spans of text between token boundaries that all tokenizers share (scope: "
        f"{study.units.scope})",
        "training_data": "all networks are trained on the same corpus; those of one family, whatever their size, on "
        "the same tokens in the same order"
        if trained
        else UNKNOWN + "the training data of networks that were not trained here",
        "independence": "points of a curve share no network, but all sizes of a family have its seed, its tokenizer "
        "and its order of the text; curves that have a family in common share its networks"
        if trained
        else UNKNOWN + "whether networks that were not trained here share seeds or data order",
    }


def point_data(models: pd.DataFrame, snapshots: pd.DataFrame, row: dict, fit: dict) -> dict:
    members = row["models"].split()
    by_units = snapshots[(snapshots.point == row["point"]) & ~snapshots.extrapolated]
    words = {
        key: [f"{m}: {in_words(models[key][m], 'not trained here')}" for m in members]
        for key in ("seed", "training_tokens")
    }
    return {
        "point": str(row["point"]),
        "models": members,
        "weights_sha256": [models.sha256[model] for model in members],
        "neurons": row["neurons"],
        "seeds": words["seed"],
        "training_tokens": words["training_tokens"],
        "count": row[fit["quantity"]],
        "denominator": int(row["anchor_neurons"]),
        "nulls": {null: known(row[f"null_{null}"], "no draw can tell") for null in (*NULLS, "iid")},
        "count_against_units": rows_of(by_units[["units", "count"]]),
    }


def estimation_block(layout: Layout, fit: dict, points: pd.DataFrame) -> dict:
    line = sm.OLS(np.log(points[fit["quantity"]]), sm.add_constant(np.log(points.neurons))).fit()
    return {
        "objective": "least squares of ln y on ln x",
        "weights": "equal; see the estimators beside it for others",
        "optimiser": "closed form: no starts, tolerances or bounds",
        "status": "exact solution",
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "seed": layout.study.fits.seed,
        "alpha": fit["alpha"],
        "log_c": float(np.log(fit["c"])),
        "covariance": line.cov_params().to_numpy().tolist(),
    }


def uncertainty_block(layout: Layout, tables: dict, chosen: dict, fit: dict) -> dict:
    spread = chosen["uncertainty"].iloc[0]
    everywhere = tables["fits"][(tables["fits"].curve == fit["curve"]) & tables["fits"].quantity.isin(MEANING)]
    columns = ["criterion", "quantity", "x", "alpha", "low", "high"]
    sensitivity = everywhere[columns].assign(estimator="ols").to_dict("records")
    sensitivity += (
        chosen["estimators"][["criterion", "quantity", "alpha", "low", "high", "estimator"]]
        .assign(x="neurons")
        .to_dict("records")
    )
    return {
        "method": "Student's t; the replicate is the point (a pair or triple of networks), never the neuron",
        "confidence": layout.study.polarization.confidence,
        "points": int(fit["points"]),
        "degrees_of_freedom": int(fit["points"]) - 2,
        "warning": few_points_warning(int(fit["points"])) or "none",
        "alpha": [known(fit[end], fit["note"] or "it is not defined here") for end in ("low", "high")],
        "model_sd": known(spread.model_sd),
        "documents_sd": known(spread.documents_sd, "documents are resampled for counts only"),
        "nulls_sd": known(spread.nulls_sd, "only the excess depends on the draws of nulls"),
        "seeds_sd": known(spread.seeds_sd, "no other curve differs from this one in its seeds only"),
        "sensitivity": [{key: known(value, "no fit") for key, value in row.items()} for row in sensitivity],
        "coverage": rows_of(chosen["coverage"], "coverage is simulated for counts only"),
    }


def adequacy_block(chosen: dict, fit: dict, points: pd.DataFrame) -> dict:
    expected = np.log(fit["c"]) + fit["alpha"] * np.log(points.neurons)
    rivals = chosen["rivals"]
    return {
        "residuals": rows_of(points[["point"]].assign(residual=np.log(points[fit["quantity"]]) - expected)),
        "curvature": rows_of(rivals[rivals.form == "quadratic"][["form", "curvature", "low", "high"]]),
        "influence": rows_of(chosen["influence"]),
        "rivals": rows_of(rivals.drop(columns=["curvature", "low", "high"])),
        "largest_rung": rows_of(rivals[["form", "largest"]]),
        "r2": known(fit["r2"], "all counts are equal"),
    }


def claim_block(layout: Layout, chosen: dict, points: pd.DataFrame) -> dict:
    name = layout.study.study
    sizes = chosen["fits"][["x", "alpha", "geometric", "p_sublinear"]]
    sizes = sizes.set_index("x").reindex([x for x in ABSCISSAE if x in set(sizes.x)]).reset_index()
    return {
        "below_proportional": rows_of(sizes),
        "range_of_validity": f"{points.neurons.min():g} to {points.neurons.max():g} neurons; anything beyond is "
        "extrapolation",
        "fixed_beforehand": f"the criteria {', '.join(layout.study.judged)}, the abscissa neurons, ordinary least "
        "squares of the logarithms, and the rules of the verdicts",
        "explored": "every other criterion, quantity, abscissa and estimator in `sensitivity`",
        "reproduce": "make study" + (f" STUDY={name}" if (WORKFLOW / "studies" / f"{name}.yaml").is_file() else ""),
    }
