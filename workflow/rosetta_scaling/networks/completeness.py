"""Whether a checkpoint holds the weights of its network, all of them and nothing that changes what they mean."""

import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from rosetta_scaling.networks.linear import shape_of
from rosetta_scaling.store.errors import StudyError


def require_whole(folder: str | Path, model: torch.nn.Module, loaded: Mapping[str, Any]) -> None:
    """Refuse a checkpoint that lacks weights, has them in other shapes, or holds more of a linear map than the network.

    `loaded` is what `from_pretrained` tells when it is asked for its loading info: missing, mismatched and unexpected
    keys. Raises StudyError.
    """
    if absent := [*loaded["missing_keys"], *sorted(map(str, loaded["mismatched_keys"]))]:
        raise StudyError(
            f"model folder {folder} lacks {len(absent)} weights of {type(model).__name__} (first: {absent[0]}); "
            f"{_why_absent(absent[0], loaded['unexpected_keys'])}"
        )
    _require_used(folder, model, loaded["unexpected_keys"])


def _require_used(folder: str | Path, model: torch.nn.Module, unexpected: Iterable[str]) -> None:
    """Refuse a checkpoint that holds more of a linear map than the network does: scales of quantised weights, adapters.

    What else nobody asked for are heads, and parts that are not read.
    """
    maps = {name for name, module in model.named_modules() if shape_of(module)}
    for name in sorted(unexpected):
        if any(owner in maps for owner in itertools.accumulate(name.split("."), "{}.{}".format)):
            raise StudyError(
                f"model folder {folder} holds {name}, which {type(model).__name__} does not use and which changes what "
                "its weights mean; expected plain weights: take the unquantised repository, or merge what was added "
                "and save the network"
            )


def _why_absent(name: str, others: Iterable[str]) -> str:
    """What was expected in place of a checkpoint without the weight `name`, but with `others` that nobody asked for."""
    if any("lora_" in other or ".base_layer." in other for other in others):
        return "it was saved with an adapter in it: merge the adapter (merge_and_unload), then save the network"
    others = sorted(others)
    if held := next((other for other in others if _is_wrapped(name, other)), None):
        return (
            f"it holds {held}, so it was saved inside a wrapper (torch.compile, DataParallel ...): save what is in the "
            "wrapper with save_pretrained, or take what the wrapper added off its names"
        )
    module = name.rpartition(".")[0]
    if held := next((other for other in others if other.startswith(f"{module}.")), None):
        return (
            f"it holds {held} in its place, as pruning, quantisation and the like write it: undo that and save the "
            "network, or take the original repository"
        )
    return "expected a whole network, a causal language model with its head"


def _is_wrapped(name: str, other: str) -> bool:
    """Whether `other` is `name` with the names of wrappers before or between its parts."""
    parts = iter(other.split("."))
    return all(part in parts for part in name.split(".")) and next(parts, None) is None
