"""Refuse networks that are not independent."""

import pandas as pd

from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.schemas.tables.sources import AUDIT
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.store.digests import require_unchanged
from rosetta_scaling.store.tables import read_json, read_table


def audit_inputs(plan: StudyPlan, rung: str) -> Inputs:
    """The networks of a rung: a study that gets another size later audits none of the others again."""
    return {"manifests": [plan.layout.checkpoint_manifest(model) for model in plan.layout.models_of_rung(rung)]}


def write_audit(layout: Layout, rung: str, out: str) -> None:
    """Compare the networks of every pair of a rung; refuse what is damaged or cannot be taken for independent."""
    from rosetta_scaling.networks.audit.fingerprints import fingerprint
    from rosetta_scaling.networks.audit.independence import audit, require_independent

    pairs = [layout.pairs[name] for name in layout.pairs_of_rungs[rung]]
    models = layout.models_of_rung(rung)
    for model in models:
        written = read_json(layout.checkpoint_manifest(model))["sha256"]
        require_unchanged(layout.checkpoint(model), written, users_own=layout.source(model) == "local")
    found = {model: fingerprint(layout.checkpoint(model)) for model in models}
    audited = audit(found, pairs, descended=[(a, b) for a, b in pairs if layout.root(a) == layout.root(b)])
    require_independent(audited)
    write_checked_table(out, audited, AUDIT)


def audit_table_inputs(plan: StudyPlan) -> Inputs:
    return {"rungs": plan.layout.audits}


def write_audit_table(plan: StudyPlan, out: str) -> None:
    """Write the audits of all rungs as one table."""
    audited = [read_table(path) for path in audit_table_inputs(plan)["rungs"]]
    write_checked_table(out, pd.concat(audited, ignore_index=True), AUDIT)
