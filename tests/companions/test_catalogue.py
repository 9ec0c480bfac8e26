"""What all companion studies have in common: the figure of their main claims."""

import pytest
from matplotlib.figure import Figure

from rosetta_scaling.companions import catalogue
from rosetta_scaling.store.tables import read_table, write_json

CLAIM = {"claim": "Loss falls", "source": "s", "verdict": "supported", "statistic": "", "sentence": "It falls."}


class Silent:
    """A study without a figure of its own."""

    def draw(self, settings, tables) -> dict[str, tuple[Figure, object]]:
        return {}


@pytest.mark.parametrize(
    ("more", "drawn"), [({"main": True, "effect": -1.0}, True), ({"main": True}, False), ({}, False)]
)
def test_main_claims_are_drawn_where_one_has_an_effect(tmp_path, monkeypatch, more, drawn):
    monkeypatch.setitem(catalogue.STUDIES, "lottery", Silent())
    write_json(tmp_path / "tables" / "claims.json", {"claims": [CLAIM | more, CLAIM]})
    catalogue.write_figures("lottery", None, [tmp_path / "tables"], tmp_path / "figures")
    assert (tmp_path / "figures" / "main_claims.svg").is_file() == drawn
    if drawn:
        assert read_table(tmp_path / "figures" / "main_claims.csv")["effect"].tolist() == [-1.0]
