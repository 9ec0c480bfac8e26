"""All tables of the first page, as formatted cells."""

from typing import Any

import pandas as pd

from rosetta_scaling.formatting import fixed, percent
from rosetta_scaling.report.counts import (
    counts_cells,
    decomposition_cells,
    fits_cells,
    lists_cells,
    no_chance,
    points_of_curves,
    recurrence_cells,
    seeds_cells,
    stability_cells,
    transport_cells,
)
from rosetta_scaling.report.figures.data import anchor_rows
from rosetta_scaling.report.selectivity import (
    continued_cells,
    diagonal_cells,
    judge_cells,
    mean_cells,
    polarization_cells,
    trends_cells,
)
from rosetta_scaling.report.sources import audit_cells, models_cells, provenance_cells

EFFECTS, MEDIANS = ("effect", "adjusted"), ("median_rosetta", "median_others", "difference")


def table_cells(tables: dict[str, pd.DataFrame], provenance: dict) -> dict[str, Any]:
    """Every table of the page by the name the template knows it under, the sentence of `no_chance`, and the points."""
    counts, fits, trends = tables["counts"], tables["fits"], tables["trends"]
    metrics = trends[trends["table"] == "polarization"]
    effects, medians = (metrics[metrics["quantity"].isin(some)] for some in (EFFECTS, MEDIANS))
    main = counts["criterion"].iloc[0]
    return {
        "counts": counts_cells(counts[counts["criterion"] == main], {"curve": "curve"}),
        "counts_others": counts_cells(
            counts[counts["criterion"] != main], {"curve": "curve", "criterion": "criterion"}
        ),
        "points_of_curves": points_of_curves(counts[counts["criterion"] == main]),
        "no_chance": no_chance(tables["decomposition"]),
        "decomposition": decomposition_cells(tables["decomposition"]),
        "stability": stability_cells(counts[counts["criterion"] == main], {"curve": "curve"}),
        "stability_others": stability_cells(
            counts[counts["criterion"] != main], {"curve": "curve", "criterion": "criterion"}
        ),
        "lists": lists_cells(tables["lists"]),
        "recurrence": recurrence_cells(tables["recurrence"]),
        "transport": transport_cells(tables["transport"]),
        "seeds": seeds_cells(tables["seeds"][tables["seeds"]["criterion"] == main]),
        "fits": fits_cells(fits[fits["criterion"] == main], {"curve": "curve"}),
        "fits_others": fits_cells(fits[fits["criterion"] != main], {"curve": "curve", "criterion": "criterion"}),
        "trends": trends_cells(effects, "metric"),
        "trends_medians": trends_cells(medians[medians["set"] == trends["set"].iloc[0]], "metric"),
        "trends_specialisation": trends_cells(trends[trends["table"] == "specialisation"], "domain"),
        "trends_families": trends_cells(trends[trends["table"] == "families"], "family"),
        "polarization": polarization_cells(anchor_rows(tables["polarization"])),
        "specialisation": mean_cells(anchor_rows(tables["specialisation"]), "domain", fixed),
        "families": mean_cells(anchor_rows(tables["families"]), "family", percent),
        "diagonal": diagonal_cells(tables["diagonal"]),
        "judge": judge_cells(tables["judge"]),
        "continued": continued_cells(tables["continued"]),
        "models": models_cells(tables["models"]),
        "audit": audit_cells(tables["audit"]),
        **provenance_cells(provenance),
    }
