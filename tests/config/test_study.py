"""The configuration: its exports are current, its errors are sentences, cache keys name what matters."""

import copy
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml

from rosetta_scaling import WORKFLOW
from rosetta_scaling.config import parsing as config
from rosetta_scaling.config import reference as config_reference
from rosetta_scaling.config.ladder import Ladder
from rosetta_scaling.fits.theory.simulation import recovered_exponent, simulate
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.stages.corpus import corpus_key
from rosetta_scaling.stages.networks import check_models
from rosetta_scaling.store.errors import StudyError

ROOT = WORKFLOW.parent


@pytest.fixture
def values() -> dict:
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def change(values: dict, key: str, new) -> dict:
    values = copy.deepcopy(values)
    *path, last = key.split(".", 1) if key.startswith("curves.") else key.split(".")
    section = values
    for step in path:
        section = section[step]
    section[last] = new
    return values


def test_exports_are_current():
    for path, text in config_reference.export().items():
        assert path.read_text() == text, f"{path.name} is out of date: run python -m rosetta_scaling.config.reference"


def test_the_default_study_shows_every_key_with_its_default(values):
    for key, _, _, meaning in config_reference.documentation():
        assert meaning or key.count("."), f"{key} has no description"
        if ".*." in key or "[]" in key:
            continue
        section = values
        for step in key.split("."):
            assert step in section, f"config.yaml does not show {key}"
            section = section[step]
    study = config.parse(values)
    shorter = {"corpus": "probe_bytes_per_domain", "nulls": "rotate_pre_draws"}
    for name in ("corpus", "ladder", "units", "activations", "matching", "nulls", "polarization"):
        section = getattr(study, name)
        usual = Ladder(rungs=section.rungs) if name == "ladder" else type(section)()
        if key := shorter.get(name):
            assert getattr(section, key) < getattr(usual, key), "the default study is short"
            section = section.model_copy(update={key: getattr(usual, key)})
        assert section == usual, "config.yaml and the defaults differ"


def test_every_key_of_the_default_study_says_why():
    for line in (ROOT / "config.yaml").read_text().splitlines():
        is_setting = re.match(r"( {2})?[a-z_]+: *[^ ]", line) and "{" not in line
        if is_setting and not re.match(r"  [a-z-]+: \[", line):  # families, rungs and curves are the user's own names
            assert "#" in line, line


@pytest.mark.parametrize("path", sorted((WORKFLOW / "studies").glob("*.yaml")), ids=lambda path: path.stem)
def test_ready_studies_are_valid_and_named_after_their_file(path):
    assert config.load(path).study == path.stem


