"""A study of generators of diffusers and a network that sees: activations, matches, nulls, and what noise decides."""

import pytest
import transformers
import yaml
from study_runs import ROOT, checkout, run, snakemake, tables
from tiny_generators import write_dit, write_sana

from rosetta_scaling.networks.preprocessing import Preprocessing
from rosetta_scaling.schemas.nulls import NULLS
from rosetta_scaling.store.digests import digest
from rosetta_scaling.store.tables import read_json

pytestmark = [pytest.mark.study(2), pytest.mark.timeout(1500)]
VIT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 40}


def written(folder, **changes) -> None:
    """The study, with its networks in folders of their own; paths of a study start in its folder."""
    values = yaml.safe_load((ROOT / "workflow/studies/vision-smoke.yaml").read_text())
    named = {"dit": "networks/dit", "sana": "networks/sana/transformer", "vit": "networks/vit"}
    families = {name: {"source": "local", "modality": "image", "models": {"r1": path}} for name, path in named.items()}
    families["dit0"] = {"source": "untrained", "modality": "image", "of": "dit", "seed": 3}
    values |= {"study": "generators", "families": families, "viewer": {"make": False}}
    values |= {"curves": {"dit-vit": ["dit", "vit"], "sana-vit": ["sana", "vit"], "dit0-vit": ["dit0", "vit"]}}
    values["images"] |= changes
    (folder / "workflow/studies/generators.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = checkout(tmp_path_factory.mktemp("generators"))
    write_dit(folder / "networks/dit")
    write_sana(folder / "networks/sana")
    config = transformers.ViTConfig(**VIT, image_size=16, patch_size=4)
    transformers.ViTModel(config, add_pooling_layer=False).save_pretrained(folder / "networks/vit")
    Preprocessing(16).save(folder / "networks/vit")
    written(folder)
    code, printed = run(folder, "generators", "results/generators/tables/counts.csv")
    assert code == 0, printed
    return folder


def test_every_pair_is_matched_and_has_its_nulls(finished):
    counts = tables(finished, "generators", ["counts"])["counts"]
    nearest = counts[counts.criterion == "mutual_top1"].set_index("curve")
    assert dict(nearest.anchor_neurons) == {"dit-vit": 128, "sana-vit": 80, "dit0-vit": 128}
    assert (nearest["count"] > 0).all()
    shown = [f"null_{name}" for name in NULLS]
    assert nearest.loc[["dit-vit", "sana-vit"], shown].notna().all(axis=None)


def test_manifests_of_generators_hold_the_noise(finished):
    manifests = {
        name: read_json(finished / f"results/generators/checkpoints/{name}-r1.json") for name in ("dit", "vit")
    }
    assert manifests["dit"]["noise_level"] == 0.25
    assert "noise_level" not in manifests["vit"]
    for name, noise in (("dit", [0.25]), ("vit", [])):  # what a killed job has left at other noise is not used
        summary = read_json(finished / f"results/generators/activations/study/{name}-r1/summary.json")
        assert summary["weights"] == digest([manifests[name]["sha256"], "float32", *noise])
    assert {"vae/config.json", "scheduler/scheduler_config.json"} <= manifests["dit"]["sha256"].keys()


def test_what_was_measured_at_other_noise_is_measured_again(finished):
    """And nothing is where noise stays as it was."""
    planned = [
        "--configfile=workflow/studies/generators.yaml",
        *("--workflow-profile=workflow/profiles/default", "--dry-run", "results/generators/tables/counts.csv"),
    ]
    unchanged = snakemake(finished, *planned)
    assert "Nothing to be done" in unchanged.stdout + unchanged.stderr
    written(finished, noise_level=0.5)
    changed = snakemake(finished, *planned)
    for rule in ("register_model", "extract_activations", "nulls"):
        assert f"\n{rule} " in changed.stdout + changed.stderr  # in the table of jobs
