"""The study of networks that see, from images to the report."""

import re

import numpy as np
import pytest
from made_viewer import decoded
from scipy import stats
from study_runs import checkout, run, tables

from rosetta_scaling.activations.sources import StoredActivations
from rosetta_scaling.config.parsing import load
from rosetta_scaling.corpora.procedural import CLASSES
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.names import MARKS
from rosetta_scaling.schemas.nulls import NULLS
from rosetta_scaling.stages import gallery
from rosetta_scaling.stages.corpus import corpus_key
from rosetta_scaling.store.tables import read_json, read_table
from rosetta_scaling.units.groups import displacements
from rosetta_scaling.viewer.examples import EXAMPLES, NONE, codes

pytestmark = [pytest.mark.study(2), pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = checkout(tmp_path_factory.mktemp("vision"))
    code, printed = run(folder, "vision-smoke")
    assert code == 0, printed
    return folder


def activations(folder, model: str) -> np.ndarray:
    stored = StoredActivations(folder / f"results/vision-smoke/activations/study/{model}")
    return np.concatenate([chunk.double().numpy() for chunk in stored.chunks()], axis=1)


def test_counts_and_nulls_follow_from_the_activations(finished):
    counts = tables(finished, "vision-smoke", ["counts"])["counts"]
    row = counts[(counts.point == "r1") & (counts.criterion == "mutual_top1")].iloc[0]
    dit, vit = (activations(finished, f"{family}-r1") for family in ("dit", "vit"))

    def mutual(a: np.ndarray, b: np.ndarray) -> int:
        r = np.corrcoef(a, b)[: len(a), len(a) :]
        return sum(r[:, best].argmax() == i for i, best in enumerate(r.argmax(1)))

    assert dit.shape == (2 * 4 * 16, len(CLASSES) * 4 * 16), "neurons of two layers, patches of all probe images"
    assert row["count"] == mutual(dit, vit)
    assert row[[f"null_{null}" for null in NULLS]].notna().all()
    untrained = [activations(finished, f"{family}-r1.untrained0") for family in ("dit", "vit")]
    assert row.null_untrained == mutual(*untrained)
    doc = read_table(finished / "results/vision-smoke/units/study/units.parquet").doc.to_numpy()
    for displaced in displacements(doc, 3, 0):
        assert displaced % 16 == 0, "whole images are displaced"


def test_networks_and_neurons_are_described(finished):
    results = finished / "results/vision-smoke"
    models = tables(finished, "vision-smoke", ["models"])["models"].set_index("family")
    assert set(models.modality) == {"image"}
    assert models.validation_loss.notna().all()
    assert 0 <= models.accuracy["vit"] <= 1
    assert np.isnan(models.accuracy["dit"])
    neurons = read_table(results / "selectivity/study/vit-r1.parquet")
    assert (
        neurons[["domain_information", "content_information", "monoscore", "object_share"]].notna().mean().min() > 0.8
    )
    assert neurons.monoscore.dropna().between(-1, 1).all()
    polarization = tables(finished, "vision-smoke", ["polarization"])["polarization"]
    assert "content_information" in set(polarization.metric)
    assert not polarization.metric.str.startswith(("vocab", "token")).any(), "images have no vocabulary"


def test_rows_of_images_show_the_neurons_that_match(finished, monkeypatch, tmp_path):
    """On networks this small no match survives a false-discovery rate, so mutual pairs stand in for those that do."""
    monkeypatch.chdir(finished)
    study = load("workflow/studies/vision-smoke.yaml")
    layout = Layout(study, corpus_key(study))
    path = layout.rosetta("dit-vit", "r1")
    table = read_table(path)
    partner = table["partner_vit-r1"]
    told = table.assign(mutual_top1_fdr05=partner >= 0)
    monkeypatch.setattr(gallery, "read_table", lambda asked: told if asked == path else read_table(asked))
    gallery.write_gallery(StudyPlan(layout), str(tmp_path / "images.html"))
    page = (tmp_path / "images.html").read_text()
    assert "drawn at random from those that survive" in page
    shown = min((partner >= 0).sum(), gallery.SHOWN)
    assert page.count('<div class="row">') == 2 * shown > 0
    found = re.findall(r"dit-r1, layer (\d), neuron (\d+)(?:, codes the \w+)?</p>", page)
    rows = table.set_index(["layer", "channel"]).loc[[(int(layer), int(channel)) for layer, channel in found]]
    assert (rows["partner_vit-r1"] >= 0).all()
    assert len(rows) == shown


def test_where_no_match_survives_the_strongest_are_shown_with_a_warning(finished):
    page = (finished / "results/vision-smoke/report/images.html").read_text()
    assert "No Rosetta neuron survives" in page
    assert "which of them are shared is not known" in page
    table = read_table(finished / "results/vision-smoke/rosetta/dit-vit/r1.parquet")
    r = table["r_vit-r1"][table.mutual_top1].nlargest(gallery.SHOWN)
    section = page[page.index('<section id="dit-vit">') :].partition("</section>")[0]
    assert re.findall(r"r = ([\d.]+)</p>", section) == [f"{value:.2f}" for value in r]


def test_the_viewer_shows_what_both_networks_do_on_all_patches_of_images(finished):
    viewer = finished / "results/vision-smoke/viewer"
    neurons = read_table(viewer / "data/study/vit-r1/neurons.parquet")
    assert len(neurons) == 2 * 4 * 16
    assert neurons["r.dit-r1"].notna().mean() > 0.8
    assert "factor" in neurons
    assert "unigram_text" not in neurons
    _, about, _ = decoded((viewer / "data/study/images/0.js").read_text())
    assert about["images"][0].startswith("data:image/png;base64,")
    _, _, arrays = decoded((viewer / "data/study/vit-r1/neurons/0.js").read_text())
    examples = arrays["examples"].reshape(-1, EXAMPLES)
    partner = neurons["partner.dit-r1"]
    for model, own, shown in (("vit-r1", neurons.index, "codes0"), ("dit-r1", partner, "codes1")):
        z = stats.zscore(activations(finished, model), axis=1).reshape(len(neurons), -1, 16)
        for neuron, maps in enumerate(arrays[shown].reshape(-1, EXAMPLES, 16)):
            known = examples[neuron][examples[neuron] >= 0]
            wanted = codes(z[own[neuron], known // 16]) if own[neuron] >= 0 else np.int8(NONE)
            np.testing.assert_allclose(maps[examples[neuron] >= 0], wanted, atol=1)


def test_pairs_are_planted_and_matches_marked(finished):
    planted = tables(finished, "vision-smoke", ["planted"])["planted"]
    power = planted[planted.criterion == "mutual_top1"].groupby("r").power.mean()
    assert power[0.9] >= power[0.3]
    matches = read_table(finished / "results/vision-smoke/matches/dit-r1--vit-r1/matches.parquet")
    assert set(matches.mark_a) | set(matches.mark_b) <= set(MARKS)


def test_the_report_shows_images(finished):
    report = finished / "results/vision-smoke/report"
    page = (report / "images.html").read_text()
    assert page.count("generated by dit-") == 1
    assert 'href="images.html"' in (report / "index.html").read_text()
    provenance = read_json(finished / "results/vision-smoke/tables/provenance.json")
    assert provenance["units"]["grid"] == "4 x 4 patches"
    assert provenance["corpus"]["documents"] == 12 * len(CLASSES)
