"""Nulls of a pair take hours for large networks: a job that was killed goes on after the last draw that it saved."""

from types import SimpleNamespace

import pandas as pd
import pytest
from schema_rows import rows_of

from rosetta_scaling.schemas.nulls import NULLS
from rosetta_scaling.schemas.tables.matching import NULL_DRAW, OWN
from rosetta_scaling.schemas.tables.schema import TableSchema
from rosetta_scaling.stages import null_draws, nulls
from rosetta_scaling.store.digests import file_states

LAYOUT = SimpleNamespace(variants=lambda null: [f"{null}{draw}" for draw in (0, 1)], pairs={"a--b": ("a", "b")})


def table_of(variant: str, schema: TableSchema = NULL_DRAW) -> pd.DataFrame:
    return rows_of(schema, 2, neuron_a=[0, 1], r=[0.1 * len(variant), 1 / 3])


def run(folder, monkeypatch, until: int | None = None) -> list[str]:
    """Nulls in folder/out, killed at the draw of this number; returns the draws that were computed."""
    computed = []

    def draw(plan, pair, variant, device):
        if len(computed) == until:
            raise KeyboardInterrupt
        computed.append(variant)
        return table_of(variant)

    monkeypatch.setattr(null_draws, "null_draw", draw)
    monkeypatch.setattr(null_draws, "own_partners", lambda *_: table_of("own", OWN))
    nulls.match_nulls(SimpleNamespace(layout=LAYOUT), "a--b", None, folder / "out", folder / "work")
    return computed


def test_killed_and_resumed_nulls_equal_uninterrupted_ones(tmp_path, monkeypatch):
    whole = run(tmp_path / "whole", monkeypatch)
    assert len(whole) == 2 * len(NULLS)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", monkeypatch, until=5)
    assert run(tmp_path / "killed", monkeypatch) == whole[5:]
    for null in (*NULLS, "own"):
        expected, found = (pd.read_parquet(tmp_path / name / f"out/{null}.parquet") for name in ("whole", "killed"))
        pd.testing.assert_frame_equal(found, expected)
    assert not (tmp_path / "killed/work").exists()


def test_a_file_that_changed_has_another_state(tmp_path):
    path = tmp_path / "file"
    path.write_text("one")
    before = file_states([path])
    assert file_states([path]) == before
    path.write_text("three")
    assert file_states([path]) != before
