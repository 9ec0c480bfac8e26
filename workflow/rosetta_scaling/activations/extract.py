"""One forward pass over the probe corpus: pooled unit activations and the statistics of every neuron.

Units are read in shards. Each shard is written whole before the next begins, so a killed job continues after the last
one; shards have fixed bounds, so what comes out does not depend on where the job was killed.
"""

import itertools
import logging
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from rosetta_scaling import versions
from rosetta_scaling.activations.chunks import CHUNK_UNITS
from rosetta_scaling.activations.forward import ForwardPass, transposed
from rosetta_scaling.activations.statistics import LabelMatrix, NeuronStatistics, WorkSpace
from rosetta_scaling.config.study import Activations
from rosetta_scaling.networks.manifests import describe
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.schemas.tables.selectivity import CONTEXTS
from rosetta_scaling.store import progress
from rosetta_scaling.store.atomic import alone, atomic
from rosetta_scaling.store.digests import digest
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json, write_json
from rosetta_scaling.store.tensors import TensorFile, read_tensors, write_tensors
from rosetta_scaling.units.labels import label_units

log = logging.getLogger(__name__)


def extract(
    name: str,
    model: torch.nn.Module,
    tokens: pd.DataFrame,
    units: pd.DataFrame,
    settings: Activations,
    out_dir: Path,
    work_dir: Path,
    device: torch.device,
    weights: object,
    measure: bool = True,
    store: bool = True,
    chunk: int = CHUNK_UNITS,
) -> None:
    """Write out_dir/{layers/shard-NNNN.safetensors, statistics/layer-NNN.safetensors, contexts.parquet, summary.json}.

    `tokens` has columns passage, position, token, special, unit (-1: in no unit); `units` is a unit table.
    The files in layers/ hold `activations` of shape (chunks, neurons of all layers, chunk) and there are none unless
    `store`; those in statistics/ hold the state of NeuronStatistics, contexts.parquet the strongest units of every
    neuron in either half of the documents; both are left out unless `measure`. `weights` is any JSON-like value that
    names the weights: what a killed run left is used only if it was made from the same weights, text and settings.
    """
    source = ForwardPass(model, tokens, settings.batch_passages, settings.dtype, device, chunk=chunk)
    if source.units != len(units):
        raise StudyError(
            f"{name}: the token table has {source.units:,} units, the unit table {len(units):,}; delete both"
        )
    chunks = -(-source.units // chunk)
    settings = settings.model_copy(update={"shards": min(settings.shards, chunks)})
    content = [weights, settings.model_dump(exclude={"batch_passages"}), chunk, store, measure, versions.ACTIVATIONS]
    content = digest(content + [int(pd.util.hash_pandas_object(table).sum()) for table in (tokens, units)])
    with alone(work_dir):  # a job that outlived its killed workflow finishes first
        summary = out_dir / "summary.json"
        if summary.exists() and read_json(summary)["content"] == content:
            log.info("%s: another process has finished it meanwhile", name)
            return
        shards = [work_dir / content / f"shard-{i:04d}" for i in range(settings.shards)]
        done = next((i for i, shard in enumerate(shards) if not shard.is_dir()), len(shards))
        statistics = []
        if measure:
            labels, space = LabelMatrix(label_units(units, settings.unit_texts)), WorkSpace(device)
            statistics = [NeuronStatistics(width, labels, settings.top_contexts, space) for width in source.widths]
            _resume(statistics, shards[done - 1] if done else None)
        report = progress.Reporter(log, name, len(shards))
        for i, part in list(enumerate(np.array_split(np.arange(chunks), len(shards))))[done:]:
            _extract_shard(source, range(part[0], part[-1] + 1), statistics, store, shards[i])
            report(i + 1)
        with atomic(out_dir / "layers") as folder:
            folder.mkdir()
            if store:
                for shard in shards:
                    os.link(shard / "activations.safetensors", folder / f"{shard.name}.safetensors")
        if measure:
            with atomic(out_dir / "statistics") as folder:
                folder.mkdir()
                for file in sorted(shards[-1].glob("layer-*.safetensors")):
                    os.link(file, folder / file.name)
            files = sorted((out_dir / "statistics").glob("layer-*.safetensors"))
            contexts = contexts_table(read_tensors(file) for file in files)
            write_checked_table(out_dir / "contexts.parquet", contexts, CONTEXTS)
        about = {"model": name, "units": len(units), "dtype": settings.dtype}
        about |= {"weights": digest(weights), "content": content}
        write_json(summary, about | describe(model))  # last: its presence says that all is there
        shutil.rmtree(work_dir)


def _resume(statistics: list[NeuronStatistics], shard: Path | None) -> None:
    """Go on with the sums as they were after a shard."""
    if shard:
        for layer, running in enumerate(statistics):
            running.resume(read_tensors(shard / f"layer-{layer:03d}.safetensors"))


def _extract_shard(
    source: ForwardPass, chunks: range, statistics: list[NeuronStatistics], store: bool, shard: Path
) -> None:
    """Write a folder with the activations of a range of chunks and the state of the statistics of each layer, if any.

    The state is that after all chunks up to here: shards are extracted in their order.
    """
    with atomic(shard) as folder:
        folder.mkdir()
        if store:
            shape = (len(chunks), sum(source.widths), source.chunk)
            file = TensorFile.create(folder / "activations.safetensors", shape, source.dtype_name)
            stored = torch.zeros(shape[1:], dtype=source.dtype)
        for i, rows in enumerate(itertools.islice(source.rows(first_chunk=chunks[0]), len(chunks))):
            if store:
                transposed(rows, stored)
                stored[:, len(rows) :] = 0
                file.write(i, 0, stored)
            for layer, neurons in zip(statistics, rows.split(source.widths, dim=1), strict=False):
                layer.update(neurons)
        if store:
            file.seal()
        for layer, running in enumerate(statistics):
            write_tensors(folder / f"layer-{layer:03d}.safetensors", running.finish())


def contexts_table(states: Iterable[dict[str, torch.Tensor]]) -> pd.DataFrame:
    """The strongest units of every neuron: neuron (over all layers), half of the documents, rank, unit, activation."""
    tables, before = [], 0
    for state in states:
        halves, top, neurons = state["top_unit"].shape
        half, rank, neuron = np.indices((halves, top, neurons)).reshape(3, -1)
        unit, value = (state[name].flatten().numpy() for name in ("top_unit", "top_value"))
        table = {"neuron": neuron + before, "half": half, "rank": rank, "unit": unit, "activation": value}
        tables.append(pd.DataFrame(table)[unit >= 0])
        before += neurons
    return pd.concat(tables).sort_values(["neuron", "half", "rank"], ignore_index=True)
