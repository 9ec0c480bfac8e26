"""What partial optimal transport matches of two networks, beside draws of the central null."""

from collections.abc import Sequence

import pandas as pd

from rosetta_scaling.numerics.intervals import of_excess
from rosetta_scaling.points.counts import draws_summary
from rosetta_scaling.schemas.nulls import CENTRAL, NULLS


def transport_counts(found: pd.DataFrame, draws: Sequence[str], confidence: float) -> dict[str, float]:
    """The COUNTS of a row of tables/transport.csv; `found` has the pairs of the real networks and of `draws`."""
    numbers = found.groupby("variant")[["transported", "mutual"]].sum().reindex(["real", *draws], fill_value=0)
    real, nulls = numbers.loc["real"], numbers.loc[list(draws)].astype(float)
    row = {"transported": real.transported}
    row |= draws_summary(nulls.transported.to_numpy()).columns(NULLS[CENTRAL].column)
    row |= of_excess(real.transported, nulls.transported.to_numpy(), confidence).columns("excess")
    both = found[found.variant == "real"][["transported", "mutual"]].all(axis=1).sum()
    return row | {"both": both, "mutual": real.mutual, "mutual_null": nulls.mutual.mean()}