@pytest.mark.parametrize(
    ("key", "new", "sentence"),
    [
        ("unts", {}, "'unts' is not a key; allowed here: study, cache_dir"),
        ("families.neox.sed", 1, "'families.neox.sed' is not a key; allowed here: source, modality"),
        ("ladder.rungs.r1.with", 1, "'ladder.rungs.r1.with' is not a key; allowed here: hidden_size"),
        ("units.scope", "word", "'units.scope' is 'word'; input should be 'study' or 'pair'"),
        ("ladder.tokens", -5, "'ladder.tokens' is -5; input should be greater than or equal to 1000"),
        ("curves.neox-bloom", ["neox", "bert"], "curves.neox-bloom names ['bert']; the families are ['neox', 'bloom'"),
        ("curves.neox-bloom", ["neox", "neox"], "two or more different families"),
        ("families.bloom", {"source": "local", "models": {"a": "x", "b": "y"}}, "neox-bloom has no points"),
        ("families.bloom", {"source": "hub", "models": {"r1": "owner/name"}}, "names owner/name@revision"),
        ("families.bloom", {"source": "untrained"}, "needs the key 'of'"),
        (
            "families.bloom",
            {"source": "untrained", "of": "gpt"},
            "families.bloom.of is 'gpt'; expected one of ['neox',",
        ),
        ("families.bloom.vocabulary", None, "needs the key 'vocabulary'"),
        ("families.bloom.source", "local", "needs the key 'models'"),
        ("families.neox.seed", -1, "'families.neox.seed' is -1; input should be greater than or equal to 0"),
        ("nulls.seed", 2**63, "'nulls.seed' is 9223372036854775808; input should be less than 9223372036854775808"),
        ("fits.seed", -1, "'fits.seed' is -1"),
        ("theory.seed", -1, "'theory.seed' is -1"),
        ("companions.depth.seed", -1, "'companions.depth.seed' is -1"),
        ("companions.mixture.seed", -1, "'companions.mixture.seed' is -1"),
        ("companions.filtering.seed", -1, "'companions.filtering.seed' is -1"),
        ("companions.filtering.labels", [0, 16], "training_labels is 64; expected one of labels, [0, 16]"),
        ("companions.lottery.seed", -1, "'companions.lottery.seed' is -1"),
        ("ladder.weight_decay", float("inf"), "'ladder.weight_decay' is inf; input should be a finite number"),
        ("matching.scratch_gb", float("nan"), "'matching.scratch_gb' is nan; input should be a finite number"),
        ("theory.betas", [1.5, float("inf")], "'theory.betas.1' is inf; input should be a finite number"),
        ("theory.betas", [1.5, 1000.0], "exponents are at most 100"),
        ("theory.betas", [1.5, 1.5], "differ in six digits"),
        ("theory.betas", [1.00000001], "theory.betas names [1.00000001]; files are named after exponents"),
        ("theory.sizes", [2, 4, 8], "fewer than 4 neurons cannot represent"),
        ("corpus.kind", "folder", "needs corpus.path"),
        ("corpus.near_duplicate_threshold", 0.01, "'corpus.near_duplicate_threshold' is 0.01; input should be greater"),
        ("corpus.probe_bytes_per_domain", 2_000_000, "is 2000000, a part of corpus.bytes_per_domain = 2000000: lower"),
        ("corpus.min_document_bytes", 20_000, "is 20000, above corpus.max_document_bytes = 16000"),
        ("corpus.domains", [], "'corpus.domains' is []"),
        ("ladder.rungs.r1.heads", 5, "hidden_size 24 over 5 heads"),
        ("matching.criteria", [{"k": 1}, {"k": 1, "min_r": 0.0}], "matching.criteria repeats itself"),
        ("matching.criteria", [{"min_r": -0.2}], "'matching.criteria.0.min_r' is -0.2"),
        ("units.max_tokens", 256, "units.max_tokens is 256, but the networks are trained on ladder.context = 128"),
        ("curves.a.b (x)", ["neox", "llama"], "'curves.a.b (x)"),
        ("study", "my\nstudy", "'study' is 'my\\nstudy'"),
        ("a\nb", 1, "'a\\nb' is not a key"),
        ("cache_dir", "a\0b", "cache_dir is 'a\\x00b'; no name or path holds the character NUL"),
        ("cache_dir", "", "'cache_dir' is ''"),
        ("ladder.tokens", 2**64, "ladder.tokens is beyond 9.2e+18"),
        ("matching.scratch_gb", float("inf"), "'matching.scratch_gb' is inf; input should be a finite number"),
        ("ladder.weight_decay", float("nan"), "'ladder.weight_decay' is nan"),
        ("fits.seed", -1, "'fits.seed' is -1; input should be greater than or equal to 0"),
        ("families.neox.seed", -1, "'families.neox.seed' is -1"),
        ("theory.betas", [2.0, 2.0000001], "exponents are at most 100 and differ in six digits"),
        ("theory.betas", [1e6], "exponents are at most 100 and differ in six digits"),
        ("study", "cache", "would be written into the cache"),
        ("study", "My Study", "'study' is 'My Study'"),
        ("companions.depth.orthogonal", [0.55, 0.42], "orthogonal is (0.55, 0.42); expected two angles over pi"),
        ("companions.depth.orthogonal", [0.42, 1.5], "orthogonal is (0.42, 1.5); expected two angles over pi"),
        ("companions.mixture.law.window", [-10.0, 1e6], "law.window is (-10.0, 1000000.0); expected two widths"),
        ("companions.mixture.law.window", [1e6, 1e3], "law.window is (1000000.0, 1000.0); expected two widths"),
        ("companions.mixture.law.window", [1.0, 1e12], "law.window is (1.0, 1000000000000.0); expected two widths"),
        ("companions.mixture.law.exponents", [[1.0, 2.0]], "law.exponents is [(1.0, 2.0)]; expected exponents above 1"),
    ],
)
def test_errors_name_key_value_and_what_is_allowed(values, key, new, sentence):
    with pytest.raises(StudyError) as error:
        config.parse(change(values, key, new))
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "new", "sentence"),
    [
        (
            "corpus.domains",
            ["docs", "code"],
            "tasks.code names ['legal', 'math', 'scripture', 'translations'], but the",
        ),
        ("companions.filtering.rung", "r9", "companions.filtering.rung is 'r9'; expected one of ['r1', 'r2', 'r3'"),
        ("families.neox", {"source": "local", "models": {"r2": "x"}}, "filtering trains neox, the first family of the"),
    ],
)
def test_a_study_that_filters_has_what_that_needs(values, key, new, sentence):
    changed = change(values, key, new)
    config.parse(changed)  # without filtering it is well
    with pytest.raises(StudyError) as error:
        config.parse(change(changed, "companions.studies", ["filtering"]))
    assert sentence in str(error.value)


