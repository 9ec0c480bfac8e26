"""The largest of many values, with ties decided: among equals the lower index wins, whatever the order they came in."""

import torch


def strongest(values: torch.Tensor, index: torch.Tensor, k: int, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The k largest float32 `values` along `dim`, largest first, and their entries of `index` (int64, below 2^32)."""
    bits = values.view(torch.int32).long()
    key = bits ^ ((bits >> 31) & 0x7FFFFFFF)  # integers in the order of the floats they stand for
    key <<= 32
    key -= index  # distinct, since the indices of one row are
    order = key.topk(min(k, key.shape[dim]), dim=dim).indices
    return values.gather(dim, order), index.gather(dim, order)
