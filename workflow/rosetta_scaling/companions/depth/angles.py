"""Angles along the layers of a network: between hidden states, and between what neighbouring layers add to them.

Liu et al. 2026 (arXiv 2602.05970): if layers divide one change evenly, a step turns the hidden state by about
1 / depth. If they follow a smooth flow, neighbouring updates are alike; if they average, updates are orthogonal. An
untrained network has orthogonal updates too, so every angle is shown with that control.
"""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from rosetta_scaling.networks.loading import load_model, untrained_model
from rosetta_scaling.networks.mlps import find_blocks
from rosetta_scaling.store.errors import StudyError


def angle(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Angle in radians between vectors (..., width), accurate for small angles too; NaN if a vector is zero.

    Kahan's formula: 2 atan2(|u - v|, |u + v|) for unit vectors u and v.

    >>> angle(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0]))
    tensor(1.5708)
    """
    u, v = (x / torch.linalg.vector_norm(x, dim=-1, keepdim=True) for x in (a.float(), b.float()))
    return 2 * torch.atan2(torch.linalg.vector_norm(u - v, dim=-1), torch.linalg.vector_norm(u + v, dim=-1))


def layer_angles(states: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Angles of layers + 1 hidden states (..., width), radians.

    Steps (layers, ...): between the states before and after a layer. Updates (layers - 1, ...): between what a layer
    and the next one add.
    """
    updates = [after - before for before, after in itertools.pairwise(states)]
    steps = torch.stack([angle(before, after) for before, after in itertools.pairwise(states)])
    if len(updates) == 1:
        return steps, steps[:0]
    return steps, torch.stack([angle(*pair) for pair in itertools.pairwise(updates)])


def angle_table(steps: torch.Tensor, updates: torch.Tensor) -> pd.DataFrame:
    """Means over tokens of steps (layers, tokens) and updates (layers - 1, tokens): a row per layer.

    Columns: layer, step_angle, update_angle (to what the next layer adds; NaN of the last layer), radians. Tokens
    that a layer does not change have no angle and are left out.
    """
    update = torch.cat([updates.nanmean(1), torch.full((1,), torch.nan, device=updates.device)])
    columns = {"step_angle": steps.nanmean(1), "update_angle": update}
    return pd.DataFrame({"layer": np.arange(len(steps))} | {key: value.cpu().numpy() for key, value in columns.items()})


@contextlib.contextmanager
def read_states(model: torch.nn.Module) -> Iterator[list[torch.Tensor]]:
    """Inside the block, a forward pass appends the hidden states before the first and after every transformer block.

    `output_hidden_states` of transformers gives the last state after the final norm, whose gains change its direction.
    """
    states: list[torch.Tensor] = []
    blocks = find_blocks(model)
    handles = [blocks[0].register_forward_pre_hook(lambda _block, inputs: states.append(inputs[0].detach()))]

    def after(_block: torch.nn.Module, _inputs: tuple, result: torch.Tensor | tuple) -> None:
        states.append((result[0] if isinstance(result, tuple) else result).detach())

    handles += [block.register_forward_hook(after) for block in blocks]
    try:
        yield states
    finally:
        for handle in handles:
            handle.remove()


def model_angles(model: torch.nn.Module, windows: torch.Tensor) -> pd.DataFrame:
    """angle_table of a language model over token ids (sequences, context), in batches of 32 sequences.

    The first position of a sequence is left out: it sees no other token, and networks use it as a sink.
    """
    device = next(model.parameters()).device
    steps: list[torch.Tensor] = []
    updates: list[torch.Tensor] = []
    with torch.inference_mode(), read_states(model) as states:
        for batch in windows.split(32):
            states.clear()
            model(input_ids=batch.to(device), use_cache=False)
            found = layer_angles([state[:, 1:].flatten(0, 1) for state in states])
            for total, angles in zip((steps, updates), found, strict=True):
                total.append(angles)
    return angle_table(torch.cat(steps, 1), torch.cat(updates, 1))


def language_angles(
    folder: str | Path, tokens: np.ndarray, *, context: int, sequences: int, seed: int, device: torch.device
) -> pd.DataFrame:
    """Angles of the checkpoint in `folder`, and of the same architecture untrained, on a stream of its tokens.

    The stream is cut into windows of `context` tokens, of which the first `sequences` are read. Columns: network
    ("trained", "untrained"), layers, and those of angle_table.
    """
    count = min(sequences, len(tokens) // context)
    if context < 2 or not count:
        raise StudyError(
            f"{folder}: angles were asked of {len(tokens):,} tokens in sequences of {context}; expected one sequence "
            "of two tokens at least: give more held-out text (corpus.probe_bytes_per_domain)"
        )
    windows = torch.from_numpy(np.asarray(tokens[: count * context], np.int64).reshape(count, context))
    models = {"trained": load_model(folder, device), "untrained": untrained_model(folder, [seed, "depth"], device)}
    tables = [model_angles(model, windows).assign(network=name) for name, model in models.items()]
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "layers", int(table.layer.max()) + 1)
    table.insert(0, "network", table.pop("network"))
    return table
