"""The pages of companion studies: at most ten claims first, all others in the table with filters."""

import re
from pathlib import Path

import pytest

from rosetta_scaling import WORKFLOW
from rosetta_scaling.config.parsing import load
from rosetta_scaling.report.pages import write_page
from rosetta_scaling.schemas.names import COMPANION_TITLES
from rosetta_scaling.stages.companion_page import CompanionPage, companion_provenance, page_content
from rosetta_scaling.store.tables import write_json

CLAIM = {"source": "s", "verdict": "inconclusive", "statistic": "1", "sentence": "It falls.", "caveat": "Not much."}


def html_of(folder: Path, name: str, claims: list[dict], figures: list[str]) -> str:
    (folder / "figures").mkdir()
    for figure in figures:
        (folder / "figures" / f"{figure}.svg").write_text("<svg></svg>")
    write_json(folder / "tables" / "claims.json", {"claims": claims})
    companion = CompanionPage(
        name=name,
        study="sample",
        settings=getattr(load(WORKFLOW.parent / "config.yaml").companions, name),
        tables=[str(folder / "tables")],
        figures=folder / "figures",
        provenance=folder / "provenance.json",
        page=folder / "page.html",
    )
    write_page(f"{name}.html.j2", companion.page, page_content(companion, companion_provenance(companion)))
    return companion.page.read_text()


@pytest.mark.parametrize("name", COMPANION_TITLES)
@pytest.mark.parametrize("main", [0, 3])
def test_a_companion_shows_its_main_claims_first_and_the_others_in_a_table(tmp_path, name, main):
    claims = [CLAIM | {"claim": f"Claim {i}"} | ({"main": True} if i < main else {}) for i in range(13)]
    captions = sorted(path.stem for path in (WORKFLOW / "report" / "captions" / name).glob("*.rst"))
    html = html_of(tmp_path, name, claims, captions + (["main_claims"] if main else []))
    shown = re.findall(r'<article class="claim">.*?<strong>(.*?)</strong>', html, re.DOTALL)
    assert shown == [f"Claim {i}" for i in range(main or 10)]
    assert html.count("<tr data-verdict") == 13 - len(shown)
    assert "Of 13 claims, 0 supported, 0 not supported and 13 inconclusive." in html
    assert html.count("Caveat: Not much.") == 13
    assert ('id="figure-main_claims"' in html) == bool(main)
    if main:
        assert html.index('id="figure-main_claims"') < html.index("<main>")
