"""One forward pass over the probe corpus: pooled unit activations and the statistics of every neuron.

The passages are read in shards. Each shard is written whole before the next begins, so a killed job continues after
the last one; shards have fixed bounds, so what comes out does not depend on where the job was killed.
"""

import fcntl
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from rosetta_scaling import progress
from rosetta_scaling.checkpoints import describe
from rosetta_scaling.config import Activations
from rosetta_scaling.hooks import capture, find_down_projections, neurons_of
from rosetta_scaling.selectivity import output_metrics
from rosetta_scaling.statistics import NeuronStatistics
from rosetta_scaling.store import (
    StudyError,
    atomic,
    digest,
    open_tensors,
    read_json,
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
) -> None:
    """Write out_dir/{layers/layer-NN.safetensors, neurons.parquet, contexts.parquet, summary.json}.

    `tokens` has columns passage, position, token, special, unit (-1: in no unit); `units` has unit, domain.
    A layer file holds `activations` of shape (neurons, units); neurons.parquet has one row per neuron and one column
    per selectivity metric; it and contexts.parquet are left out unless `measure`. `weights` is any JSON-like value
    that names the weights: what a killed run left is used only if it was made from the same weights, text and settings.
    """
    settings = settings.model_copy(update={"shards": min(settings.shards, tokens.passage.nunique())})
    content = [weights, settings.model_dump(exclude={"batch_passages"})]
    content = digest(content + [int(pd.util.hash_pandas_object(table).sum()) for table in (tokens, units)])
    modules = find_down_projections(model)
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
        for i, passages in enumerate(np.array_split(tokens.passage.unique(), len(shards))):
            if not shards[i].is_dir():
                part = tokens[tokens.passage.isin(passages)]
                statistics = [NeuronStatistics(neurons_of(m), len(domains), settings.top_contexts) for m in modules]
                _extract_shard(
                    model, modules, part, codes, statistics if measure else None, settings, shards[i], device
                )
            report(i + 1)
        _merge_layers(shards, len(modules), len(units), out_dir)
        if measure:
            neurons = _merge_statistics(shards, len(modules), domains, out_dir)
            write_table(out_dir / "neurons.parquet", pd.concat([neurons, output_metrics(model)], axis=1))
        about = {"model": name, "units": len(units), "dtype": settings.dtype, "domains": domains}
        about |= {"weights": digest(weights), "content": content}
        write_json(summary, about | describe(model))  # last: its presence says that all is there
        shutil.rmtree(work_dir)


