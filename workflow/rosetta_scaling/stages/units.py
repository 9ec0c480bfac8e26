"""Spans of text that all tokenizers of a scope can be compared on, and the unit of every token."""

from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.stages.inputs import Inputs


def align_inputs(plan: StudyPlan, scope: str) -> Inputs:
    return {"documents": [plan.layout.documents], "tokenizers": list(plan.layout.tokenizer_files(scope).values())}


def align_units(layout: Layout, scope: str, out: str) -> None:
    """Write the unit table of a scope."""
    from rosetta_scaling.units.text import align

    align(layout.documents, layout.tokenizer_files(scope), layout.study.units, out)


def index_inputs(plan: StudyPlan, scope: str, tokenizer: str) -> Inputs:
    layout = plan.layout
    return {
        "documents": [layout.documents],
        "units": [layout.units(scope)],
        "tokenizer": [layout.tokenizer_files(scope)[tokenizer]],
    }


def index_tokens_of(layout: Layout, scope: str, tokenizer: str, out: str) -> None:
    """Write the unit of every token of a tokenizer."""
    from rosetta_scaling.units.text import index_tokens

    file = layout.tokenizer_files(scope)[tokenizer]
    index_tokens(layout.documents, layout.units(scope), file, layout.study.units, out=out)
