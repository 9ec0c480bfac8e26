"""Artifacts are whole or absent, and damaged ones are refused with a sentence."""

import errno
import gc
import os
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from rosetta_scaling.jobs import run
from rosetta_scaling.store.atomic import atomic, folder_lock
from rosetta_scaling.store.digests import digest
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json, read_table, write_json, write_table
from rosetta_scaling.store.tensors import TensorFile, open_tensors, read_tensors, write_tensors

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
        assert file.metadata()["k"] == "v"


# -- tensors in parts ---

SHAPE = (3, 1100, 7)  # a block is larger than a page of memory, and no multiple of it


def blocks(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(0)).to(dtype)


def write_in_parts(path, values: torch.Tensor) -> TensorFile:
    file = TensorFile.create(path, tuple(values.shape), str(values.dtype).removeprefix("torch."))
    for block in (2, 0, 1):
        for start, stop in ((500, 1100), (0, 1), (1, 500)):
            file.write(block, start, values[block, start:stop])
    file.seal()
    return file


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_what_is_written_in_parts_is_a_safetensors_file(tmp_path, dtype):
    values = blocks(dtype)
    write_in_parts(tmp_path / "t.safetensors", values)
    assert read_tensors(tmp_path / "t.safetensors")["activations"].equal(values)
    file = TensorFile(tmp_path / "t.safetensors")
    assert (file.shape, file.dtype) == (SHAPE, dtype)
    for block in range(3):
        assert file.read(block, 0, 1100).equal(values[block])


def test_what_the_library_writes_is_read_in_parts(tmp_path):
    write_tensors(tmp_path / "t.safetensors", {"activations": blocks()}, {"k": "v"})
    assert TensorFile(tmp_path / "t.safetensors").read(1, 300, 900).equal(blocks()[1, 300:900])


def test_what_was_not_written_is_zero(tmp_path):
    file = TensorFile.create(tmp_path / "t.safetensors", SHAPE, "bfloat16")
    file.write(1, 5, torch.ones(2, 7, dtype=torch.bfloat16))
    file.seal()
    assert read_tensors(tmp_path / "t.safetensors")["activations"].sum((1, 2)).tolist() == [0, 14, 0]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_in_parts(tmp_path_factory.mktemp("parts") / "t.safetensors", blocks(torch.bfloat16))


@given(block=st.integers(0, 2), ends=st.tuples(st.integers(0, 1099), st.integers(0, 1099)))
def test_any_rows_of_any_block_are_read(written, block, ends):
    start, stop = min(ends), max(ends) + 1
    assert written.read(block, start, stop).equal(blocks(torch.bfloat16)[block, start:stop])


def test_what_was_read_outlives_the_file_object(tmp_path):
    file = write_in_parts(tmp_path / "t.safetensors", blocks())
    rows = file.read(2, 17, 1000)
    part = rows[3:5, 2:]
    del file, rows
    gc.collect()
    (tmp_path / "t.safetensors").unlink()
    assert part.equal(blocks()[2, 20:22, 2:])


@pytest.mark.parametrize(
    ("block", "start", "stop"), [(3, 0, 1), (-1, 0, 1), (0, -1, 5), (0, 0, 1101), (0, 1100, 1101), (0, 5, 5), (0, 6, 5)]
)
def test_rows_that_are_not_in_the_file_are_refused(written, block, start, stop):
    with pytest.raises(ValueError, match=f"rows {start}..{stop} of block {block} are not in"):
        written.read(block, start, stop)


@pytest.mark.parametrize(
    ("block", "start", "values"),
    [
        (0, 0, torch.ones(4, 7, dtype=torch.float16)),
        (0, 0, torch.ones(4, 7)),
        (0, 1097, torch.ones(4, 7, dtype=torch.bfloat16)),
        (3, 0, torch.ones(4, 7, dtype=torch.bfloat16)),
        (0, 0, torch.ones(4, 6, dtype=torch.bfloat16)),
        (0, 0, torch.ones(4, 8, dtype=torch.bfloat16)),
    ],
    ids=["another dtype", "a wider dtype", "beyond the block", "beyond the file", "narrower", "wider"],
)
def test_what_does_not_fit_the_file_is_not_written(tmp_path, block, start, values):
    file = write_in_parts(tmp_path / "t.safetensors", blocks(torch.bfloat16))
    before = file.path.read_bytes()
    with pytest.raises(ValueError, match=r"t\.safetensors"):
        file.write(block, start, values)
    assert file.path.read_bytes() == before


@pytest.mark.parametrize("keep", [0.0, 0.0005, 0.5, 0.9999, 1.0001])
def test_truncated_files_are_not_read_in_parts(tmp_path, keep):
    path = write_in_parts(tmp_path / "t.safetensors", blocks()).path
    raw = path.read_bytes()
    path.write_bytes((raw + bytes(100))[: round(len(raw) * keep)])
    with pytest.raises(StudyError, match=r"damaged or truncated.*delete it"):
        TensorFile(path)
    with pytest.raises(StudyError, match="no such file"):
        TensorFile(tmp_path / "other.safetensors")


