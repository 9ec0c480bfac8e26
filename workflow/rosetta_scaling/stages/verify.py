"""Derive every verdict of a finished study again from its tables, and say what differs: `make verify`."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from rosetta_scaling.config.parsing import load
from rosetta_scaling.config.study import Study
from rosetta_scaling.jobs.run import configuration_of
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.stages.claims import judge
from rosetta_scaling.store.digests import file_sha256
from rosetta_scaling.store.tables import read_json


def changed_files(provenance: dict) -> Iterator[str]:
    """A line for every table that is gone, or is not the one that the report was written from."""
    for file in provenance["files"]:
        if not (path := Path(file["path"])).is_file():
            yield f"{path} is gone"
        elif file_sha256(path) != file["sha256"]:
            yield f"{path} is not the file that the report was written from"


def changed_verdicts(study: Study, tables: Path) -> Iterator[str]:
    """A line for every claim that the tables judge differently from claims.json, which lies beside them."""
    written = {claim["claim"]: claim for claim in read_json(tables / "claims.json")["claims"]}
    derived = {claim["claim"]: claim for claim in judge(study, tables)["claims"]}
    for words in dict.fromkeys([*written, *derived]):
        before, now = (claims.get(words, {"verdict": "no claim"}) for claims in (written, derived))
        if before["verdict"] != now["verdict"]:
            yield f"{words}: {before['verdict']} was written, the tables say {now['verdict']}"
        elif before != now:
            parts = sorted(part for part in before.keys() | now.keys() if before.get(part) != now.get(part))
            yield f"{words}: the verdict is the same, but not {', '.join(parts)}"


def main() -> int:
    """Check the tables of a finished study against their hashes, and derive its verdicts again from them."""
    parser = argparse.ArgumentParser(prog="verify", description=main.__doc__)
    parser.add_argument("study", nargs="?", default="", help="name of a file in workflow/studies; default: config.yaml")
    study = load(configuration_of(parser.parse_args().study) or Path("config.yaml"))
    provenance = Path(Layout(study, corpus_key="unused").tables("provenance.json"))
    if not provenance.is_file():
        print(f"{provenance} is missing: run the study to its end first")
        return 2
    differences = [*changed_files(read_json(provenance)), *changed_verdicts(study, provenance.parent)]
    for difference in differences:
        print(difference)
    if not differences:
        claims = len(read_json(provenance.parent / "claims.json")["claims"])
        print(f"All {claims} verdicts follow from the tables, which are those that the report was written from.")
    return int(bool(differences))
