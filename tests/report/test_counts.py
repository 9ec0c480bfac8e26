"""What the report says of counts."""

import pandas as pd

from rosetta_scaling.report.counts import points_behind

ROWS = [("a-b", point, f"a-{point}", criterion) for criterion in ("top1", "top1_r0.5") for point in ("r1", "r2")]
COUNTS = pd.DataFrame([*ROWS, ("b-c", "r2", "b-r2", "top1")], columns=["curve", "point", "anchor", "criterion"])


def addresses(criterion: str = "", metric: str = "") -> dict[str, list[tuple[str, str]]]:
    return points_behind(COUNTS, {"criterion": criterion, "metric": metric})


def test_a_claim_leads_to_every_point_by_the_set_that_it_is_about():
    assert addresses() == {
        "a-b": [("r1", "n=a-r1&r=a-b.top1"), ("r2", "n=a-r2&r=a-b.top1")],
        "b-c": [("r2", "n=b-r2&r=b-c.top1")],
    }
    assert addresses("top1_r0.5")["b-c"] == [("r2", "n=b-r2&r=b-c.top1_r0.5")]
    order = "&s=gini&d=1"
    assert addresses(metric="gini")["b-c"] == [("r2", f"n=b-r2&r=b-c.top1{order}")]
    named = addresses("top1_fdr05", "gini")
    assert named["a-b"] == [("r1", f"n=a-r1&r=a-b.top1_fdr05{order}"), ("r2", f"n=a-r2&r=a-b.top1_fdr05{order}")]
