"""Output-side selectivity: what a neuron writes, seen through the vocabulary. From the weights alone.

The paper (arXiv 2606.03990, section 5.1) takes the excess kurtosis, over the whole vocabulary, of the cosines between
the output weights w of a neuron and the rows of the unembedding W_U. It does not say how it treats the final norm, so
there are two readings:

plain    cos(w, W_U[v]), both as they are.
folded   As the logits see the neuron: a final norm that subtracts the mean removes the mean of w; the gain of the norm
         multiplies W_U; and the mean row of W_U is subtracted, because the softmax ignores what all tokens share.
         Without a final norm only the last of these is done.

Some networks (OPT-350m) have a linear projection P from the hidden size to the width of W_U. There w is P @ w, and the
gain, which comes before P, multiplies w in place of W_U.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import torch

from rosetta_scaling.networks.linear import neurons_of, weight_out
from rosetta_scaling.networks.mlps import find_down_projections
from rosetta_scaling.networks.towers import unembedding_of
from rosetta_scaling.networks.unembedding import measure_final_norm, unembedding_reads_neurons
from rosetta_scaling.numerics.ranking import strongest
from rosetta_scaling.store.errors import StudyError

METRICS = ("vocab_kurtosis", "vocab_skewness", "vocab_variance")
SIDES = ("promoted", "suppressed")
COSINES = 2**24  # held at a time, some 0.5 GB; four times as many took twice as long on a CPU (measured)

IN_CACHE = 2**16  # whose moments are worked out at a time on a CPU: five times as fast as of all (measured)


@torch.no_grad()
def output_metrics(
    model: torch.nn.Module, vocabulary: int | None = None, top: int = 10, chunk: int | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Moments over the vocabulary of every neuron's cosines, and the tokens it promotes and suppresses most.

    `vocabulary` is the number of tokens that the tokenizer really has; rows of W_U beyond it are padding (Pythia has
    50,304 rows for 50,277 tokens) and are left out. None takes all rows; more than there are raise a StudyError.

    The first table has one row per neuron, layers in order: vocab_kurtosis (excess), vocab_skewness, vocab_variance,
    and the same with the suffix _folded. A neuron that writes nothing has NaN. The second has columns neuron (index
    over all layers), side ("promoted" or "suppressed"), rank (1 is the strongest; of equals the lower token id comes
    first), token (id) and cosine, of the folded reading.

    Where neurons have nothing to be compared with (see unembedding.py), all is NaN and the second table is empty.
    `chunk` is the number of neurons that are held at a time, by default what is quick; it does not change the result.
    """
    modules, head = find_down_projections(model), unembedding_of(model)
    columns = [name + suffix for suffix in ("", "_folded") for name in METRICS]
    metrics = pd.DataFrame(np.nan, range(sum(neurons_of(module) for module in modules)), columns)
    found = []
    readable, projection = unembedding_reads_neurons(model, head)
    if readable:
        for suffix, rows, as_seen in _readings(model, _rows(model, head, vocabulary), projection):
            moments = []
            for cosine in _cosines(modules, rows, as_seen, chunk):
                moments.append(_moments(cosine))
                if suffix == "_folded":
                    found.append(_strongest_tokens(cosine, top))
            metrics[[name + suffix for name in METRICS]] = torch.cat(moments).numpy()
    found = found or [(torch.empty(0, 2, top, dtype=torch.int64), torch.empty(0, 2, top))]
    return metrics, _token_table(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def _rows(model: torch.nn.Module, head: torch.nn.Linear, vocabulary: int | None) -> torch.Tensor:
    """The unembedding (vocabulary, width) in float32, without padding."""
    if vocabulary is not None and vocabulary > len(head.weight):
        raise StudyError(
            f"{type(model).__name__}: found an unembedding of {len(head.weight):,} rows, expected one for each of the "
            f"{vocabulary:,} tokens of its tokenizer; correct the tokenizer"
        )
    return head.weight[:vocabulary].float()


def _readings(
    model: torch.nn.Module, unembedding: torch.Tensor, projection: torch.Tensor | None
) -> Iterator[tuple[str, torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]]:
    """Of each reading: suffix of its columns, rows (vocabulary, width), and what output weights become beside them."""
    gain, subtracts_mean = measure_final_norm(model)
    gain = gain.to(unembedding)
    centre = _without_mean if subtracts_mean else lambda weights: weights
    if projection is None:
        yield "", unembedding, lambda weights: weights
        folded = unembedding * gain
        yield "_folded", folded - folded.mean(0), centre
    else:
        projection = projection.to(unembedding)
        yield "", unembedding, lambda weights: projection @ weights
        folded = unembedding - unembedding.mean(0)
        yield "_folded", folded, lambda weights: projection @ (gain[:, None] * centre(weights))


def _without_mean(weights: torch.Tensor) -> torch.Tensor:
    """Output weights (hidden, neurons), each neuron minus its mean; zero where only rounding would be left."""
    centred = weights - weights.mean(0)
    return centred * (centred.norm(dim=0) > 1e-6 * weights.norm(dim=0))


def _cosines(
    modules: list[torch.nn.Module],
    rows: torch.Tensor,
    as_seen: Callable[[torch.Tensor], torch.Tensor],
    chunk: int | None,
) -> Iterator[torch.Tensor]:
    """Cosines (neurons, vocabulary) of consecutive neurons; NaN for a neuron that writes nothing."""
    rows = torch.nn.functional.normalize(rows, dim=1)  # a row of zeros has cosine 0
    for module in modules:
        for weights in weight_out(module).split(chunk or max(1, COSINES // len(rows)), dim=1):
            written = as_seen(weights.to(rows))
            yield (written / written.norm(dim=0)).T @ rows.T


def _moments(cosine: torch.Tensor) -> torch.Tensor:
    """Excess kurtosis, skewness and variance (neurons, 3) in float64 of cosines (neurons, vocabulary)."""
    at_once = max(1, IN_CACHE // cosine.shape[1]) if cosine.device.type == "cpu" else len(cosine)
    found = cosine.new_empty(len(cosine), 3, dtype=torch.float64)
    for out, part in zip(found.split(at_once), cosine.split(at_once), strict=True):
        x = part.double()
        x -= x.mean(1, keepdim=True)
        square = x**2
        variance = square.mean(1)
        skewness = x.mul_(square).mean(1) / variance**1.5  # in place, since these are the largest tensors there are
        kurtosis = square.square_().mean(1) / variance**2 - 3
        out[:] = torch.stack([kurtosis, skewness, variance], 1)
    return found.cpu()


def _strongest_tokens(cosine: torch.Tensor, top: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and cosines, each (neurons, sides, top), of the highest and of the lowest cosines of every neuron."""
    ids = torch.arange(cosine.shape[1], device=cosine.device).expand_as(cosine)
    token = torch.stack([strongest(sign * cosine, ids, top, dim=1)[1] for sign in (1, -1)], 1)
    return token.cpu(), cosine.gather(1, token.flatten(1)).view(token.shape).cpu()


def _token_table(token: torch.Tensor, cosine: torch.Tensor) -> pd.DataFrame:
    """Both (neurons, sides, top) as columns neuron, side, rank, token, cosine; without neurons that write nothing."""
    neurons, sides, top = token.shape
    table = pd.DataFrame(
        {
            "neuron": np.repeat(np.arange(neurons), sides * top),
            "side": np.tile(np.repeat(SIDES, top), neurons),
            "rank": np.tile(np.arange(1, top + 1), neurons * sides),
            "token": token.flatten().numpy(),
            "cosine": cosine.flatten().numpy(),
        }
    )
    return table.dropna(ignore_index=True)
