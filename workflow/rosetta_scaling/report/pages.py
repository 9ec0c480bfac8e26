"""The report of a study: html pages that open offline, with every claim, figure, table and where they come from.

tables.py and fits.py format the tables; the templates of the pages are in workflow/report/.
"""

import base64
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import jinja2
import pandas as pd

from rosetta_scaling import WORKFLOW
from rosetta_scaling.claims.verdicts import FIT, METRIC, VERDICTS
from rosetta_scaling.fits.checklist import Fits, read_checked
from rosetta_scaling.formatting import MINUS, data_size, number
from rosetta_scaling.report.answer import answer
from rosetta_scaling.report.claims import (
    claim_table,
    claims_of,
    listed,
    power_cells,
    read_claims,
    read_undecidable,
    settled_words,
    shown_first,
    verdict_words,
)
from rosetta_scaling.report.counts import points_behind
from rosetta_scaling.report.figures.catalogue import FIGURES
from rosetta_scaling.report.figures.entry import FigureEntry
from rosetta_scaling.report.fits import fit_cells
from rosetta_scaling.report.methods import REFERENCES, methods_paragraph
from rosetta_scaling.report.selectivity import verdict_cells
from rosetta_scaling.report.tables import table_cells
from rosetta_scaling.schemas.metrics import METRICS
from rosetta_scaling.schemas.names import COMPANION_TITLES, FIT_TABLES
from rosetta_scaling.schemas.nulls import CENTRAL, NULLS, chance_nulls
from rosetta_scaling.schemas.tables.continued import CONTINUED
from rosetta_scaling.schemas.tables.transport import TRANSPORT
from rosetta_scaling.store.atomic import atomic
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json, read_table

PAGE = WORKFLOW / "report"  # template, style sheet and captions
TABLES: tuple[str, ...] = ("models", "audit", "counts", "lists", "decomposition", "recurrence", "seeds", *FIT_TABLES)
TABLES += ("polarization", "specialisation", "families", "trends", "diagonal", "judge")


def write_report(results_dir: str | Path, folder: str | Path, companions: Mapping[str, list[str]]) -> None:
    """Write index.html and fits.html to `folder`, from results_dir/tables (csv, json) and results_dir/figures (svg).

    `companions` maps the name of every companion study that has a page to its folders with a claims.json. Raises
    StudyError when a table or figure is missing or damaged, when a verdict is none of VERDICTS, or when a fit lacks
    something that it must report.
    """
    results, folder = Path(results_dir), Path(folder)
    tables = {name: read_table(results / "tables" / f"{name}.csv") for name in TABLES}
    judged = results / "tables" / "claims.json"
    claims, settled = read_claims(judged), settled_words(read_table(results / "tables" / "settled.csv"))
    fits = check_fits(tables["uncertainty"], read_checked(results / "tables" / "fits.json"))
    provenance = read_json(results / "tables" / "provenance.json")
    tables["continued"] = read_continued(results, provenance)
    tables["transport"] = read_transport(results, provenance)
    shared = {
        "provenance": provenance,
        "figures": {name: figure_parts(results / "figures", name) for name in FIGURES},
        "places": figures_by_place(),
        "nulls": list(NULLS.values()),
        "metrics": [METRICS[name] for name in METRICS if name in set(tables["polarization"]["metric"])],
        "chance_words": listed([NULLS[name].adjective for name in chance_nulls()]),
        "other_words": ", ".join(dict.fromkeys(null.adjective for null in NULLS.values() if not null.chance)),
        "central": NULLS[CENTRAL].label,
        "figures_path": os.path.relpath(results / "figures", folder),
        "tables_path": os.path.relpath(results / "tables", folder),
        "viewer_path": viewer_path(results, folder, provenance),
        "points_behind": partial(points_behind, tables["counts"]),
        "minus": MINUS,
        "verdict_names": VERDICTS,
    }
    of_metrics, of_fits = ([claim for claim in claims if claim.topic == topic] for topic in (METRIC, FIT))
    pages = {
        "index.html": {
            **table_cells(tables, provenance),
            **shown_first(claims, read_undecidable(judged), settled),
            "power": power_cells(results / "tables" / "power.csv"),
            "answer": answer(tables, claims, provenance),
            "criterion": tables["counts"]["criterion"].iloc[0],
            "verdicts": verdict_cells(of_metrics),
            "fit_verdicts": verdict_words(of_fits),
            "corpus_words": corpus_words(provenance),
            "methods": methods_paragraph(provenance),
            "references": REFERENCES,
            "companions": [companion_line(name, folders) for name, folders in companions.items()],
        },
        "fits.html": {
            **fit_cells(tables, fits),
            "fit_claims": claim_table(of_fits, settled),
            "fit_verdicts": verdict_words(of_fits),
        },
    }
    for name, content in pages.items():
        write_page(f"{name}.j2", folder / name, shared | content)