@pytest.mark.parametrize("beta", [1.00001, 1.01, 2.0, 100.0])
def test_the_theory_runs_at_the_bounds_of_its_settings(values, beta):
    settings = config.parse(change(values, "theory", {"betas": [beta], "sizes": [4, 5, 6], "inputs": 100})).theory
    table = simulate(beta, settings.sizes, 1, settings.inputs, seed=2**63 - 1)
    assert recovered_exponent(table, 0.95).alpha.notna().all()


def test_the_largest_seed_is_one_for_every_generator(values):
    seed = config.parse(change(values, "nulls.seed", 2**63 - 1)).nulls.seed
    torch.manual_seed(seed)
    np.random.default_rng([seed, 0]).integers(2)
    corpus_seed = config.parse(change(values, "corpus.seed", -(2**62))).corpus.seed
    assert corpus_seed == -(2**62), "the corpus hashes its seed: any number is one"


def test_models_of_a_study_share_a_modality(values):
    values["families"]["vit"] = {"source": "local", "modality": "image", "models": {f"r{i}": "x" for i in range(1, 6)}}
    with pytest.raises(StudyError, match="families mix modalities"):
        config.parse(values)


def layout_of(values: dict) -> Layout:
    study = config.parse(values)
    return Layout(study, corpus_key(study))


@pytest.mark.parametrize(
    ("key", "new", "sentence"),
    [
        (
            "corpus.kind",
            "embedded",
            "corpus.kind is 'embedded', but the families read image; choose folder, huggingface",
        ),
        ("ladder.context", 128, "ladder.context is 128, but an image of 16 x 16 pixels has 16 patches"),
        ("families.vit.architecture", "bloom", "a family of bloom networks does not read the modality 'image'"),
        ("images.patch", 0, "'images.patch' is 0; input should be greater than or equal to 1"),
    ],
)
def test_settings_of_images_fit_together(key, new, sentence):
    values = yaml.safe_load((ROOT / "workflow/studies/vision-smoke.yaml").read_text())
    assert config.parse(values).modality == "image"
    with pytest.raises(StudyError, match=re.escape(sentence)):
        config.parse(change(values, key, new))


def test_every_network_that_sees_has_a_key_of_its_own():
    values = yaml.safe_load((ROOT / "workflow/studies/vision-smoke.yaml").read_text())
    layout = layout_of(values)
    assert len(layout.model_keys) == len(layout.models) == 2
    other = layout_of(change(values, "images.noise_level", 0.5))
    assert not layout.model_keys.keys() & other.model_keys.keys()
    assert not layout.tokenizer_keys


def test_images_decide_nothing_in_a_study_of_text(values):
    assert config.parse(values).deciding() == config.parse(values | {"images": {"size": 64}}).deciding()
    assert config.parse(values).units_settings == config.parse(values | {"images": {"grid": 7}}).units_settings
    seen = yaml.safe_load((ROOT / "workflow/studies/vision-smoke.yaml").read_text())
    other = change(seen, "images.grid", 7)
    assert config.parse(seen).deciding() != config.parse(other).deciding()
    assert config.parse(seen).units_settings != config.parse(other).units_settings


def test_a_network_is_not_compared_with_itself(values):
    values["families"]["bloom"] = values["families"]["neox"]
    with pytest.raises(StudyError, match="the same network"):
        check_models(layout_of(values))


@pytest.mark.parametrize("path", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda path: path.stem)
def test_conda_environments_pin_the_tested_versions(path):
    tested = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "envs/constraints.txt").read_text().lower(), re.M))
    listed = re.findall(r"^ +- ([\w-]+)==?(\S+)$", path.read_text().lower(), re.M)
    assert len(listed) > 5
    for name, version in listed:
        if name != "python":
            assert tested[{"pytorch": "torch"}.get(name, name)] == version, f"{path.name}: {name}"


def test_a_job_is_told_the_corpus_key(values):
    told = Layout(config.parse(values), corpus_key="0123456789abcdef")
    assert told.corpus_dir.endswith("0123456789abcdef")
    assert told.checkpoint("neox-r1") != layout_of(values).checkpoint("neox-r1")


def test_broken_yaml_is_one_sentence(tmp_path):
    path = tmp_path / "x.yaml"
    for text in (b"a: [1", b"just words", b"study: \xff", b"study: 2026-99-99", b"[" * 10_000):
        path.write_bytes(text)
        with pytest.raises(StudyError, match=r"x\.yaml"):
            config.load(path)


# -- cache keys ------------------------------------------------------------------------------------------------------


def paths(values: dict) -> dict[str, str]:
    layout = layout_of(values)
    return {
        "corpus": layout.corpus_dir,
        "tokenizer": layout.tokenizer_dir("neox"),
        "model": layout.checkpoint("neox-r3"),
    }


