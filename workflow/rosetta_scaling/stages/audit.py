"""Refuse networks that are not independent."""

from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.schemas.tables.sources import AUDIT
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.store.digests import require_unchanged
from rosetta_scaling.store.tables import read_json


def audit_inputs(plan: StudyPlan) -> Inputs:
    return {"manifests": [plan.layout.checkpoint_manifest(model) for model in plan.layout.models]}


def write_audit(layout: Layout, out: str) -> None:
    """Compare the networks of every pair of a study; refuse what is damaged or cannot be taken for independent."""
    from rosetta_scaling.networks.audit.fingerprints import fingerprint
    from rosetta_scaling.networks.audit.independence import audit, require_independent

    for model in layout.models:
        written = read_json(layout.checkpoint_manifest(model))["sha256"]
        require_unchanged(layout.checkpoint(model), written, users_own=layout.source(model) == "local")
    found = {model: fingerprint(layout.checkpoint(model)) for model in layout.models}
    pairs = list(layout.pairs.values())
    audited = audit(found, pairs, descended=[(a, b) for a, b in pairs if layout.root(a) == layout.root(b)])
    require_independent(audited)
    write_checked_table(out, audited, AUDIT)
