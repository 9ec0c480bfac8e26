"""Output-side selectivity: what a neuron writes, seen through the vocabulary. From the weights alone."""

import numpy as np
import pandas as pd
import torch

from rosetta_scaling.hooks import final_norm_gain, find_down_projections, weight_out


def vocab_kurtosis(weights_out: torch.Tensor, weights_vocabulary: torch.Tensor, chunk: int = 1024) -> np.ndarray:
    """Excess kurtosis over the vocabulary of cos(W_out, W_U), one value per neuron (the paper's section 5.1).

    weights_out (hidden, neurons), weights_vocabulary (vocabulary, hidden). Cosines in float32, moments in float64.
    """
    tokens = torch.nn.functional.normalize(weights_vocabulary.float(), dim=1)
    values = []
    for part in weights_out.float().split(chunk, dim=1):
        cosine = (tokens @ torch.nn.functional.normalize(part, dim=0)).double()  # (vocabulary, neurons)
        centred = cosine - cosine.mean(0)
        values.append((centred**4).mean(0) / (centred**2).mean(0) ** 2 - 3)
    return torch.cat(values).cpu().numpy()


@torch.no_grad()
def output_metrics(model: torch.nn.Module) -> pd.DataFrame:
    """One row per neuron, layers in order: vocab_kurtosis and vocab_kurtosis_folded.

    The paper does not say how it treats the final norm, so there are both readings: `vocab_kurtosis` takes W_U as it
    is; `vocab_kurtosis_folded` multiplies W_U by the gain of the final norm and subtracts its mean row, because the
    softmax ignores what all tokens share. NaN where there is no unembedding to compare with.
    """
    outputs = [weight_out(module) for module in find_down_projections(model)]
    head, gain = model.get_output_embeddings(), final_norm_gain(model)
    readings = {"vocab_kurtosis": None, "vocab_kurtosis_folded": None}
    # A head behind a projection reads another space than neurons write to: a cosine would mean nothing.
    if head is not None and head.weight.shape[1] == outputs[0].shape[0]:
        readings["vocab_kurtosis"] = head.weight
        if gain is not None:
            readings["vocab_kurtosis_folded"] = head.weight * gain - (head.weight * gain).mean(0)
    table = pd.DataFrame(np.nan, range(sum(weights.shape[1] for weights in outputs)), list(readings))
    for name, vocabulary in readings.items():
        if vocabulary is not None:
            table[name] = np.concatenate([vocab_kurtosis(weights, vocabulary) for weights in outputs])
    return table
