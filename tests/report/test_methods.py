"""What the report offers for the methods section of a paper."""

import pytest
import yaml
from study_runs import ROOT

from rosetta_scaling.config.parsing import parse
from rosetta_scaling.report.methods import REFERENCES, methods_paragraph
from rosetta_scaling.schemas.nulls import NULLS

STUDIES = [ROOT / "config.yaml", *sorted((ROOT / "workflow/studies").glob("*.yaml"))]
RUN = {
    "corpus": {"bytes": 11e6, "domains": {"code": {}, "law": {}}},
    "units": {"count": 25_508, "mean_bytes": 2.31},
    "code": {"commit": "abc123"},
    "versions": {"snakemake": "9.27.1", "torch": "2.13.0", "transformers": "5.23.0"},
    "machine": {"cores": 2, "processor": "a processor"},
}


OF_IMAGES = {
    "corpus": {"documents": 10_240, "domains": {"plain_disc": {}, "dots_cross": {}}},
    "units": {"count": 28_800, "grid": "6 x 6 patches"},
}


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_paragraph_follows_the_configuration(path):
    study = parse(yaml.safe_load(path.read_text()))
    sees = study.modality == "image"
    words = methods_paragraph(RUN | (OF_IMAGES if sees else {}) | {"configuration": study.model_dump()})
    for name in study.families:
        assert name in words
    for null in NULLS.values():
        draws = getattr(study.nulls, f"{null.name}_draws")
        assert (f"{null.label} ({draws} draw" in words) == (draws > 0)
    trained = any(family.source == "ladder" for family in study.families.values())
    if sees:
        images = study.ladder.tokens // study.ladder.context
        assert (f"{images:,} images with its own seed" in words) == trained
        assert "10,240 images of 2 classes" in words
        assert "28,800 patches of held-out images, on a common grid of 6 x 6 patches" in words
        assert "text" not in words
        assert "tokenizer" not in words
    else:
        assert (f"{study.ladder.tokens:,} tokens" in words) == trained
        assert "11 MB of text in 2 domains (code, law)" in words
        assert "25,508 spans" in words
    assert "commit abc123" in words


def test_works_that_are_named_are_in_the_references():
    study = parse(yaml.safe_load(STUDIES[0].read_text()))
    words = methods_paragraph(RUN | {"configuration": study.model_dump()})
    for author, year in (("Candès", 2015), ("Hartung", 2003), ("Mölder", 2021)):
        assert author in words
        assert any(author in reference and f"({year})" in reference for reference in REFERENCES)
