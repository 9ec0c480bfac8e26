"""One forward pass over the probe corpus: pooled unit activations and the statistics of every neuron.

Units are read in shards. Each shard is written whole before the next begins, so a killed job continues after the last
one. The bounds of shards are fixed, so the results do not depend on where a job was killed.
"""

import itertools
import logging
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from rosetta_scaling import versions
from rosetta_scaling.activations.chunks import CHUNK_UNITS
from rosetta_scaling.activations.forward import ForwardPass, Reading, transposed
from rosetta_scaling.activations.inputs.opening import open_inputs
from rosetta_scaling.activations.statistics import LabelMatrix, LayerStatistics
from rosetta_scaling.config.activations import Activations
from rosetta_scaling.networks.manifests import describe
from rosetta_scaling.networks.unembedding import require_comparable
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.schemas.tables.selectivity import CONTEXTS
from rosetta_scaling.store import progress
from rosetta_scaling.store.atomic import atomic, folder_lock
from rosetta_scaling.store.digests import digest
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json, write_json
from rosetta_scaling.store.tensors import TensorFile, read_tensors, write_tensors
from rosetta_scaling.units.labels import label_units

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Extraction:
    """What is read off one network, with which settings, and where it is written."""

    name: str
    settings: Activations
    weights: object  # any JSON-like value that names the weights
    out_dir: Path
    work_dir: Path  # what a killed job has left here is used if weights, inputs and settings are the same
    measure: bool = True  # whether to write statistics and contexts
    store: bool = True  # whether to write activations
    chunk: int = CHUNK_UNITS

    def content(self, tables: tuple[pd.DataFrame, ...], shards: int) -> str:
        """Digest of everything that decides over the activations."""
        settings = self.settings.model_copy(update={"shards": shards}).model_dump(exclude={"batch_passages"})
        decided_by = [self.weights, settings, self.chunk, self.store, self.measure, versions.ACTIVATIONS]
        return digest(decided_by + [int(pd.util.hash_pandas_object(table).sum()) for table in tables])


class Pass(NamedTuple):
    """The one pass over the units, and what it fills."""

    source: ForwardPass
    statistics: LayerStatistics | None  # none unless they are measured
    store: bool


