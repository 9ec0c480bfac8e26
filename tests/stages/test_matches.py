"""What the summary of a pair says of its matching."""

from types import SimpleNamespace

import pandas as pd

from rosetta_scaling.matching.neighbours import BestPartners, Neighbours
from rosetta_scaling.stages.matches import summary_of_matches


def test_a_summary_says_how_many_neurons_were_rescored():
    best = BestPartners(Neighbours.empty(5, 2), Neighbours.empty(4, 2))
    best.a.rescored[1:4] = True
    best.b.constant[0] = True
    plan = SimpleNamespace(matching=SimpleNamespace(engine="exact", placement="stored"))
    table = pd.DataFrame({"rank_a": [1, 0, 2], "rank_b": [1, 1, 1]})
    summary = summary_of_matches(plan, "a--b", table, best)
    assert summary["matches"] == 2
    assert [summary[f"{name}_{side}"] for name in ("neurons", "constant", "rescored") for side in "ab"] == [
        *(5, 4),
        *(0, 1),
        *(3, 0),
    ]
