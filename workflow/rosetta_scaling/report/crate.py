"""A Workflow Run RO-Crate of a study: what was run, on what, with which results, in the words of schema.org.

Profile: https://w3id.org/ro/wfrun/workflow/0.5. The folder of the study is the crate.
"""

from collections.abc import Iterable
from pathlib import Path

RUN_PROFILES = ("process/0.5", "workflow/0.5")
WORKFLOW_PROFILE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
SHA256 = "https://w3id.org/ro/terms/workflow-run#sha256"  # the crate's own vocabulary has no such word
FORMATS = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".html": "text/html",
    ".parquet": "application/octet-stream",
}
Entity = dict[str, object]


def run_crate(provenance: dict, folder: Path, *, workflow: Path, results: Iterable[Path]) -> dict:
    """The content of ro-crate-metadata.json for the study in `folder`, from its provenance.json.

    `workflow` is the copy of the Snakefile, `results` the files that people read; all lie below `folder`.
    """
    hashes = {Path(file["path"]).resolve(): file["sha256"] for file in provenance["files"]}
    files = [_file(path, folder, hashes.get(path.resolve())) for path in results]
    main = f"{workflow.relative_to(folder)}"
    profiles = [f"https://w3id.org/ro/wfrun/{profile}" for profile in RUN_PROFILES] + [WORKFLOW_PROFILE]
    study = provenance["study"]
    graph = [
        {
            "@id": "ro-crate-metadata.json",
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": [{"@id": "https://w3id.org/ro/crate/1.1"}, {"@id": WORKFLOW_PROFILE}],
        },
        {
            "@id": "./",
            "@type": "Dataset",
            "name": f"Rosetta neurons and model size: the study {study}",
            "description": "Counts of the neurons that independently trained networks share, with nulls and verdicts.",
            "datePublished": provenance["finished"],
            "author": {"@id": "#who"},
            "license": {"@id": "https://spdx.org/licenses/MIT"},
            "conformsTo": _links(profiles),
            "hasPart": _links([main, *(str(file["@id"]) for file in files)]),
            "mainEntity": {"@id": main},
            "mentions": {"@id": "#run"},
        },
        *({"@id": profile, "@type": "CreativeWork", "name": profile.split("org/")[1]} for profile in profiles),
        {"@id": "https://spdx.org/licenses/MIT", "@type": "CreativeWork", "name": "MIT License"},
        *_software(main, provenance),
        {
            "@id": "#run",
            "@type": "CreateAction",
            "name": f"Run of the study {study}",
            "description": "All jobs of the study, whose times and memory stand in tables/provenance.json.",
            "instrument": {"@id": main},
            "agent": {"@id": "#who"},
            "startTime": provenance["started"] or provenance["finished"],
            "endTime": provenance["finished"],
            "actionStatus": "http://schema.org/CompletedActionStatus",
            "object": [{"@id": "#configuration"}, {"@id": "#corpus"}],
            "result": _links(str(file["@id"]) for file in files),
        },
        {"@id": "#who", "@type": "Person", "name": "whoever ran the study"},
        _value("#configuration", "configuration, sha256", provenance["configuration_sha256"]),
        _value("#corpus", "corpus, sha256", provenance["corpus"]["sha256"]),
        *files,
    ]
    return {"@context": ["https://w3id.org/ro/crate/1.1/context", {"sha256": SHA256}], "@graph": graph}


def _software(main: str, provenance: dict) -> list[Entity]:
    return [
        {
            "@id": main,
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
            "name": "rosetta-scaling",
            "description": "The workflow of the study; its rules lie beside it in the commit that `version` names.",
            "version": provenance["code"]["commit"],
            "encodingFormat": "text/plain",
            "programmingLanguage": {"@id": "#snakemake"},
            "conformsTo": {"@id": BIOSCHEMAS},
        },
        {
            "@id": "#snakemake",
            "@type": "ComputerLanguage",
            "name": "Snakemake",
            "version": provenance["versions"]["snakemake"],
            "url": {"@id": "https://snakemake.github.io"},
            "identifier": {"@id": "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"},
        },
    ]


def _file(path: Path, folder: Path, sha256: str | None) -> Entity:
    entity: Entity = {
        "@id": f"{path.relative_to(folder)}",
        "@type": "File",
        "name": path.name,
        "encodingFormat": FORMATS[path.suffix],
        "contentSize": str(path.stat().st_size),
    }
    return entity | ({"sha256": sha256} if sha256 else {})


def _links(names: Iterable[str]) -> list[dict[str, str]]:
    return [{"@id": name} for name in names]


def _value(name: str, meaning: str, value: str) -> Entity:
    return {"@id": name, "@type": "PropertyValue", "name": meaning, "value": value}