@pytest.mark.parametrize(
    ("key", "new", "changed"),
    [
        ("study", "other", set()),
        ("ladder.checkpoint_seconds", 5, set()),
        ("matching.memory_mb", 100, set()),
        ("families.bloom.seed", 9, set()),
        ("ladder.rungs.r2.layers", 9, set()),
        ("ladder.rungs.r3.layers", 9, {"model"}),
        ("ladder.tokens", 5000, {"model"}),
        ("ladder.tokens_per_parameter", 20.0, {"model"}),
        ("families.neox.seed", 9, {"tokenizer", "model"}),
        ("families.neox.vocabulary", 600, {"tokenizer", "model"}),
        ("corpus.near_duplicate_threshold", 0.7, {"corpus", "tokenizer", "model"}),
    ],
)
def test_a_key_changes_with_what_the_artifact_depends_on_and_with_nothing_else(values, key, new, changed):
    before, after = paths(values), paths(change(values, key, new))
    assert {name for name in before if before[name] != after[name]} == changed


def test_a_pair_has_one_name_whatever_the_order_of_the_curve(values):
    forward = layout_of(values)
    backward = layout_of(change(values, "curves.neox-bloom", ["bloom", "neox"]))
    assert forward.pairs == backward.pairs
    assert backward.points["neox-bloom", "r1"] == ["bloom-r1", "neox-r1"]


def test_the_number_of_pairs_of_a_triple(values):
    layout = layout_of(change(values, "curves", {"t": ["neox", "bloom", "llama"]}))
    assert len(layout.pairs) == 3 * 5
    assert layout.pairs_of_point("t", "r1") == [
        ("neox-r1", "bloom-r1"),
        ("neox-r1", "llama-r1"),
        ("bloom-r1", "llama-r1"),
    ]


def test_pair_scope_names_one_unit_set_per_pair(values):
    layout = layout_of(change(values, "units.scope", "pair"))
    assert layout.scope("bloom-r2", "neox-r2") == "neox-r2--bloom-r2"
    assert list(layout.tokenizer_files("neox-r2--bloom-r2")) == ["neox", "bloom"]


def test_pairs_that_share_their_units_are_rescored_together(values):
    together, apart = layout_of(values), layout_of(change(values, "units.scope", "pair"))
    assert set(together.groups) == {"r1", "r2", "r3", "r4", "r5"}
    assert sorted(pair for group in together.groups.values() for pair in group) == list(together.pairs)
    assert together.rescored("neox-r2--llama-r2") == "results/ladder-small/rescored/r2"
    assert apart.groups == {pair: [pair] for pair in apart.pairs}


@pytest.mark.parametrize("key", ["engine", "placement", "memory_mb", "scratch_gb", "sketch_slots", "sketch_candidates"])
def test_how_a_pair_is_matched_decides_no_result(values, key):
    new = {"engine": "sketch", "placement": "recomputed"}.get(key, 5000)
    changed = config.parse(change(values, f"matching.{key}", new))
    assert changed.deciding() == config.parse(values).deciding()


def imported_by(modules: list[str], packages: list[str]) -> str:
    """Those of the packages that are imported with modules of the library."""
    names = ", ".join(f"rosetta_scaling.{name}" for name in modules)
    code = f"import sys, {names}; print(*set({packages}) & set(sys.modules))"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.slow(0.1)
def test_jobs_on_tables_need_no_torch():
    """Their environment (envs/cpu.yaml) has none."""
    modules = (
        "stages.tables stages.points stages.point_tables stages.claims stages.polarization stages.judge fits.study "
        "selectivity.judge.client selectivity.judge.questions report.figures.catalogue report.pages report.provenance "
        "stages.report stages.companion_page stages.fits stages.depth_ladder claims.counts claims.fits "
        "claims.selectivity selectivity.polarization.tables"
    )
    assert imported_by(modules.split(), ["torch"]) == ""


def test_the_rules_are_read_without_what_computes():
    """Every job reads them again: the workflow imports the stages for what they declare."""
    rules = (path.read_text() for path in (WORKFLOW / "rules").glob("*.smk"))
    modules = sorted(
        {module for text in rules for module in re.findall(r"from rosetta_scaling\.([\w.]+) import", text)}
    )
    assert len(modules) > 20
    heavy = ["torch", "scipy", "statsmodels", "sklearn", "matplotlib", "tokenizers", "transformers", "datasketch"]
    assert imported_by(modules, heavy) == ""


def test_the_front_door_knows_its_commands():
    for command, code in {"run": 0, "status": 0, "rnu": 2}.items():
        done = subprocess.run(
            [sys.executable, "-m", "rosetta_scaling", command, "--help"], capture_output=True, text=True
        )
        assert done.returncode == code, done.stderr
    assert "found 'rnu', expected run, status, power, verify, reference" in done.stderr
