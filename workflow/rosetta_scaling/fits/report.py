"""Everything that is known about every fit, put together for fits.json: see checklist.py for what must be there."""

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm

from rosetta_scaling.config.study import Study
from rosetta_scaling.fits.checklist import UNKNOWN
from rosetta_scaling.fits.counts import ABSCISSAE
from rosetta_scaling.numerics.limits import MINIMUM_RUNGS
from rosetta_scaling.power_laws.estimators import few_points_warning
from rosetta_scaling.power_laws.rivals import FORMS
from rosetta_scaling.schemas.nulls import NULLS

KEYS = ["curve", "criterion", "quantity"]
PACKAGES = ("numpy", "scipy", "statsmodels", "pandas")
MEANING = {
    "count": "Rosetta neurons of the anchor",
    "excess": "Rosetta neurons of the anchor, less the largest of the means of its nulls",
    "calibrated_05": "Rosetta neurons of the anchor that survive a false-discovery rate of 5%",
    "corrected": "shared neurons of the anchor above an r at which half of the planted pairs win at every point",
}
SAME_TOKENS = (
    "every network is trained on the same number of tokens, so tokens per parameter fall with size; depth, width and "
    "learning rate change with size too"
)
OTHER_TOKENS = "training tokens differ between networks or are not known; depth and width change with size too"
SAME_CORPUS = (
    "all networks are trained on the same corpus; those of one family, whatever their size, on the same tokens in the "
    "same order"
)
SHARED_SEEDS = (
    "points of a curve share no network, but all sizes of a family have its seed, its tokenizer and its order of the "
    "text; curves that have a family in common share its networks"
)

UNITS = {
    "text": "units are spans of text between token boundaries that all tokenizers share",
    "image": "units are patches of a common grid, to which activations are resampled bilinearly; no tokenizers",
}


@dataclass(frozen=True)
class FitFacts:
    """What a report of fits says that stands in no table."""

    corpus_sha256: str
    units: int  # the most that any two networks were compared on
    trained_here: frozenset[str]  # models
    reproduce: str  # the command that makes the study again


@dataclass(frozen=True)
class Fitted:
    """One fit with everything that its report is made from."""

    study: Study
    facts: FitFacts
    models: pd.DataFrame  # one row per model, by name
    fits: pd.DataFrame  # all fits of the study
    fit: dict[str, Any]  # the row of the fit
    tables: Mapping[str, pd.DataFrame]  # the rows of its curve and criterion, of the other tables that have these

    @property
    def quantity(self) -> str:
        return str(self.fit["quantity"])

    @property
    def points(self) -> pd.DataFrame:
        """The rows of counts that are fitted: those where the quantity is positive."""
        counts = self.tables["counts"]
        return counts[counts[self.quantity] > 0]

    @property
    def members(self) -> list[str]:
        """The models of all points that are fitted."""
        return list(dict.fromkeys(model for row in self.points.models for model in row.split()))

    @property
    def is_trained_here(self) -> bool:
        return self.facts.trained_here.issuperset(self.members)


def report_fits(study: Study, tables: Mapping[str, pd.DataFrame], facts: FitFacts) -> dict:
    """The content of fits.json: every fit of the judged criteria, and those that are refused with the reason.

    `tables` has the FIT_TABLES, counts, models and snapshots.
    """
    every = tables["fits"]
    fits = every[(every.x == "neurons") & every.criterion.isin(study.judged) & every.quantity.isin(MEANING)]
    models, done = tables["models"].set_index("model"), fits.alpha.notna()
    reports = []
    for fit in fits[done].to_dict("records"):
        own = {name: rows_of_fit(table, fit) for name, table in tables.items() if set(KEYS[:2]) <= set(table)}
        reports.append(report_fit(Fitted(study, facts, models, every, fit, own)))
    refused = [fit_keys(fit) | {"reason": refusal(fit)} for fit in fits[~done].to_dict("records")]
    return {"fits": reports, "refused": refused}


def fit_keys(fit: dict) -> dict[str, str]:
    """Curve, criterion and quantity of a fit as words: a csv makes numbers of names that are digits."""
    return {key: str(fit[key]) for key in KEYS}


