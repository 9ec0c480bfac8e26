"""The page of a study that still runs: what its first points say, with every null, and no verdict."""

from pathlib import Path

import pandas as pd

from rosetta_scaling.claims.verdicts import VERDICTS
from rosetta_scaling.report.counts import counts_cells, stability_cells
from rosetta_scaling.report.pages import write_page
from rosetta_scaling.report.sources import models_cells
from rosetta_scaling.schemas.nulls import CENTRAL, NULLS


def write_so_far(
    page: Path, *, study: str, counts: pd.DataFrame, models: pd.DataFrame, of: int, links: dict[str, str]
) -> None:
    """Write the page.

    `counts` and `models` are as in tables/, of the points that are known, and `of` is how many there will be;
    `links` has the words and addresses of the pages that will say more.
    """
    criterion = counts["criterion"].iloc[0]
    counts = counts[counts["criterion"] == criterion]
    content = {
        "study": study,
        "criterion": criterion,
        "central": NULLS[CENTRAL].label,
        "counts": counts_cells(counts, {"curve": "curve"}),
        "stability": stability_cells(counts, {"curve": "curve"}),
        "models": models_cells(models),
        "known": len(counts),
        "points": of,
        "links": links,
        "viewer_path": "",  # the neurons are shown when all are known
        "verdict_names": VERDICTS,
    }
    write_page("so_far.html.j2", page, content)
