"""Reading ahead: the same chunks in the same order, whoever is faster, and errors where they belong."""

import threading

import pytest
import torch

from rosetta_scaling.activations.ahead import ReadAhead, on_device
from rosetta_scaling.activations.chunks import SLOTS

CPU = torch.device("cpu")
CHUNKS = [torch.randn(5, columns) for columns in (4, 4, 4, 4, 4, 4, 3)]


def lent(fails_after: int = 99):
    """Chunks in memory that is overwritten with the next one, as sources give them."""
    for i, chunk in enumerate(CHUNKS):
        if i == fails_after:
            raise OSError("the disk is gone")
        memory = chunk.clone()
        yield memory
        memory.fill_(torch.nan)


def ahead(chunks) -> ReadAhead:
    return ReadAhead(next(chunks), chunks, CPU)


def test_chunks_come_whole_and_in_order():
    found = [chunk.clone() for chunk in ahead(lent())]
    assert len(found) == len(CHUNKS) > SLOTS
    assert all(one.equal(other) for one, other in zip(found, CHUNKS, strict=True))


def test_a_chunk_stays_until_the_next_one_is_asked_for():
    for chunk, expected in zip(ahead(lent()), CHUNKS, strict=True):
        threading.Event().wait(0.02)  # time for the thread to read all it may
        assert chunk.equal(expected)


def test_an_error_of_reading_is_raised_where_the_chunk_is_asked_for():
    found = []
    with pytest.raises(OSError, match="the disk is gone"):
        found.extend(1 for _ in ahead(lent(fails_after=2)))
    assert len(found) == 2


def test_the_thread_ends_when_its_reader_stops():
    before = threading.active_count()
    reader = iter(ahead(lent()))
    next(reader)
    reader.close()
    assert threading.active_count() == before


def test_what_is_on_the_device_passes_as_it_is():
    chunks = iter(CHUNKS)
    assert all(one is other for one, other in zip(on_device(chunks, "cpu"), CHUNKS, strict=True))
