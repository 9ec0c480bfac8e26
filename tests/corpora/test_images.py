"""The corpus of images: what is drawn is what is said, files of every kind are read right or refused in a sentence."""

import gzip
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from rosetta_scaling.corpora.images import build_image_corpus, image_corpus_identity
from rosetta_scaling.corpora.pixels import decode, encode, resized
from rosetta_scaling.corpora.procedural import (
    CLASSES,
    COLOURS,
    Thing,
    covers,
    darkened,
    draw,
    front,
    natural_noise,
    planted,
    random_things,
)
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_table


def settings(kind: str = "procedural", path=None, **images):
    corpus = SimpleNamespace(kind=kind, path=path and str(path), revision=None, domains=None, seed=0)
    own = {"size": 16, "objects": 3, "per_class": 4, "probe_per_class": 2, "image_column": "image"}
    return corpus, SimpleNamespace(**own | {"label_column": "label"} | images)


def saved(image: Image.Image, kind: str, **more) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **more)
    return file.getvalue()


NOISE = np.random.default_rng(0).integers(0, 256, (12, 16, 3)).astype(np.uint8)


# -- drawn here ------------------------------------------------------------------------------------------------------


def test_drawn_classes_are_balanced_and_the_same_every_time(tmp_path):
    manifests = [build_image_corpus(*settings(), tmp_path / name) for name in ("a", "b")]
    assert manifests[0] == manifests[1]
    documents = read_table(tmp_path / "a/documents.parquet")
    counts = documents.groupby(["domain", "split"]).size().unstack()
    assert set(counts.index) == set(CLASSES)
    assert (counts == 2).all(axis=None)
    assert documents.sha256.is_unique
    for row in documents.itertuples():
        last = planted(row.objects)[-1]
        assert row.domain == f"{last.texture}_{last.shape}"
        assert len(planted(row.objects)) == 3
    assert (documents.domain != documents.domain.shift()).mean() > 0.7, "classes are interleaved"


def test_an_object_has_its_colour_where_it_is_said_to_be():
    """Up to its hue and the light, which both leave its colour nearer to its own than to any other."""
    names, known = list(COLOURS), np.array(list(COLOURS.values()))
    looked_at = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        things = random_things(CLASSES[seed % len(CLASSES)], 2, rng)
        pixels, where = draw(things, 32, rng) / 255, front(things, 32)
        for number, thing in enumerate(things):
            own = pixels[where == number]
            if thing.texture == "plain" and len(own) > 30:
                looked_at += 1
                seen = np.median(own, 0)
                nearest = np.linalg.norm(
                    known / np.linalg.norm(known, axis=1)[:, None] - seen / np.linalg.norm(seen), axis=1
                )
                assert names[nearest.argmin()] == thing.colour
        assert (where == len(things) - 1).sum() == covers(things[-1], 32).sum(), "the last object is in front"
    assert looked_at > 10


def test_the_ground_has_the_spectrum_of_natural_images():
    """Amplitudes fall as 1 / f: as much variance in every octave, and neighbours are alike."""
    noise = natural_noise(64, np.random.default_rng(0))
    np.testing.assert_allclose(noise.std((0, 1)), 1)
    power = (np.abs(np.fft.fft2(noise, axes=(0, 1))) ** 2).mean(2)
    frequency = np.rint(64 * np.hypot(*np.meshgrid(np.fft.fftfreq(64), np.fft.fftfreq(64)))).astype(int)
    mean = {f: power[frequency == f].mean() for f in (4, 8, 16)}
    assert mean[4] / mean[8] == pytest.approx(4, rel=0.5)
    assert mean[8] / mean[16] == pytest.approx(4, rel=0.5)


def test_objects_are_turned_and_textures_turn_with_them():
    upright = Thing("red", "stripes", "square", 0.5, 0.5, 0.3, 0.0)
    turned = upright._replace(angle=np.pi / 2)
    assert (covers(upright, 32) == covers(turned, 32)).all(), "a square is the same after a quarter"
    assert (darkened(turned, 32) == np.rot90(darkened(upright, 32), 1)).all() or (
        darkened(turned, 32) == np.rot90(darkened(upright, 32), -1)
    ).all()
    assert (covers(upright._replace(angle=0.4), 32) != covers(upright, 32)).any()


# -- files of the user -----------------------------------------------------------------------------------------------


