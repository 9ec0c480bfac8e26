"""The tables of what a study was made from, as formatted cells: networks, corpus, steps, versions and files."""

from collections.abc import Mapping

import pandas as pd

from rosetta_scaling.formatting import data_size, duration, fixed, number, percent
from rosetta_scaling.report.cells import cells, pairs


def audit_cells(audit: pd.DataFrame) -> dict:
    """What the weights of every two networks that are matched have in common."""
    columns = {"network": "a", "and": "b"} | {
        "identical weights": lambda r: percent(r["identical_share"]),
        "cosine of MLPs": lambda r: fixed(r["mlp"]),
        "at any places": lambda r: fixed(r["anywhere"]),
        "reordered": lambda r: fixed(r["reordered"]),
        "cosine of embeddings": lambda r: fixed(r["embeddings"]),
    }
    return cells(audit, columns | {"finding": "verdict"})


def models_cells(models: pd.DataFrame) -> dict:
    columns: dict = {
        "model": "model",
        "architecture": "architecture",
        "origin": "origin",
        "parameters": lambda r: number(r["parameters"]),
        "without embeddings": lambda r: number(r["non_embedding_parameters"]),
        "neurons": lambda r: number(r["neurons"]),
        "layers \N{MULTIPLICATION SIGN} width": lambda r: f"{r['layers']} \N{MULTIPLICATION SIGN} {r['hidden_size']:,}",
        "nats per token": lambda r: fixed(r["validation_loss"], 3),
        "bits per byte": lambda r: fixed(r["validation_bits_per_byte"], 3),
        **({"accuracy": lambda r: percent(r["accuracy"])} if "accuracy" in models else {}),
        "vocabulary": lambda r: number(r["vocabulary"]),
        "seed": lambda r: number(r["seed"]),
        "training tokens": lambda r: number(r["training_tokens"]),
        "times read": lambda r: fixed(r["epochs"]),
        "training time": lambda r: duration(r["train_seconds"]),
        "sha256": "hash",
    }
    return cells(models.assign(hash=models["sha256"].astype(str).str[:12]), columns)


def provenance_cells(provenance: dict) -> dict[str, dict]:
    corpus = provenance["corpus"]
    run = {
        "study": provenance["study"],
        "started": provenance["started"],
        "finished": provenance["finished"],
        "time of all jobs": duration(provenance["seconds"]),
        "memory of the largest job (MB)": provenance["peak_memory_mb"],
        "code, commit": words_of_commit(provenance["code"]),
        "configuration, sha256": provenance["configuration_sha256"],
        "corpus, sha256": corpus["sha256"],
    }
    domains = pd.DataFrame([{"domain": name} | sizes for name, sizes in corpus["domains"].items()])
    documents = {"documents": lambda r: number(r["documents"]), "size": lambda r: data_size(r["bytes"])}
    steps = {
        "rule": "rule",
        "jobs": lambda r: number(r["jobs"]),
        "time, all jobs": lambda r: duration(r["seconds"]),
        "peak memory (MB)": lambda r: number(r["max_rss_mb"]),
    }
    return {
        "run": pairs(run),
        "versions": pairs(provenance["versions"] | provenance["machine"]),
        "domains": cells(domains, {"domain": "domain"} | documents),
        "steps": cells(pd.DataFrame(provenance["steps"]), steps),
        "files": files_cells(provenance["files"]),
    }


def words_of_commit(code: Mapping) -> str:
    return f"{code['commit'] or 'not known'}{' (with uncommitted changes)' if code['dirty'] else ''}"


def files_cells(files: list[dict]) -> dict:
    columns = {"file": "path", "size": lambda r: data_size(r["bytes"]), "sha256": "sha256"}
    return cells(pd.DataFrame(files), columns)
