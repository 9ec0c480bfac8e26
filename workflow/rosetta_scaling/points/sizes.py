"""How large the models of a point are: means over the models, by every notion of size that fits know."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd


def size_columns(summaries: Sequence[Mapping[str, Any]], tokens: Sequence[float]) -> dict[str, float]:
    """Means over the models of a point, and the neurons of its anchor, which is the first.

    `summaries` say of every model its neurons (a list, one number per layer), parameters, non_embedding_parameters and
    hidden_size; `tokens` are those that it was trained on, NaN where they are not known.
    """
    sizes = pd.DataFrame(summaries)
    flops = [training_flops(*one) for one in zip(sizes.non_embedding_parameters, tokens, strict=True)]
    return {
        "neurons": sizes.neurons.map(sum).mean(),
        "parameters": sizes.parameters.mean(),
        "non_embedding_parameters": sizes.non_embedding_parameters.mean(),
        "hidden_size": sizes.hidden_size.mean(),
        "training_flops": np.mean(flops),
        "anchor_neurons": sum(sizes.neurons[0]),
    }


def training_flops(parameters: int, tokens: float) -> float:
    """6 x parameters without embeddings x training tokens (Kaplan et al. 2020); NaN where the tokens are not known."""
    return 6 * parameters * tokens
