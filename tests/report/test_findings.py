"""The page of findings says what is committed of the last run of the study `ladder`."""

import shutil
from math import inf

import pandas as pd
import pytest

from rosetta_scaling.claims.verdicts import Claim
from rosetta_scaling.report import findings
from rosetta_scaling.report.findings import DOCS, IMAGES, NUMBERS, PAGE, what_would_change
from rosetta_scaling.store.tables import read_json


def test_the_page_of_findings_is_current_and_its_figures_are_drawn(tmp_path):
    for name in (PAGE, NUMBERS):
        shutil.copy(DOCS / name, tmp_path)
    findings.main([], tmp_path)
    current = "run python -m rosetta_scaling.report.findings"
    assert (tmp_path / PAGE).read_text() == (DOCS / PAGE).read_text(), current
    drawn = {path.name for path in (tmp_path / IMAGES).iterdir()}
    assert drawn == {"main-claims.svg", "shares.svg"}
    assert all((DOCS / IMAGES / name).is_file() and f"{IMAGES}/{name}" in (DOCS / PAGE).read_text() for name in drawn)


def test_the_power_of_every_main_claim_is_that_of_its_operating_characteristics():
    found = read_json(DOCS / NUMBERS)
    power = pd.DataFrame(found["power"])
    supported = power[power.truth == "paper"].set_index("claim").supported.to_dict()
    assert supported == {entry["claim"]: entry["power"] for entry in found["claims"]}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"verdict": "supported"}, "a study in which the interval, here 0.30 [0.25, 0.35], is not all above 0.20."),
        (
            {"verdict": "not supported", "threshold": (0.4, 0.8)},
            "a study in which the interval, here 0.30 [0.25, 0.35], is too wide to exclude an effect that matters "
            "(*inconclusive*) or all between 0.40 and 0.80 (*supported*).",
        ),
        (
            {"verdict": "inconclusive", "reason": "null", "needs": "another one", "null": 1.0, "null_name": "of noise"},
            "another one (of noise 1.00 beside 0.30).",
        ),
        (
            {"verdict": "inconclusive", "reason": "power", "needs": "twice as many networks", "power": 0.24},
            "twice as many networks; the paper's effect would be supported in 24% of such studies.",
        ),
    ],
)
def test_what_would_change_a_conclusion_follows_from_the_claim(fields, words):
    values = {"effect": 0.3, "effect_low": 0.25, "effect_high": 0.35, "effect_name": "slope", "threshold": (0.2, inf)}
    claim = Claim(words="x", source="x", statistic="x", sentence="x", **values | fields)
    assert what_would_change(claim) == words