def test_files_of_every_kind_show_what_they_are():
    upright = Image.fromarray(NOISE)
    square = NOISE[:, 2:14]
    assert (decode(saved(upright, "PNG"), "x") == square).all()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    turned = saved(upright.rotate(90, expand=True), "PNG", exif=exif)
    assert (decode(turned, "x") == square).all()
    grey = (np.arange(16 * 16, dtype=np.uint32) * 257).astype(np.uint16).reshape(16, 16)
    assert (decode(saved(Image.fromarray(grey), "PNG"), "x")[..., 0].flatten() == np.arange(256)).all()
    cmyk = decode(saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"), "x")
    assert (np.abs(cmyk.astype(int) - [255, 0, 0]) < 20).all()
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert (decode(saved(clear, "PNG"), "x") == 255).all(), "what is transparent is white"
    assert decode(saved(upright.convert("P"), "GIF"), "x").shape == (12, 12, 3)
    assert resized(square, 6, 2).shape == (6, 6, 3)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "x is an empty file"),
        (b"not an image", "x cannot be read as an image"),
        (saved(Image.fromarray(NOISE), "PNG")[:300], "x cannot be read as an image"),
        (
            saved(Image.new("L", (9, 9)), "GIF", save_all=True, append_images=[Image.new("L", (9, 9), 9)]),
            "x is an animation of 2 frames",
        ),
    ],
)
def test_other_files_are_refused(data, words):
    with pytest.raises(StudyError, match=words):
        decode(data, "x")


@pytest.fixture
def folder(tmp_path):
    """Two classes of five images, one of them twice."""
    rng = np.random.default_rng(1)
    for label in ("cat", "dog"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for i in range(5):
            data = encode(rng.integers(0, 256, (9, 9, 3)).astype(np.uint8))
            (tmp_path / "photos" / label / f"{i}.png").write_bytes(data)
    (tmp_path / "photos/dog/again.png").write_bytes(data)
    (tmp_path / "photos/dog/note.txt").write_text("no image")
    return tmp_path / "photos"


def test_a_folder_has_a_class_per_subfolder(folder, tmp_path):
    manifest = build_image_corpus(*settings("folder", folder), tmp_path / "out")
    counts = {"originals": 6, "dropped_copy": 1, "left_out_by_cap": 1, "documents": 4}
    counts |= {"train_documents": 2, "probe_documents": 2}
    assert counts.items() <= manifest["domains"]["dog"].items()
    before = image_corpus_identity(*settings("folder", folder))
    (folder / "cat/0.png").write_bytes((folder / "cat/1.png").read_bytes())
    assert image_corpus_identity(*settings("folder", folder)) != before
    (folder / "cat/broken.png").write_bytes(b"\x89PNG")
    with pytest.raises(StudyError, match=r"cat/broken\.png cannot be read as an image"):
        build_image_corpus(*settings("folder", folder, per_class=9), tmp_path / "out")


def test_a_class_with_one_image_is_refused(folder, tmp_path):
    (folder / "owl").mkdir()
    (folder / "owl/0.png").write_bytes(encode(NOISE))
    with pytest.raises(StudyError, match="class 'owl' has 1 different images, its probe alone needs 2"):
        build_image_corpus(*settings("folder", folder), tmp_path / "out")
    (folder / "stray.png").write_bytes(encode(NOISE))
    with pytest.raises(StudyError, match=r"stray\.png lies directly in"):
        build_image_corpus(*settings("folder", folder), tmp_path / "out")


def test_idx_files_hold_images_and_labels(tmp_path):
    pixels = np.random.default_rng(2).integers(0, 256, (8, 5, 5)).astype(np.uint8)
    header = np.array([0x803, 8, 5, 5], ">i4").tobytes()
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + pixels.tobytes()))
    labels = np.array([0x801, 8], ">i4").tobytes() + bytes([0, 1] * 4)
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    manifest = build_image_corpus(*settings("idx", tmp_path), tmp_path / "out")
    assert {name: counts["documents"] for name, counts in manifest["domains"].items()} == {"0": 4, "1": 4}
    documents = read_table(tmp_path / "out/documents.parquet")
    first = documents[documents.source == "train-images-idx3-ubyte.gz:0"].iloc[0]
    assert (decode(first.image, "x")[..., 1] == pixels[0]).all()
    assert json.loads(first.objects) == []
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels[:-1]))
    with pytest.raises(StudyError, match="no whole idx file"):
        build_image_corpus(*settings("idx", tmp_path), tmp_path / "out")
