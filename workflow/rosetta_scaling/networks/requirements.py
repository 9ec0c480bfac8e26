"""What a text asks of a network, found out on the network before the text is read.

Nothing is taken from the name of an architecture. A few passages are drawn from the tokens of the text, as long as its
longest, and read as forward.py reads: so a passage that is too long, a token without an embedding, and a network whose
neurons depend on what else is in a batch are noticed at once.
"""

import logging
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from rosetta_scaling.networks.batches import arguments, token_rows
from rosetta_scaling.networks.mlps import find_blocks, find_down_projections, read_inputs, read_output
from rosetta_scaling.networks.towers import cannot_be_read, config_of, token_embeddings_of
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.foreign import is_foreign

log = logging.getLogger(__name__)

PASSAGES = 3  # in the batch of the probe; the one that is compared is in the middle
SHORT = 3  # it is so many times shorter than the others
TOLERANCE = 1e-3  # of the norm of a layer's neurons: what the size of a batch may change in float32 ...
ROUNDINGS = 8  # ... and in lower precision, which rounds at every operation: steps of the last digit, by root of layers
SURE = 8  # tokens that every network can read


def require_readable(model: torch.nn.Module, tokens: np.ndarray, longest: int, device: torch.device) -> bool:
    """Make sure that a network can read these tokens in passages of up to `longest`; whether it must be given a mask.

    `tokens` are all tokens of the text, in any order. Networks that are not influenced by what stands behind a passage
    get no mask. Raises StudyError when a token has no embedding, when the network has too few positions, and when what
    it makes of a passage depends on the others of its batch even with a mask.
    """
    probe = _Probe(model, tokens, longest, device)
    _require_embeddings(model, int(tokens.max()))
    _require_positions(probe)
    if longest < 2:
        return False
    _require_context(probe)
    found = probe.influences(masked=False)
    if found.padding == 0 and found.batch <= probe.tolerance:  # not one bit may depend on padding
        return False
    found = probe.influences(masked=True)
    if max(found) <= probe.tolerance:
        return True
    if found.padding <= probe.tolerance:
        cause = f"whether its batch holds a passage of {longest} tokens"
        remedy = "lower units.max_tokens, or choose another network"
    else:
        cause, remedy = "what stands behind it in its batch, even with an attention mask", "choose another network"
    raise StudyError(
        f"{type(model).__name__}: the neurons of a passage depend on {cause} (by {max(found):.1g} of their size, "
        f"expected at most {probe.tolerance:.1g}); {remedy}"
    )


class Influences(NamedTuple):
    """How much of a passage's neurons, relative to their norm, in the layer where it is most, depends on ..."""

    padding: float  # which tokens stand behind it
    batch: float  # whether anything does, and others stand beside it


