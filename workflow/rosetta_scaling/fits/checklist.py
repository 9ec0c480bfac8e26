"""What a fit must report to be trusted: the schema of fits.json. A missing entry is an error, here and in the report.

The blocks follow the checklists of (Mis)Fitting Scaling Laws (Li, Kudugunta and Zettlemoyer 2025, arXiv 2502.18969) and
of the fitting literature it reviews. What a study cannot know is written down as a sentence that begins with
"not measured:", never left out.
"""

import math
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json, write_json

UNKNOWN = "not measured: "


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("is not a number; say why with 'not measured: ...'")
    return value


def _reason(value: str) -> str:
    if not value.startswith(UNKNOWN):
        raise ValueError(f"is {value!r}; expected a number, or a sentence that begins with {UNKNOWN!r}")
    return _words(value)


def _words(value: str) -> str:
    if value.strip() in ("", UNKNOWN.strip()):
        raise ValueError(f"is {value!r}; say what it is, or why it was not measured")
    return value


Words = Annotated[str, AfterValidator(_words)]
Number = Annotated[float, AfterValidator(_finite)]
Measured = Number | Annotated[str, AfterValidator(_reason)]
Interval = Annotated[list[Measured], Field(min_length=2, max_length=2)]
Listed = Annotated[list[Words], Field(min_length=1)]
Row = Annotated[dict[str, int | Measured | bool | Words], Field(min_length=1)]
Table = Annotated[list[Row], Field(min_length=1)]


class Block(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Form(Block):
    equation: Words
    error_model: Words
    x: Words
    y: Words
    log_base: Words
    why: Words
    rivals: Listed


class PointData(Block):
    """One point of the curve."""

    point: Words
    models: Listed
    weights_sha256: Listed
    neurons: Number
    seeds: Listed
    training_tokens: Listed
    count: Number
    denominator: int
    nulls: Annotated[dict[str, Measured], Field(min_length=1)]
    count_against_units: Table


class Data(Block):
    points: Annotated[list[PointData], Field(min_length=3)]
    corpus_sha256: Words
    units: int
    decades: Number
    exclusions: Listed
    confounds: Words
    tokenizers: Words
    training_data: Words
    independence: Words


class Estimation(Block):
    objective: Words
    weights: Words
    optimiser: Words
    status: Words
    versions: Annotated[dict[str, Words], Field(min_length=1)]
    seed: int
    alpha: Number
    log_c: Number
    covariance: Annotated[list[list[Number]], Field(min_length=2, max_length=2)]


class Uncertainty(Block):
    method: Words
    confidence: Number
    points: int
    degrees_of_freedom: int
    warning: Words
    alpha: Interval
    model_sd: Measured
    documents_sd: Measured
    nulls_sd: Measured
    seeds_sd: Measured
    sensitivity: Table
    coverage: Table


class Adequacy(Block):
    residuals: Table
    curvature: Table
    influence: Table
    rivals: Table
    largest_rung: Table
    r2: Measured


class Claimed(Block):
    below_proportional: Table
    range_of_validity: Words
    fixed_beforehand: Words
    explored: Words
    reproduce: Words


class FitReport(Block):
    curve: Words
    criterion: Words
    quantity: Words
    form: Form
    data: Data
    estimation: Estimation
    uncertainty: Uncertainty
    adequacy: Adequacy
    claim: Claimed


class Refused(Block):
    """A fit that could not be made, and why."""

    curve: Words
    criterion: Words
    quantity: Words
    reason: Words


class Fits(Block):
    fits: list[FitReport]
    refused: list[Refused]

    @model_validator(mode="after")
    def _of_something(self):
        if not self.fits and not self.refused:
            raise ValueError("fits or refused: every curve has a fit, or a reason why it has none")
        return self


def write_checked(path: str | Path, values: dict) -> None:
    """Write fits.json. Raises StudyError that names what is missing."""
    write_json(path, _check(values, path).model_dump(mode="json"))


def read_checked(path: str | Path) -> Fits:
    """Read fits.json. Raises StudyError that names what is missing."""
    return _check(read_json(path), path)


def _check(values: dict, path: str | Path) -> Fits:
    try:
        return Fits.model_validate(values)
    except ValidationError as error:
        faults = sorted({".".join(map(str, fault["loc"])) + ": " + fault["msg"] for fault in error.errors()})
        more = f", and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise StudyError(f"{path}: a fit must report {'; '.join(faults[:5])}{more}") from None
