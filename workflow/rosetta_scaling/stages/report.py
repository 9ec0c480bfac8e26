"""Write where the numbers of a report come from."""

import datetime
from pathlib import Path

from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.report.provenance import environment, first_start, hashes, steps_of_rules
from rosetta_scaling.store.digests import digest
from rosetta_scaling.store.tables import read_json, read_table, write_json


def write_provenance(layout: Layout, tables: Path, benchmarks: Path, out: Path) -> None:
    """Write what a reader needs to repeat the study and to check that the result is the same."""
    corpus = read_json(f"{layout.corpus_dir}/manifest.json")
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
                "mean_bytes": float((units.end - units.start).mean()),
            },
            "files": hashes(file for file in tables.iterdir() if file != out),
            "steps": steps,
        },
    )