def batches(tokens: pd.DataFrame, passages_per_batch: int) -> Iterator[pd.DataFrame]:
    """Consecutive whole passages, so many at a time."""
    order = pd.factorize(tokens.passage)[0]
    for _, part in tokens.groupby(order // passages_per_batch):
        yield part


def pool(values: torch.Tensor, units: torch.Tensor) -> torch.Tensor:
    """Mean of token activations (tokens, neurons) per unit; units (tokens,) count from 0 without gaps."""
    count = torch.bincount(units).to(values.dtype)
    sums = torch.zeros(len(count), values.shape[1], dtype=values.dtype, device=values.device)
    return sums.index_add_(0, units, values) / count[:, None]


def pooled_layers(model, modules, tokens: pd.DataFrame, device: torch.device) -> Iterator[tuple[int, torch.Tensor]]:
    """Run one batch of passages and yield (layer, activations of shape (units, neurons) in float32)."""
    row = torch.tensor(pd.factorize(tokens.passage)[0])
    position = torch.tensor(tokens.position.to_numpy())
    ids = torch.zeros(int(row.max()) + 1, int(position.max()) + 1, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    ids[row, position] = torch.tensor(tokens.token.to_numpy())
    mask[row, position] = 1
    in_unit = torch.tensor(tokens.unit.to_numpy() >= 0)
    at = (row * ids.shape[1] + position)[in_unit].to(device)
    local = torch.tensor(pd.factorize(tokens.unit[tokens.unit >= 0])[0]).to(device)
    with capture(modules) as captured, torch.inference_mode():
        model(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False)
        for layer in sorted(captured):
            yield layer, pool(captured.pop(layer).flatten(0, 1)[at].float(), local)


def _extract_shard(model, modules, tokens, codes, statistics, settings: Activations, shard: Path, device) -> None:
    """Write a folder with one file per layer: activations (units, neurons) and, if any, the state of its statistics."""
    dtype = getattr(torch, settings.dtype)
    stored = [[torch.empty(0, neurons_of(module), dtype=dtype)] for module in modules]
    for part in batches(tokens, settings.batch_passages):
        units = torch.tensor(part.unit[part.unit >= 0].unique())
        if not len(units):
            continue
        for layer, values in pooled_layers(model, modules, part, device):
            stored[layer].append(values.to(dtype).cpu())
            if not torch.isfinite(stored[layer][-1]).all():
                raise StudyError(
                    f"layer {layer} gives activations that are not finite in {settings.dtype}; "
                    "the weights are damaged, or activations.dtype must be wider"
                )
            if statistics:
                statistics[layer].update(values.cpu(), units, codes[units])
    with atomic(shard) as folder:
        folder.mkdir()
        for layer, parts in enumerate(stored):
            tensors = {"activations": torch.cat(parts)} | (statistics[layer].state if statistics else {})
            write_tensors(folder / f"layer-{layer:02d}.safetensors", tensors)


def _merge_layers(shards: list[Path], layers: int, units: int, out_dir: Path) -> None:
    with atomic(out_dir / "layers") as folder:
        folder.mkdir()
        for layer in range(layers):
            parts = []
            for shard in shards:
                with open_tensors(shard / f"layer-{layer:02d}.safetensors") as file:
                    parts.append(file.get_tensor("activations").T)
            whole = torch.cat(parts, 1)
            if whole.shape[1] != units:
                raise StudyError(f"{shards[0].parent} holds {whole.shape[1]} units of {units}; delete it and run again")
            write_tensors(folder / f"layer-{layer:02d}.safetensors", {"activations": whole})


def _merge_statistics(shards: list[Path], layers: int, domains: list[str], out_dir: Path) -> pd.DataFrame:
    """Write the contexts; return the statistics of all neurons."""
    tables, contexts = [], []
    for layer in range(layers):
        parts = []
        for shard in shards:
            with open_tensors(shard / f"layer-{layer:02d}.safetensors") as file:
                names = set(file.keys()) - {"activations"}
                parts.append(NeuronStatistics.from_state({name: file.get_tensor(name) for name in names}))
        for part in parts[1:]:
            parts[0].merge(part)
        tables.append(parts[0].table(layer, domains))
        contexts.append(parts[0].contexts(layer))
    write_table(out_dir / "contexts.parquet", pd.concat(contexts, ignore_index=True))
    return pd.concat(tables, ignore_index=True)


class ActivationReader:
    """Reads stored activations as float32 rows (neurons, units), any range of neurons counted over all layers."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        summary = read_json(self.folder / "summary.json")
        self.widths, self.units, self.weights = summary["neurons"], summary["units"], summary["weights"]
        self.starts = np.cumsum([0, *self.widths])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def layer_and_channel(self) -> tuple[np.ndarray, np.ndarray]:
        """Layer and channel of every neuron."""
        layer = np.repeat(np.arange(len(self.widths)), self.widths)
        return layer, np.arange(len(self)) - self.starts[layer]

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Neurons start..stop, shape (stop - start, units), float32."""
        parts = []
        for layer, first in enumerate(self.starts[:-1]):
            low, high = max(start, first) - first, min(stop, self.starts[layer + 1]) - first
            if low < high:
                parts.append(self._layer_rows(layer, int(low), int(high)))
        return torch.cat(parts)

    def _layer_rows(self, layer: int, start: int, stop: int) -> torch.Tensor:
        try:
            with open_tensors(self.folder / f"layers/layer-{layer:02d}.safetensors") as file:
                return file.get_slice("activations")[start:stop].float()
        except StudyError as error:  # its folder is made as a whole
            raise StudyError(f"{error} What to delete is the whole folder {self.folder}.") from error