def refusal(fit: dict) -> str:
    """Why there is no fit."""
    few = f"{fit['points']} points are positive and a fit needs {MINIMUM_RUNGS}"
    return "; ".join(filter(None, [few if fit["points"] < MINIMUM_RUNGS else "", fit["note"]]))


def report_fit(one: Fitted) -> dict:
    """One FitReport."""
    return {
        **fit_keys(one.fit),
        "form": form_block(one),
        "data": data_block(one),
        "estimation": estimation_block(one),
        "uncertainty": uncertainty_block(one),
        "adequacy": adequacy_block(one),
        "claim": claim_block(one),
    }


def rows_of_fit(table: pd.DataFrame, fit: dict) -> pd.DataFrame:
    """The rows of a table that belong to a curve, a criterion, and a quantity where it has that column."""
    keys = [key for key in KEYS if key in table]
    return table[(table[keys] == pd.Series({key: fit[key] for key in keys})).all(axis=1)]


def listed_rows(table: pd.DataFrame, why: str = "the study has none") -> list[dict]:
    """The rows without the columns that say which fit they are of; what is missing is said in words."""
    rows = table.drop(columns=KEYS, errors="ignore").to_dict("records")
    cleaned = [{key: value_or_reason(value) for key, value in row.items() if value != ""} for row in rows]
    return cleaned or [{"none": UNKNOWN + why}]


def value_or_reason(value: Any, why: str = "it is not defined here") -> Any:
    """The value, or the sentence that says that it is missing."""
    if isinstance(value, np.generic):
        value = value.item()
    return UNKNOWN + why if pd.isna(value) or value in (np.inf, -np.inf) else value


def value_in_words(value: Any, why: str = "it is not defined here") -> str:
    """The same for a sentence: 800768.0, which a csv with missing values makes of 800768, is written as 800768."""
    value = value_or_reason(value, why)
    return value if isinstance(value, str) else f"{value:.15g}"


def form_block(one: Fitted) -> dict:
    others = "every other model" if len(one.study.curves[one.fit["curve"]]) > 2 else "the other model"
    return {
        "equation": "y = c * x**alpha",
        "error_model": "ln y scatters around the line with one variance, independently at every point",
        "x": "neurons: MLP neurons of a model, mean over the models of a point; nothing of the embeddings",
        "y": f"{MEANING[one.quantity]}, matched in {others} of the point by the criterion {one.fit['criterion']}",
        "log_base": "e",
        "why": "the paper claims it; the rivals are fitted beside it",
        "rivals": [form for form in FORMS if form != "power law"],
    }


def data_block(one: Fitted) -> dict:
    points, quantity = one.points, one.quantity
    rest = one.tables["counts"].drop(points.index)
    left_out = [
        f"{point}: {quantity} is {value_in_words(value)}"
        for point, value in zip(rest.point, rest[quantity], strict=True)
    ]
    tokens = one.models.training_tokens.reindex(one.members)
    same_tokens = len(set(tokens.dropna())) == 1 and tokens.notna().all()
    elsewhere = UNKNOWN + "the training data of networks that were not trained here"
    unknown_seeds = UNKNOWN + "whether networks that were not trained here share seeds or data order"
    return {
        "points": [point_data(one, row) for row in points.to_dict("records")],
        "corpus_sha256": one.facts.corpus_sha256,
        "units": one.facts.units,
        "decades": np.log10(points.neurons.max() / points.neurons.min()),
        "exclusions": left_out or ["none"],
        "confounds": SAME_TOKENS if same_tokens else OTHER_TOKENS,
        "tokenizers": f"{UNITS[one.study.modality]} (scope: {one.study.units.scope})",
        "training_data": SAME_CORPUS if one.is_trained_here else elsewhere,
        "independence": SHARED_SEEDS if one.is_trained_here else unknown_seeds,
    }


def point_data(one: Fitted, row: dict) -> dict:
    """One PointData; `row` is that of the point in counts."""
    members, snapshots = row["models"].split(), one.tables["snapshots"]
    by_units = snapshots[(snapshots.point == row["point"]) & ~snapshots.extrapolated]

    def of_members(column: str) -> list[str]:
        return [f"{model}: {value_in_words(one.models[column][model], 'not trained here')}" for model in members]

    return {
        "point": str(row["point"]),
        "models": members,
        "weights_sha256": [one.models.sha256[model] for model in members],
        "neurons": row["neurons"],
        "seeds": of_members("seed"),
        "training_tokens": of_members("training_tokens"),
        "count": row[one.quantity],
        "denominator": int(row["anchor_neurons"]),
        "nulls": {null: value_or_reason(row[f"null_{null}"], "no draw can tell") for null in (*NULLS, "iid")},
        "count_against_units": listed_rows(by_units[["units", "count"]]),
    }


