"""What people read: figures, the report, and where its numbers come from."""

import datetime
import shutil
from pathlib import Path

import pandas as pd

from rosetta_scaling import WORKFLOW
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.names import FIT_TABLES, STUDY_TABLES
from rosetta_scaling.stages.companions import companion_tables
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.store.digests import digest
from rosetta_scaling.store.tables import read_json, read_table, write_json


def figure_inputs(plan: StudyPlan) -> Inputs:
    layout = plan.layout
    return {
        "tables": [layout.tables(f"{name}.csv") for name in (*STUDY_TABLES, *FIT_TABLES)],
        "fits": [layout.tables("fits.json")],
        "claims": [layout.tables("claims.json")],
    }


def figure_labels(figure: str) -> dict[str, str]:
    """What Snakemake's own report lists of a figure: its name, and the first sentence of its caption."""
    caption = (WORKFLOW / f"report/captions/{figure}.rst").read_text()
    return {"figure": figure, "it shows": caption.split(". ")[0].rstrip(".\n")}


def draw_figures(layout: Layout, folder: str) -> None:
    """Draw all figures of a study, each with the table that it shows."""
    from rosetta_scaling.report.figures.catalogue import make_figures

    make_figures(Path(layout.tables("counts.csv")).parent, Path(folder))


def report_inputs(plan: StudyPlan) -> Inputs:
    layout, tables = plan.layout, figure_inputs(plan)
    written = [*tables["tables"], *tables["fits"], *tables["claims"]]
    written += [layout.tables("power.csv"), layout.tables("settled.csv")]
    return {
        "figures": [layout.figures],
        "tables": [*written, *layout.continued_tables, *layout.transport_tables],
        "audit": [layout.audit_table],
        "corpus": [layout.corpus_manifest],
        "units": layout.units_tables,
        "companions": [folder for name in plan.study.companions.studies for folder in companion_tables(plan, name)],
    }


def write_study_report(plan: StudyPlan, *, page: str, provenance: str, crate: str) -> None:
    """Write the report of a study, its provenance, and both as a Workflow Run RO-Crate."""
    from rosetta_scaling.report.crate import run_crate
    from rosetta_scaling.report.pages import write_report

    layout = plan.layout
    write_provenance(plan, Path(provenance))
    companions: dict[str, list[str]] = {name: companion_tables(plan, name) for name in plan.study.companions.studies}
    write_report(Path(layout.results), Path(page).parent, companions)
    folder, files = Path(layout.results), report_inputs(plan)
    shutil.copyfile(WORKFLOW / "Snakefile", folder / "Snakefile")
    written = [Path(page), Path(layout.fits_page), Path(provenance)]
    results = [*written, *(Path(file) for file in [*files["tables"], *files["audit"]])]
    write_json(Path(crate), run_crate(read_json(provenance), folder, workflow=folder / "Snakefile", results=results))


def size_of_units(units: pd.DataFrame) -> dict[str, float | str]:
    """How large a unit is: the mean length of a span of text, or the grid of the patches of an image."""
    if "text" in units:
        return {"mean_bytes": float((units.end - units.start).mean())}
    return {"grid": f"{units.row.max() + 1} x {units.column.max() + 1} patches"}


def write_provenance(plan: StudyPlan, out: Path) -> None:
    """Write what a reader needs to repeat the study and to check that the result is the same."""
    from rosetta_scaling.report.provenance import environment, first_start, hashes, steps_of_rules

    layout, benchmarks, files = plan.layout, Path(plan.layout.benchmarks), report_inputs(plan)
    corpus = read_json(layout.corpus_manifest)
    scope = layout.scope(*next(iter(layout.pairs.values())))
    units = read_table(layout.units(scope))
    steps = steps_of_rules(benchmarks)
    now = datetime.datetime.now(datetime.UTC)
    write_json(
        out,
        {
            "study": layout.study.study,
            "started": first_start(benchmarks),
            "finished": now.isoformat(timespec="seconds"),
            "seconds": sum(step["seconds"] for step in steps),
            "peak_memory_mb": max((step["max_rss_mb"] or 0 for step in steps), default=None),
            **environment(),
            "configuration": layout.study.model_dump(),
            "configuration_sha256": digest(layout.study.model_dump()),
            "corpus": {
                "name": corpus["name"],
                "key": layout.corpus_key,
                "sha256": corpus["sha256"],
                "documents": corpus["totals"]["documents"],
                "bytes": corpus["totals"]["bytes"],
                "domains": {
                    name: {"documents": d["documents"], "bytes": d["bytes"]} for name, d in corpus["domains"].items()
                },
                "sources": corpus["sources"],
            },
            "units": {
                "scope": layout.study.units.scope,
                "count": len(units),
                "documents": int(units.doc.nunique()),
                **size_of_units(units),
            },
            "files": hashes(Path(file) for file in [*files["tables"], *files["audit"]]),
            "steps": steps,
        },
    )
