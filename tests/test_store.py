"""Artifacts are whole or absent, and damaged ones are refused with a sentence."""

import numpy as np
import pandas as pd
import pytest
import torch

from rosetta_scaling.store import (
    StudyError,
    atomic,
    digest,
    open_tensors,
    read_json,
    read_table,
    read_tensors,
    write_json,
    write_table,
    write_tensors,
)

TABLE = pd.DataFrame({"a": np.random.default_rng(0).normal(size=500), "b": ["x", "y"] * 250})
WRITERS = {
    "t.json": (lambda p: write_json(p, {"a": list(range(100))}), read_json),
    "t.parquet": (lambda p: write_table(p, TABLE), read_table),
    "t.safetensors": (lambda p: write_tensors(p, {"a": torch.arange(100)}), read_tensors),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_truncated_files_are_refused(tmp_path, name, keep):
    write, read = WRITERS[name]
    path = tmp_path / name
    write(path)
    read(path)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * keep)])
    with pytest.raises(StudyError, match=r"damaged or truncated.*delete it and run the study again"):
        read(path)


@pytest.mark.parametrize("name", WRITERS)
def test_missing_files_are_refused(tmp_path, name):
    with pytest.raises(StudyError, match="no such file"):
        WRITERS[name][1](tmp_path / name)


def test_an_interrupted_write_leaves_the_old_file_and_no_rubbish(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"old": 1})

    def write_half():
        with atomic(path) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert read_json(path) == {"old": 1}
    assert [f.name for f in tmp_path.iterdir()] == ["x.json"]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    for content in ("one", "two"):
        with atomic(tmp_path / "folder") as part:
            part.mkdir()
            (part / content).write_text(content)
    assert [f.name for f in (tmp_path / "folder").iterdir()] == ["two"]
    assert len(list(tmp_path.iterdir())) == 1


def test_csv_keeps_every_digit(tmp_path):
    write_table(tmp_path / "t.csv", TABLE)
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.csv"), TABLE, check_exact=True)


def test_digest_ignores_the_order_of_keys_only():
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": 1, "b": 2}) != digest({"a": 2, "b": 1})


def test_lazily_read_tensors(tmp_path):
    write_tensors(tmp_path / "t.safetensors", {"a": torch.arange(12).view(3, 4)}, {"k": "v"})
    with open_tensors(tmp_path / "t.safetensors") as file:
        assert file.get_slice("a")[1:2].tolist() == [[4, 5, 6, 7]]
        assert file.metadata() == {"k": "v"}