# -- damage that keeps the length --------------------------------------------------------------------------------------


def flip(path, place: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[place] ^= 1
    path.write_bytes(raw)


@pytest.mark.parametrize("place", [-1, -3000])
def test_a_flipped_bit_of_tensors_is_noticed(tmp_path, place):
    path = tmp_path / "t.safetensors"
    write_tensors(path, {"a": torch.randn(1000), "b": torch.arange(500)})
    assert read_tensors(path)["b"][-1] == 499
    flip(path, place)
    with pytest.raises(StudyError, match=r"t\.safetensors: damaged or truncated \(its checksum is \w{8}, not \w{8}\)"):
        read_tensors(path)
    with pytest.raises(StudyError, match="its checksum is"), open_tensors(path):
        pass


def test_a_flipped_bit_of_a_file_in_parts_is_noticed(tmp_path):
    file = write_in_parts(tmp_path / "t.safetensors", blocks())
    file.check()
    flip(file.path, -5000)
    with pytest.raises(StudyError, match="its checksum is"):
        TensorFile(file.path).check()


def test_a_file_that_was_never_sealed_is_refused(tmp_path):
    file = TensorFile.create(tmp_path / "t.safetensors", SHAPE, "float32")
    with pytest.raises(StudyError, match="not 00000000"):
        file.check()


def test_the_same_tensors_give_the_same_bytes(tmp_path):
    path, found = tmp_path / "t.safetensors", set()
    for _ in range(20):
        write_tensors(path, {"a": torch.ones(3)}, {"format": "pt", "of": 'a "name", Größe', "step": "1"})
        found.add(path.read_bytes())
    assert len(found) == 1
    with open_tensors(path) as file:
        assert {name: file.metadata()[name] for name in ("format", "of")} == {"format": "pt", "of": 'a "name", Größe'}


def test_safetensors_of_others_are_read_as_they_are(tmp_path):
    save_file({"a": torch.ones(3)}, tmp_path / "t.safetensors")
    assert read_tensors(tmp_path / "t.safetensors")["a"].sum() == 3


def test_flipped_bits_of_tables_are_noticed(tmp_path):
    path = tmp_path / "t.parquet"
    table = pd.DataFrame({"x": np.random.default_rng(0).normal(size=2000), "text": [f"text {i}" for i in range(2000)]})
    write_table(path, table)
    pd.testing.assert_frame_equal(read_table(path), table)
    size = path.stat().st_size
    for place in range(100, size - 2000, size // 40):  # pages; the footer is refused for other reasons
        flip(path, place)
        with pytest.raises(StudyError, match=r"t\.parquet: damaged"):
            read_table(path)
        flip(path, place)
    pd.testing.assert_frame_equal(read_table(path), table)


# -- other users ---


@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_files_are_as_open_as_the_umask_says(tmp_path, umask, expected):
    before = os.umask(umask)
    try:
        write_tensors(tmp_path / "t.safetensors", {"a": torch.ones(1)})
        write_table(tmp_path / "t.parquet", pd.DataFrame({"x": [1]}))
        with atomic(tmp_path / "folder") as part:
            part.mkdir()
            write_tensors(part / "t.safetensors", {"a": torch.ones(1)})
    finally:
        assert os.umask(before) == umask
    for path in (tmp_path / "t.safetensors", tmp_path / "t.parquet", tmp_path / "folder/t.safetensors"):
        assert path.stat().st_mode & 0o777 == expected, path


def test_two_processes_do_not_work_in_one_folder(tmp_path):
    code = f"""
        import time
        from rosetta_scaling.store.atomic import folder_lock
        with folder_lock({str(tmp_path / "work")!r}):
            open({str(tmp_path / "trace")!r}, "a").write("in ")
            time.sleep(0.5)
            open({str(tmp_path / "trace")!r}, "a").write("out ")
    """
    both = [subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert (tmp_path / "trace").read_text() == "in out in out "


def test_a_file_system_without_locks_is_no_hindrance(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("rosetta_scaling.store.atomic.fcntl.flock", refuse)
    with folder_lock(tmp_path / "work"):
        pass


def test_without_locks_nobody_is_taken_for_killed(tmp_path, monkeypatch):
    """A run must not clear the lock of another one that it cannot see."""

    def refuse(*arguments):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    with open(tmp_path / "lock", "w") as lock:
        assert run._take_lock(lock)
        monkeypatch.setattr(run.fcntl, "flock", refuse)
        assert not run._take_lock(lock)


@given(st.lists(st.from_regex(r"[a-z0-9][a-z0-9_-]*", fullmatch=True) | st.sampled_from(["nan", "007", "true", "1e5"])))
def test_names_that_look_like_numbers_stay_names(tmp_path_factory, names):
    path = tmp_path_factory.getbasetemp() / "names.csv"
    table = pd.DataFrame({"curve": pd.Series(names, dtype=object), "of": names, "alpha": np.linspace(0, 1, len(names))})
    write_table(path, table)
    pd.testing.assert_frame_equal(read_table(path), table, check_dtype=False)
