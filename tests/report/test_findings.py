"""The page of findings says what is committed of the last run of the default study."""

from rosetta_scaling.report.findings import NUMBERS, PAGE, filled
from rosetta_scaling.store.tables import read_json


def test_the_page_of_findings_is_current():
    page = PAGE.read_text(encoding="utf-8")
    assert filled(page, read_json(NUMBERS)) == page, "run python -m rosetta_scaling.report.findings"
