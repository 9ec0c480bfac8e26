"""Match two models, and match them again where no shared neuron can exist: the nulls."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from rosetta_scaling.activations import ActivationReader
from rosetta_scaling.matching import best_matches, mutual_matches
from rosetta_scaling.store import StudyError, digest, read_table, write_json, write_table

log = logging.getLogger(__name__)


def match(
    dir_a: str | Path, dir_b: str | Path, k: int, memory_bytes: int, device: torch.device, displacement: int = 0
) -> tuple[pd.DataFrame, dict]:
    """Mutual top-k matches of two models, and a summary that counts their constant neurons."""
    a, b = ActivationReader(dir_a), ActivationReader(dir_b)
    if a.units != b.units:
        raise StudyError(
            f"{dir_a} holds {a.units:,} units and {dir_b} {b.units:,}; they must hold the same ones: "
            "delete the older folder and run the study again"
        )
    if a.weights == b.weights:
        raise StudyError(f"{dir_a} and {dir_b} are the same weights; a network is not compared with itself: remove one")
    keep = k + 1  # one more than asked, to know the margin to the runner-up
    best_a, best_b = best_matches(a.rows, len(a), b.rows, len(b), a.units, keep, memory_bytes, device, displacement)
    table = mutual_matches(best_a, best_b, k)
    for side, reader in (("a", a), ("b", b)):
        layer, channel = reader.layer_and_channel()
        table[f"layer_{side}"] = layer[table[f"neuron_{side}"]]
        table[f"channel_{side}"] = channel[table[f"neuron_{side}"]]
    summary = {
        "neurons_a": len(a),
        "neurons_b": len(b),
        "units": a.units,
        "matches": len(table),
        "constant_a": int(best_a.constant.sum()),
        "constant_b": int(best_b.constant.sum()),
    }
    return table, summary


def match_pair(dir_a: str, dir_b: str, k: int, memory_bytes: int, device: torch.device, out: Path) -> None:
    """Write matches.parquet and, beside it, summary.json."""
    table, summary = match(dir_a, dir_b, k, memory_bytes, device)
    write_table(out, table)
    write_json(out.with_name("summary.json"), summary)
    log.info("%s: %s mutual matches", out.parent.name, f"{len(table):,}")


def untrained_null(
    dirs_a: list[str], dirs_b: list[str], k: int, memory_bytes: int, device: torch.device, out: Path
) -> None:
    """Matches between fresh initialisations of both models, one draw per pair of folders."""
    draws = [
        match(a, b, k, memory_bytes, device)[0].assign(draw=i)
        for i, (a, b) in enumerate(zip(dirs_a, dirs_b, strict=True))
    ]
    write_table(out, pd.concat(draws, ignore_index=True))


def shift_null(
    dir_a: str,
    dir_b: str,
    units_path: str,
    draws: int,
    seed: int,
    k: int,
    memory_bytes: int,
    device: torch.device,
    out: Path,
) -> None:
    """Matches after the units of B were displaced by whole documents: what is left is not about the text.

    Which model is called A must not matter: of the two folders, the one later in the alphabet is displaced.
    """
    names = sorted(Path(folder).name for folder in (dir_a, dir_b))
    direction = 1 if Path(dir_b).name == names[1] else -1  # displacing A back is displacing B forth
    places = displacements(read_table(units_path).doc.to_numpy(), draws, [seed, int(digest(names), 16)])
    tables = [
        match(dir_a, dir_b, k, memory_bytes, device, direction * place)[0].assign(draw=i)
        for i, place in enumerate(places)
    ]
    write_table(out, pd.concat(tables, ignore_index=True))


def displacements(doc: np.ndarray, draws: int, seed) -> np.ndarray:
    """Different displacements in units, each ending at a document boundary, by a quarter to three quarters of all.

    `doc` is the document of every unit. Documents of all domains are interleaved, so domains do not stay aligned.
    """
    starts = np.flatnonzero(np.append(False, doc[1:] != doc[:-1]))
    starts = starts[(starts >= len(doc) // 4) & (starts <= 3 * len(doc) // 4)]
    if len(starts) < draws:
        raise StudyError(
            f"the probe text has {len(starts)} document boundaries in its middle half, too few for "
            f"nulls.shift_draws = {draws}; raise corpus.probe_bytes_per_domain or lower the draws"
        )
    return np.random.default_rng(seed).choice(starts, draws, replace=False)