def estimation_block(one: Fitted) -> dict:
    line = sm.OLS(np.log(one.points[one.quantity]), sm.add_constant(np.log(one.points.neurons))).fit()
    return {
        "objective": "least squares of ln y on ln x",
        "weights": "equal; see the estimators beside it for others",
        "optimiser": "closed form: no starts, tolerances or bounds",
        "status": "exact solution",
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "seed": one.study.fits.seed,
        "alpha": one.fit["alpha"],
        "log_c": float(np.log(one.fit["c"])),
        "covariance": line.cov_params().to_numpy().tolist(),
    }


def sensitivity_rows(one: Fitted) -> list[dict]:
    """Exponents of the curve by every other criterion, quantity, abscissa, and estimator."""
    same_curve = one.fits[(one.fits.curve == one.fit["curve"]) & one.fits.quantity.isin(MEANING)]
    rows = same_curve[["criterion", "quantity", "x", "alpha", "low", "high"]].assign(estimator="ols").to_dict("records")
    estimators = one.tables["estimators"][["criterion", "quantity", "alpha", "low", "high", "estimator"]]
    rows += estimators.assign(x="neurons").to_dict("records")
    return [{key: value_or_reason(value, "no fit") for key, value in row.items()} for row in rows]


def uncertainty_block(one: Fitted) -> dict:
    fit, spread, points = one.fit, one.tables["uncertainty"].iloc[0], int(one.fit["points"])
    return {
        "method": "Student's t; the replicate is the point (a pair or triple of networks), never the neuron",
        "confidence": one.study.polarization.confidence,
        "points": points,
        "degrees_of_freedom": points - 2,
        "warning": few_points_warning(points) or "none",
        "alpha": [value_or_reason(fit[end], fit["note"] or "it is not defined here") for end in ("low", "high")],
        "model_sd": value_or_reason(spread.model_sd),
        "documents_sd": value_or_reason(spread.documents_sd, "documents are resampled for counts only"),
        "nulls_sd": value_or_reason(spread.nulls_sd, "only the excess depends on the draws of nulls"),
        "seeds_sd": value_or_reason(spread.seeds_sd, "no other curve differs from this one in its seeds only"),
        "sensitivity": sensitivity_rows(one),
        "coverage": listed_rows(one.tables["coverage"], "coverage is simulated for counts only"),
    }


def adequacy_block(one: Fitted) -> dict:
    fit, points, rivals = one.fit, one.points, one.tables["rivals"]
    expected = np.log(fit["c"]) + fit["alpha"] * np.log(points.neurons)
    return {
        "residuals": listed_rows(points[["point"]].assign(residual=np.log(points[one.quantity]) - expected)),
        "curvature": listed_rows(rivals[rivals.form == "quadratic"][["form", "curvature", "low", "high"]]),
        "influence": listed_rows(one.tables["influence"]),
        "rivals": listed_rows(rivals.drop(columns=["curvature", "low", "high"])),
        "largest_rung": listed_rows(rivals[["form", "largest"]]),
        "r2": value_or_reason(fit["r2"], "all counts are equal"),
    }


def claim_block(one: Fitted) -> dict:
    sizes = one.tables["fits"][["x", "alpha", "geometric", "p_sublinear"]]
    sizes = sizes.set_index("x").reindex([x for x in ABSCISSAE if x in set(sizes.x)]).reset_index()
    neurons = one.points.neurons
    return {
        "below_proportional": listed_rows(sizes),
        "range_of_validity": f"{neurons.min():g} to {neurons.max():g} neurons; anything beyond is extrapolation",
        "fixed_beforehand": f"the criteria {', '.join(one.study.judged)}, the abscissa neurons, ordinary least "
        "squares of the logarithms, and the rules of the verdicts",
        "explored": "every other criterion, quantity, abscissa and estimator in `sensitivity`",
        "reproduce": one.facts.reproduce,
    }
