"""Figures and page of a companion study: claims with caveats, figures, tables, the protocol, where it comes from."""

import datetime
import os
from pathlib import Path

import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from rosetta_scaling.claims.verdicts import VERDICTS
from rosetta_scaling.companions.catalogue import read_tables, write_figures
from rosetta_scaling.config.reference import documentation
from rosetta_scaling.config.section import Section
from rosetta_scaling.formatting import MINUS, number
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.report.cells import cells, pairs
from rosetta_scaling.report.pages import PAGE, companion_claims, figure_parts, verdict_words, write_page
from rosetta_scaling.report.provenance import environment, hashes
from rosetta_scaling.report.sources import files_cells, words_of_commit
from rosetta_scaling.schemas.names import COMPANION_TITLES
from rosetta_scaling.store.digests import digest
from rosetta_scaling.store.tables import write_json

SHOWN_ROWS = 60  # of a table; longer ones are only linked


def write_companion(layout: Layout, name: str) -> None:
    """Draw the figures of a companion study, write its provenance.json, and report/NAME.html."""
    settings, folder, page = layout.companion_settings(name), Path(layout.companion(name)), Path(layout.report).parent
    folders, drawn = layout.companion_tables(name), folder / "figures"
    write_figures(name, settings, folders, drawn)
    values = settings.model_dump(mode="json")
    provenance = {
        "study": f"{name} of {layout.study.study}",
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **environment(),
        "settings": values,
        "settings_sha256": digest(values),
        "files": hashes(file for path in folders for file in Path(path).iterdir()),
    }
    write_json(folder / "provenance.json", provenance)
    claims = companion_claims(folders)
    names = sorted(path.stem for path in drawn.glob("*.svg"))
    run = {"study": provenance["study"], "finished": provenance["finished"]}
    run |= {"code, commit": words_of_commit(provenance["code"]), "settings, sha256": provenance["settings_sha256"]}
    content = {
        "title": COMPANION_TITLES[name],
        "study": layout.study.study,
        "claims": claims,
        "verdicts": verdict_words(claims),
        "figures": {figure: figure_parts(drawn, figure, PAGE / "captions" / name) for figure in names},
        "figures_path": os.path.relpath(drawn, page),
        "tables_path": os.path.relpath(folder, page),
        "tables": [
            (f"{Path(path).name}/{table}.csv", len(rows), every_cell(rows) if len(rows) <= SHOWN_ROWS else None)
            for path in folders
            for table, rows in read_tables([path]).items()
        ],
        "protocol": protocol_cells(settings),
        "run": pairs(run),
        "versions": pairs(provenance["versions"] | provenance["machine"]),
        "files": files_cells(provenance["files"]),
        "minus": MINUS,
        "verdict_names": VERDICTS,
    }
    write_page(f"{name}.html.j2", page / f"{name}.html", content)


def every_cell(table: pd.DataFrame) -> dict:
    """A table as it is, numbers with three digits."""

    def column(name: str):
        if not is_numeric_dtype(table[name]) or is_bool_dtype(table[name]):
            return name
        return lambda row: number(row[name])

    return cells(table, {name: column(name) for name in table})


def protocol_cells(settings: Section) -> dict:
    """Every setting of a study, what it is and why."""
    rows = []
    for key, _, _, meaning in documentation(type(settings)):
        value = settings
        for step in key.split("."):
            value = getattr(value, step)
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else f"{value}"
        rows.append({"setting": key, "value": shown, "meaning": " ".join(meaning.split())})
    return cells(pd.DataFrame(rows), {"setting": "setting", "value": "value", "meaning": "meaning"})
