"""The largest of many values, with ties decided: among equals the lower index wins, whatever the order they came in."""

import torch


def strongest(values: torch.Tensor, index: torch.Tensor, k: int, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The k largest float32 `values` (two dimensions) along `dim`, largest first, and their entries of `index`.

    `index` is int64, below 2^32, of the same shape.
    """
    k = min(k, values.shape[dim])
    if values.shape[dim] > 4 * k:  # first by value alone, six times as fast, unless a tie decides who is in
        best, place = values.topk(k + 1, dim=dim)
        place = place.narrow(dim, 0, k)
        tied = best.select(dim, k - 1) <= best.select(dim, k)
        if tied.any():
            lines = tied.nonzero()[:, 0]
            order = _order(values.index_select(1 - dim, lines), index.index_select(1 - dim, lines), k, dim)
            place = place.index_copy(1 - dim, lines, order)
        values, index = values.gather(dim, place), index.gather(dim, place)
    order = _order(values, index, k, dim)
    return values.gather(dim, order), index.gather(dim, order)


def _order(values: torch.Tensor, index: torch.Tensor, k: int, dim: int) -> torch.Tensor:
    """Where the k largest stand along `dim`, the lower index first among equals."""
    bits = values.view(torch.int32).long()
    key = bits ^ ((bits >> 31) & 0x7FFFFFFF)  # integers in the order of the floats they stand for
    key <<= 32
    key -= index  # distinct, since the indices of one row are
    return key.topk(k, dim=dim).indices