def write_page(template: str, path: Path, content: Mapping) -> None:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    with atomic(path) as part:
        part.write_text(environment.get_template(template).render(content), encoding="utf-8")


def read_continued(results: Path, provenance: dict) -> pd.DataFrame:
    """What became of neurons under further training; no rows where no network was trained further."""
    families = provenance["configuration"]["families"].values()
    if all(family["source"] != "continued" for family in families):
        return CONTINUED.empty()
    return read_table(results / "tables" / "continued.csv")


def read_transport(results: Path, provenance: dict) -> pd.DataFrame:
    """What partial optimal transport matches; no rows where it is not asked for."""
    if provenance["configuration"]["matching"]["transport_min_r"] is None:
        return TRANSPORT.empty()
    return read_table(results / "tables" / "transport.csv")


def viewer_path(results: Path, folder: Path, provenance: dict) -> str:
    """The page that shows the neurons, as the report finds it; empty where the study makes none."""
    made = provenance["configuration"]["viewer"]["make"]
    return os.path.relpath(results / "viewer" / "index.html", folder) if made else ""


def companion_line(name: str, folders: list[str]) -> dict[str, str]:
    """What the report says of a companion study: page, title, verdicts."""
    words = verdict_words(claims_of(folders))
    return {"page": f"{name}.html", "title": COMPANION_TITLES[name], "verdicts": words}


def check_fits(uncertainty: pd.DataFrame, fits: Fits) -> Fits:
    """Refuse fits.json when it lacks a fit whose uncertainty is in the tables."""
    reported = {(fit.curve, fit.criterion, fit.quantity) for fit in fits.fits}
    for fit in uncertainty[["curve", "criterion", "quantity"]].astype(str).itertuples(index=False, name=None):
        if fit not in reported:
            raise StudyError(f"fits.json: the fit of {', '.join(fit)} is missing; run the step that writes it again.")
    return fits


def figures_by_place() -> dict[str, list[FigureEntry]]:
    """The figures of every place of a page, in the order of the catalogue."""
    places: dict[str, list[FigureEntry]] = {}
    for entry in FIGURES.values():
        places.setdefault(entry.place, []).append(entry)
    return places


def figure_parts(folder: Path, name: str, captions: Path = PAGE / "captions") -> dict[str, str]:
    """The picture as a data URI (inline SVGs would share their ids) and its caption."""
    path = folder / f"{name}.svg"
    if not path.is_file():
        raise StudyError(f"{path}: no such figure; run the study again and the step that draws it will.")
    image = base64.b64encode(path.read_bytes()).decode()
    caption = (captions / f"{name}.rst").read_text(encoding="utf-8").strip()
    return {"image": f"data:image/svg+xml;base64,{image}", "caption": caption}


# ---- words -----------------------------------------------------------------------------------------------------------


def corpus_words(provenance: dict) -> str:
    corpus, units = provenance["corpus"], provenance["units"]
    others = [f"{key.replace('_', ' ')}: {value}" for key, value in units.items() if key != "count"]
    words = f" ({', '.join(others)})" if others else ""
    return (
        f"Corpus {corpus['name']}: {number(corpus['documents'])} documents, {data_size(corpus['bytes'])}. "
        f"The networks are compared on {number(units['count'])} units{words}."
    )
