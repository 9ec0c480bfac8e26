"""The largest of many values, with ties decided: among equals the lower index wins, whatever the order they came in."""

import torch


def strongest(values: torch.Tensor, index: torch.Tensor, k: int, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The k largest float32 `values` along `dim`, largest first, and their entries of `index` (int64, below 2^32)."""
    k = min(k, values.shape[dim])
    if values.shape[dim] > 4 * k:  # first by value alone, six times as fast, unless a tie decides who is in
        best, place = values.topk(k + 1, dim=dim)
        if (best.narrow(dim, k - 1, 1) > best.narrow(dim, k, 1)).all():
            place = place.narrow(dim, 0, k)
            values, index = values.gather(dim, place), index.gather(dim, place)
    bits = values.view(torch.int32).long()
    key = bits ^ ((bits >> 31) & 0x7FFFFFFF)  # integers in the order of the floats they stand for
    key <<= 32
    key -= index  # distinct, since the indices of one row are
    order = key.topk(k, dim=dim).indices
    return values.gather(dim, order), index.gather(dim, order)