class _Probe:
    """Passages that are drawn from the tokens of a text, and what a network makes of them."""

    def __init__(self, model: torch.nn.Module, tokens: np.ndarray, longest: int, device: torch.device):
        self.model, self.device, self.longest = model, device, longest
        self.modules = dict(enumerate(find_down_projections(model)))
        drawn = np.random.default_rng(0).choice(tokens, (PASSAGES, longest))
        self.ids = torch.from_numpy(drawn.astype(np.int64))
        self.short = -(-longest // SHORT)
        dtype: Any = model.dtype
        rounding = ROUNDINGS * torch.finfo(dtype).eps * len(self.modules) ** 0.5
        self.tolerance = max(TOLERANCE, rounding)

    def influences(self, masked: bool) -> Influences:
        """What else than its own tokens decides over the neurons of the passage, with a mask or without."""
        inside = torch.ones_like(self.ids, dtype=torch.bool)
        inside[1, self.short :] = False
        mask = inside if masked else None
        of_passage = slice(self.longest, self.longest + self.short)  # in a batch of all
        padded, other = (self.read(ids, of_passage, mask) for ids in (self.ids * inside, self.ids))
        alone = self.read(self.ids[1:2, : self.short], mask=None if mask is None else mask[1:2, : self.short])
        return Influences(_most_off(other, padded), _most_off(padded, alone))

    def reads_context(self) -> bool:
        """Whether the tokens before the passage's last one make any difference there: to neurons, or behind all blocks.

        Where attention stands beside the MLP, the neurons of the first block read every token by itself.
        """
        passage = self.ids[1:2, : self.short]
        others = torch.cat([self.ids[:1, : self.short - 1], passage[:, -1:]], 1)
        if passage.equal(others) or not self.last_state(others).equal(self.last_state(passage)):
            return True
        last = slice(self.short - 1, self.short)
        return _most_off(self.read(others, last), self.read(passage, last)) > 0

    @torch.inference_mode()
    def last_state(self, ids: torch.Tensor) -> torch.Tensor:
        """State (1, hidden) of the last token of one passage behind the last block that is read."""
        states = []

        def receive(output: torch.Tensor) -> None:
            states.append(token_rows(output, *ids.shape)[-1:])

        with _BoundedLookups(), read_output(find_blocks(self.model)[-1], receive):
            self.model(**arguments(self.model, ids.to(self.device)))
        return states[0]

    @torch.inference_mode()
    def read(
        self, ids: torch.Tensor, rows: slice = slice(None), mask: torch.Tensor | None = None
    ) -> list[torch.Tensor]:
        """Neurons (rows, n) of every layer in float32; rows count tokens, one passage after the other."""
        found = {}

        def receive(layer: int, neurons: torch.Tensor) -> None:
            found[layer] = token_rows(neurons, *ids.shape)[rows].float()

        mask = None if mask is None else mask.to(self.device)
        with _BoundedLookups(), read_inputs(self.modules, receive):
            self.model(**arguments(self.model, ids.to(self.device), mask))
        return list(found.values())

    def failure(self, length: int) -> Exception | None:
        """What a network raises when it reads passages of so many tokens."""
        try:
            self.read(self.ids[:, :length], slice(1))
        except StudyError as error:
            raise StudyError(f"{type(self.model).__name__}: {error}") from error
        except Exception as error:  # architectures raise whatever they like
            if not is_foreign(error):
                raise
            return error
        return None


class _BoundedLookups(TorchFunctionMode):
    """Inside the block, a look-up beyond the end of a table is an IndexError; on a GPU it would end the process."""

    def __torch_function__(self, function, types, arguments=(), options=None):
        options = options or {}
        if function is torch.nn.functional.embedding:
            index, table = arguments[:2]
            _bound(index, len(table))
        elif function in (torch.gather, torch.Tensor.gather, torch.index_select, torch.Tensor.index_select):
            named = dict(zip(("input", "dim", "index"), arguments, strict=False)) | options
            _bound(named["index"], named["input"].shape[named["dim"]])
        elif function is torch.Tensor.__getitem__:
            index = arguments[1][0] if isinstance(arguments[1], tuple) and arguments[1] else arguments[1]
            if isinstance(index, torch.Tensor) and index.dtype in (torch.int32, torch.int64):
                _bound(index, len(arguments[0]))
        return function(*arguments, **options)


def _bound(index: torch.Tensor, rows: int) -> None:
    if index.numel() and not index.is_meta and (most := int(index.max())) >= rows:
        raise IndexError(f"row {most} of a table of {rows}")


def _most_off(found: list[torch.Tensor], expected: list[torch.Tensor]) -> float:
    """The largest difference between two lists of tensors, relative to the norm of the second.

    What is not finite in both counts as equal: the pass itself refuses it.
    """
    most = 0.0
    for one, other in zip(found, expected, strict=True):
        a, b = one.double().nan_to_num(), other.double().nan_to_num()
        if not a.equal(b):
            most = max(most, float((a - b).norm() / b.norm()))
    return most


def _require_embeddings(model: torch.nn.Module, largest: int) -> None:
    try:
        rows = getattr(token_embeddings_of(model), "num_embeddings", None)
    except NotImplementedError:  # Canine computes its embeddings from the bits of code points
        return
    if rows is not None and largest >= rows:
        raise StudyError(
            f"the text holds token {largest:,}, but {type(model).__name__} has embeddings of {rows:,} tokens: take the "
            "tokenizer that belongs to it"
        )


def _require_positions(probe: _Probe) -> None:
    """Raise StudyError with the number of tokens that a network can read, when it is below the longest passage."""
    name, longest = type(probe.model).__name__, probe.longest
    error = probe.failure(longest)
    if error is None:
        known = getattr(config_of(probe.model), "max_position_embeddings", None)
        if isinstance(known, int) and longest > known:
            log.warning("%s was made for passages of %d tokens and reads some of %d", name, known, longest)
        return
    low, high = min(SURE, longest), longest  # it reads `low` tokens, but not `high`
    if low == high or probe.failure(low):
        raise StudyError(cannot_be_read(probe.model, "input_ids", error)) from error
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if probe.failure(middle) else (middle, high)
    raise StudyError(
        f"the longest passage has {longest} tokens, but {name} reads at most {low}: lower units.max_tokens to {low}"
    ) from error


def _require_context(probe: _Probe) -> None:
    """Some networks (MRA) leave attention out, without a word, where a library of theirs is missing."""
    if not probe.reads_context():
        raise StudyError(
            f"{type(probe.model).__name__} reads every token by itself, those before it change nothing; expected a "
            "network with attention: choose another one"
        )
