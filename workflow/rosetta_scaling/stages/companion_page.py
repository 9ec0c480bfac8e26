"""Figures and page of a companion study: claims with caveats, figures, tables, the protocol, where it comes from."""

import datetime
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from rosetta_scaling.claims.verdicts import VERDICTS
from rosetta_scaling.companions.catalogue import MAIN_CLAIMS, read_tables, write_figures
from rosetta_scaling.config.reference import documentation
from rosetta_scaling.config.section import Section
from rosetta_scaling.formatting import MINUS, number
from rosetta_scaling.layout.keys import CompanionSettings
from rosetta_scaling.report.cells import cells, pairs
from rosetta_scaling.report.claims import claims_of, shown_first, verdict_words
from rosetta_scaling.report.pages import PAGE, figure_parts, write_page
from rosetta_scaling.report.provenance import environment, hashes
from rosetta_scaling.report.sources import files_cells, words_of_commit
from rosetta_scaling.schemas.names import COMPANION_TITLES
from rosetta_scaling.store.digests import digest
from rosetta_scaling.store.tables import write_json

SHOWN_ROWS = 60  # of a table; longer ones are only linked


@dataclass(frozen=True)
class CompanionPage:
    """What a page of a companion study is made of, and where it goes."""

    name: str
    study: str  # that it is made with
    settings: CompanionSettings
    tables: Sequence[str]  # folders with tables and claims.json
    figures: Path
    provenance: Path
    page: Path


def write_page_of_companion(companion: CompanionPage) -> None:
    """Draw the figures of a companion study, write its provenance, and its page."""
    write_figures(companion.name, companion.settings, companion.tables, companion.figures)
    write_json(companion.provenance, provenance := companion_provenance(companion))
    write_page(f"{companion.name}.html.j2", companion.page, page_content(companion, provenance))


def companion_provenance(companion: CompanionPage) -> dict:
    """Where the numbers of a companion study come from."""
    values = companion.settings.model_dump(mode="json")
    return {
        "study": f"{companion.name} of {companion.study}",
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **environment(),
        "settings": values,
        "settings_sha256": digest(values),
        "files": hashes(file for path in companion.tables for file in Path(path).iterdir()),
    }


def page_content(companion: CompanionPage, provenance: dict) -> dict:
    """What the template of a companion study shows."""
    claims, folder = claims_of(companion.tables), companion.page.parent
    captions = PAGE / "captions"
    places = {path.stem: captions / companion.name for path in sorted(companion.figures.glob("*.svg"))}
    places |= {MAIN_CLAIMS: captions} if MAIN_CLAIMS in places else {}
    run = {"study": provenance["study"], "finished": provenance["finished"]}
    run |= {"code, commit": words_of_commit(provenance["code"]), "settings, sha256": provenance["settings_sha256"]}
    return {
        "title": COMPANION_TITLES[companion.name],
        "study": companion.study,
        **shown_first(claims),
        "verdicts": verdict_words(claims),
        "figures": {figure: figure_parts(companion.figures, figure, place) for figure, place in places.items()},
        "figures_path": os.path.relpath(companion.figures, folder),
        "tables_path": os.path.relpath(companion.provenance.parent, folder),
        "tables": [
            (f"{Path(path).name}/{table}.csv", len(rows), every_cell(rows) if len(rows) <= SHOWN_ROWS else None)
            for path in companion.tables
            for table, rows in read_tables([path]).items()
        ],
        "protocol": protocol_cells(companion.settings),
        "run": pairs(run),
        "versions": pairs(provenance["versions"] | provenance["machine"]),
        "files": files_cells(provenance["files"]),
        "minus": MINUS,
        "verdict_names": VERDICTS,
    }


def every_cell(table: pd.DataFrame) -> dict:
    """A table as it is, numbers with three digits."""

    def column(name: str):
        if not is_numeric_dtype(table[name]) or is_bool_dtype(table[name]):
            return name
        return lambda row: number(row[name])

    return cells(table, {name: column(name) for name in table})


def in_words(value: Any) -> str:
    """A setting in words; entries by name where there are several."""
    if isinstance(value, dict):
        return "; ".join(f"{name}: {in_words(one)}" for name, one in value.items())
    if isinstance(value, Section):
        return ", ".join(f"{name} {in_words(one)}" for name, one in value if one != "")
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else f"{value}"


def protocol_cells(settings: Section) -> dict:
    """Every setting of a study, what it is and why."""
    rows = []
    for key, _, _, meaning in documentation(type(settings)):
        if ".*." in key:  # of an entry that is shown as a whole
            continue
        value = settings
        for step in key.split("."):
            value = getattr(value, step)
        rows.append({"setting": key, "value": in_words(value), "meaning": " ".join(meaning.split())})
    return cells(pd.DataFrame(rows), {"setting": "setting", "value": "value", "meaning": "meaning"})