def extract(
    job: Extraction, model: torch.nn.Module, samples: pd.DataFrame, units: pd.DataFrame, *, device: torch.device
) -> None:
    """Write out_dir/{layers/shard-NNNN.safetensors, statistics/layer-NNN.safetensors, contexts.parquet, summary.json}.

    `samples` is the table of what the network reads (see inputs/: for text its tokens), `units` a unit table. The files
    in layers/ hold `activations` of shape (chunks, neurons of all layers, chunk); there are none unless `job.store`.
    Those in statistics/ hold the state of NeuronStatistics, and contexts.parquet the strongest units of every neuron in
    either fold of the documents; both are left out unless `job.measure`. Raises StudyError before anything is
    read when the network cannot be read or measured, or when the tables do not belong together.
    """
    sizes = describe(model)
    if job.measure:
        require_comparable(model)
    reading = Reading(job.settings.batch_passages, job.settings.dtype, device, job.chunk)
    source = ForwardPass(model, open_inputs(model, samples, device), reading)
    if source.units != len(units):
        raise StudyError(
            f"{job.name}: the token table has {source.units:,} units, the unit table {len(units):,}; delete both"
        )
    chunks = -(-source.units // job.chunk)
    shards = min(job.settings.shards, chunks)
    content = job.content((samples, units), shards)
    with folder_lock(job.work_dir):  # a job that outlived its killed workflow finishes first
        summary = job.out_dir / "summary.json"
        if summary.exists() and read_json(summary)["content"] == content:
            log.info("%s: already finished by another process", job.name)
            return
        statistics = None
        if job.measure:
            labels = LabelMatrix(label_units(units, job.settings.unit_texts))
            statistics = LayerStatistics(source.widths, labels, job.settings.top_contexts, device)
        folders = [job.work_dir / content / f"shard-{i:04d}" for i in range(shards)]
        _extract_shards(Pass(source, statistics, job.store), folders, chunks, job.name)
        _publish(job, folders)
        about = {"model": job.name, "units": len(units), "dtype": job.settings.dtype}
        about |= {"weights": digest(job.weights), "content": content}
        write_json(summary, about | sizes)  # last: where it is, everything else is too
        shutil.rmtree(job.work_dir)


def _extract_shards(work: Pass, shards: list[Path], chunks: int, name: str) -> None:
    """Write the folders of all shards that are not there yet, in their order."""
    done = next((i for i, shard in enumerate(shards) if not shard.is_dir()), len(shards))
    if done and work.statistics:
        layers = range(len(work.source.widths))
        work.statistics.resume(read_tensors(shards[done - 1] / f"layer-{layer:03d}.safetensors") for layer in layers)
    report = progress.Reporter(log, name, len(shards))
    for i, own in list(enumerate(np.array_split(np.arange(chunks), len(shards))))[done:]:
        _extract_shard(work, range(own[0], own[-1] + 1), shards[i])
        report(i + 1)


def _extract_shard(work: Pass, chunks: range, shard: Path) -> None:
    """Write a folder with the activations of a range of chunks and the state of the statistics of each layer, if any.

    The state covers all chunks so far, so shards are extracted in their order.
    """
    source = work.source
    with atomic(shard) as folder:
        folder.mkdir()
        if work.store:
            shape = (len(chunks), sum(source.widths), source.chunk)
            file = TensorFile.create(folder / "activations.safetensors", shape, source.dtype_name)
            stored = torch.zeros(shape[1:], dtype=source.dtype)
        for i, rows in enumerate(itertools.islice(source.rows(first_chunk=chunks[0]), len(chunks))):
            if work.store:
                transposed(rows, stored)
                stored[:, len(rows) :] = 0
                file.write(i, 0, stored)
            if work.statistics:
                work.statistics.update(rows)
        if work.store:
            file.seal()
        for layer, state in enumerate(work.statistics.finish() if work.statistics else ()):
            write_tensors(folder / f"layer-{layer:03d}.safetensors", state)


def _publish(job: Extraction, shards: list[Path]) -> None:
    """Link the files of finished shards to where they belong, without copying them."""
    with atomic(job.out_dir / "layers") as folder:
        folder.mkdir()
        if job.store:
            for shard in shards:
                os.link(shard / "activations.safetensors", folder / f"{shard.name}.safetensors")
    if not job.measure:
        return
    with atomic(job.out_dir / "statistics") as folder:
        folder.mkdir()
        for file in sorted(shards[-1].glob("layer-*.safetensors")):
            os.link(file, folder / file.name)
    files = sorted((job.out_dir / "statistics").glob("layer-*.safetensors"))
    contexts = contexts_table(read_tensors(file) for file in files)
    write_checked_table(job.out_dir / "contexts.parquet", contexts, CONTEXTS)


def contexts_table(states: Iterable[dict[str, torch.Tensor]]) -> pd.DataFrame:
    """The strongest units of every neuron: neuron (over all layers), half (see below), rank, unit, activation.

    The column `half` holds the fold of the documents (see units/labels.py), under the name it has always had.
    """
    tables, before = [], 0
    for state in states:
        folds, top, neurons = state["top_unit"].shape
        fold, rank, neuron = np.indices((folds, top, neurons)).reshape(3, -1)
        unit, value = (state[name].flatten().numpy() for name in ("top_unit", "top_value"))
        table = {"neuron": neuron + before, "half": fold, "rank": rank, "unit": unit, "activation": value}
        tables.append(pd.DataFrame(table)[unit >= 0])
        before += neurons
    return pd.concat(tables).sort_values(["neuron", "half", "rank"], ignore_index=True)
