"""One forward pass over the probe corpus: pooled unit activations and the statistics of every neuron.

Units are read in shards. Each shard is written whole before the next begins, so a killed job continues after the last
one; shards have fixed bounds, so what comes out does not depend on where the job was killed.
"""

import fcntl
import itertools
import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from rosetta_scaling import progress
from rosetta_scaling.checkpoints import describe
from rosetta_scaling.config import Activations
from rosetta_scaling.forward import ForwardPass
from rosetta_scaling.plan import CHUNK_UNITS
from rosetta_scaling.selectivity import output_metrics
from rosetta_scaling.statistics import NeuronStatistics
from rosetta_scaling.store import (
    StudyError,
    TensorFile,
    atomic,
    digest,
    read_json,
    read_tensors,
    write_json,
    write_table,
    write_tensors,
)

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
    """Write out_dir/{layers/shard-NNNN.safetensors, neurons.parquet, contexts.parquet, summary.json}.

    `tokens` has columns passage, position, token, special, unit (-1: in no unit); `units` has unit, domain.
    The files in layers/ hold `activations` of shape (chunks, neurons of all layers, chunk) and there are none unless
    `store`; neurons.parquet has one row per neuron and one column per selectivity metric; it and contexts.parquet are
    left out unless `measure`. `weights` is any JSON-like value that names the weights: what a killed run left is used
    only if it was made from the same weights, text and settings.
    """
    source = ForwardPass(model, tokens, settings.batch_passages, settings.dtype, device, chunk=chunk)
    if source.units != len(units):
        raise StudyError(
            f"{name}: the token table has {source.units:,} units, the unit table {len(units):,}; delete both"
        )
    chunks = -(-source.units // chunk)
    settings = settings.model_copy(update={"shards": min(settings.shards, chunks)})
    content = [weights, settings.model_dump(exclude={"batch_passages"}), chunk, store, measure]
    content = digest(content + [int(pd.util.hash_pandas_object(table).sum()) for table in (tokens, units)])
    work_dir.mkdir(parents=True, exist_ok=True)
    with open(work_dir / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a job that outlived its killed workflow finishes first
        summary = out_dir / "summary.json"
        if summary.exists() and read_json(summary)["content"] == content:
            log.info("%s: another process has finished it meanwhile", name)
            return
        shards = [work_dir / content / f"shard-{i:04d}" for i in range(settings.shards)]
        domains = sorted(units.domain.unique())
        codes = torch.tensor(pd.Categorical(units.domain, categories=domains).codes.astype(np.int64))
        report = progress.Reporter(log, name, len(shards))
        for i, part in enumerate(np.array_split(np.arange(chunks), len(shards))):
            if not shards[i].is_dir():
                statistics = [NeuronStatistics(width, len(domains), settings.top_contexts) for width in source.widths]
                _extract_shard(
                    source, range(part[0], part[-1] + 1), codes, statistics if measure else [], store, shards[i]
                )
            report(i + 1)
        with atomic(out_dir / "layers") as folder:
            folder.mkdir()
            if store:
                for shard in shards:
                    os.link(shard / "activations.safetensors", folder / f"{shard.name}.safetensors")
        if measure:
            neurons = _merge_statistics(shards, len(source.widths), domains, out_dir)
            write_table(out_dir / "neurons.parquet", pd.concat([neurons, output_metrics(model)], axis=1))
        about = {"model": name, "units": len(units), "dtype": settings.dtype, "domains": domains}
        about |= {"weights": digest(weights), "content": content}
        write_json(summary, about | describe(model))  # last: its presence says that all is there
        shutil.rmtree(work_dir)


def _extract_shard(
    source: ForwardPass,
    chunks: range,
    domain: torch.Tensor,
    statistics: list[NeuronStatistics],
    store: bool,
    shard: Path,
) -> None:
    """Write a folder with the activations of a range of chunks and, if any, the state of the statistics of each layer.

    `domain` (units,) is the domain code of every unit.
    """
    with atomic(shard) as folder:
        folder.mkdir()
        if store:
            shape = (len(chunks), sum(source.widths), source.chunk)
            file = TensorFile.create(folder / "activations.safetensors", shape, source.dtype_name)
            stored = torch.zeros(shape[1:], dtype=source.dtype)
        for i, values in enumerate(itertools.islice(source.chunks(first_chunk=chunks[0]), len(chunks))):
            units = torch.arange(values.shape[1]) + (chunks[0] + i) * source.chunk
            if store:
                stored[:, : len(units)] = values
                stored[:, len(units) :] = 0
                file.write(i, 0, stored)
            if statistics:
                for layer, neurons in zip(statistics, values.cpu().float().split(source.widths), strict=True):
                    layer.update(neurons.T, units, domain[units])
        for layer, running in enumerate(statistics):
            write_tensors(folder / f"layer-{layer:02d}.safetensors", running.state)


def _merge_statistics(shards: list[Path], layers: int, domains: list[str], out_dir: Path) -> pd.DataFrame:
    """Write the contexts; return the statistics of all neurons."""
    tables, contexts = [], []
    for layer in range(layers):
        parts = []
        for shard in shards:
            parts.append(NeuronStatistics.from_state(read_tensors(shard / f"layer-{layer:02d}.safetensors")))
        for part in parts[1:]:
            parts[0].merge(part)
        tables.append(parts[0].table(layer, domains))
        contexts.append(parts[0].contexts(layer))
    write_table(out_dir / "contexts.parquet", pd.concat(contexts, ignore_index=True))
    return pd.concat(tables, ignore_index=True)
