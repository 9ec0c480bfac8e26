"""Photographs inside packages: what the registry pins, and what becomes of it."""

import io
import re
import warnings
from collections import Counter

import numpy as np
import pytest
import yaml
from made_wheels import make_wheel
from PIL import Image

from rosetta_scaling import WORKFLOW
from rosetta_scaling.config.corpus import Corpus
from rosetta_scaling.config.images import Images
from rosetta_scaling.corpora import photographs as source
from rosetta_scaling.corpora.images import build_image_corpus, image_corpus_identity
from rosetta_scaling.corpora.pixels import decode, encode
from rosetta_scaling.store import wheels
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_table
from rosetta_scaling.store.wheels import DownloadError, Wheel, fetch_wheel

CORPUS = Corpus(kind="photographs")
CACHE = WORKFLOW.parent / "results/cache/wheels"  # of downloads, for all sessions of tests


@pytest.fixture
def register(tmp_path, monkeypatch):
    """Puts one package with four images into a registry of its own and into the folder of wheels."""
    rng = np.random.default_rng(0)
    files = {f"p/{i}.png": encode(rng.integers(0, 256, (9, 9, 3)).astype(np.uint8)) for i in range(4)}

    def put(images):
        entry = make_wheel(tmp_path / "wheels", "pictures", files) | {"licence": "CC0", "images": images}
        del entry["path"]
        (tmp_path / "photographs.yaml").write_text(yaml.safe_dump({entry.pop("name"): entry}))
        monkeypatch.setattr(source, "REGISTRY", tmp_path / "photographs.yaml")
        source.registry.cache_clear()

    yield put
    source.registry.cache_clear()


def test_photographs_are_read_by_class(register, tmp_path):
    register({"cats": ["p/0.png", "p/1.png"], "dogs": ["p/3.png"]})
    images = Images(per_class=2, probe_per_class=1)
    manifest = build_image_corpus(CORPUS, images, tmp_path / "out", tmp_path / "wheels")
    assert manifest["sources"] == [{"name": "pictures", "version": "1.0", "licence": "CC0"}]
    documents = read_table(tmp_path / "out/documents.parquet")
    assert set(zip(documents.domain, documents.source, strict=True)) == {
        ("cats", "pictures==1.0:p/0.png"),
        ("cats", "pictures==1.0:p/1.png"),
        ("dogs", "pictures==1.0:p/3.png"),
    }
    before = image_corpus_identity(CORPUS, images)
    register({"cats": ["p/0.png"], "dogs": ["p/3.png", "p/1.png"]})
    assert image_corpus_identity(CORPUS, images) != before


def test_a_photograph_that_is_not_there_is_refused(register, tmp_path):
    register({"cats": ["p/7.png"]})
    with pytest.raises(StudyError, match=r"holds no p/7\.png; correct the path in photographs\.yaml"):
        build_image_corpus(CORPUS, Images(per_class=1, probe_per_class=1), tmp_path / "out", tmp_path / "wheels")


def test_a_wheel_of_another_machine_is_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    about = make_wheel(tmp_path / "index", "pictures", {"a": b""}, tags="cp39-cp39-win_amd64")
    del about["path"]
    assert fetch_wheel(Wheel(**about, built_for="cp39-win_amd64"), tmp_path / "wheels").parent.name == "wheels"
    monkeypatch.setattr(wheels, "ATTEMPTS", 1)
    with pytest.raises(DownloadError):
        fetch_wheel(Wheel(**about), tmp_path / "none")


def test_the_registry_is_balanced():
    counts = Counter()
    for package in source.registry():
        assert re.fullmatch("[0-9a-f]{64}", package.wheel.sha256)
        counts.update({domain: len(paths) for domain, paths in package.images.items()})
    assert counts == dict.fromkeys(("animals", "scenes", "surfaces", "things"), 8)
    assert len(counts) == CORPUS.most_domains


@pytest.mark.slow(0.1)
def test_the_real_photographs():
    try:
        found = list(source.photographs(CACHE))
    except DownloadError as error:
        warnings.warn(f"tests with real photographs are skipped: {error}", stacklevel=1)
        pytest.skip(str(error))
    assert len({photograph.data for photograph in found}) == 32
    for photograph in found:
        assert min(Image.open(io.BytesIO(photograph.data)).size) >= 300
        assert decode(photograph.data, photograph.source).std() > 5
