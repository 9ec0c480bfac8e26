"""Every engine, placement and tiling, through the whole workflow, finds the same."""

from pathlib import Path

import pandas as pd
import pytest
import yaml
from study_runs import ROOT, checkout, one_sentence, run, study

from rosetta_scaling.schemas.nulls import NULLS
from rosetta_scaling.store.tables import read_json, read_table

pytestmark = [pytest.mark.study(5), pytest.mark.timeout(1500)]

# -- every way to match finds the same -------------------------------------------------------------------------------

ENGINES = {
    "whole": {},
    "tiled": {"memory_mb": 21},
    "one_pass": {"placement": "one_pass"},
    "recomputed": {"placement": "recomputed", "memory_mb": 26, "criteria": [{"k": 10}]},
    "sketched": {"engine": "sketch", "sketch_slots": 2048},
    "sketched_recomputed": {"engine": "sketch", "placement": "recomputed", "sketch_slots": 2048, "memory_mb": 100},
}


@pytest.fixture(scope="module")
def wide(tmp_path_factory) -> Path:
    """A checkout with studies of networks of 384 and 264 neurons, which 21 MB match in two tiles."""
    folder = checkout(tmp_path_factory.mktemp("wide"))
    rungs = {"r3": {"hidden_size": 32, "layers": 3, "heads": 2, "learning_rate": 5e-3}}
    families = yaml.safe_load((ROOT / "workflow/studies/smoke.yaml").read_text())["families"]
    families = {name: families[name] for name in ("neox", "llama")}
    for name, matching in ENGINES.items():
        changes = {"matching": matching, "activations": {"batch_passages": 4}, "families": families}
        changes |= {"nulls": {"rotate_pre_draws": 2}}
        if name == "recomputed":  # a number of neurons makes no jobs of the tiles of nulls; here it is all of them
            changes["nulls"] |= {"rows": 1000}
        study(folder, study=name, ladder={"rungs": rungs}, curves={"neox-llama": ["neox", "llama"]}, **changes)
    return folder


PAIR = "neox-r3--llama-r3"


def tables(folder: Path, name: str, *options: str) -> tuple[dict[str, pd.DataFrame], str]:
    """Matches, nulls and replicates of the pair, and what was printed."""
    files = [f"matches/{PAIR}/matches.parquet", *(f"nulls/{PAIR}/{null}.parquet" for null in NULLS)]
    files += [f"stability/{PAIR}/{kind}.parquet" for kind in ("half", "subset")]
    targets = [f"results/{name}/{file}" for file in files]
    code, printed = run(folder, name, *options, *targets)
    assert code == 0, printed
    return {file: read_table(folder / target) for file, target in zip(files, targets, strict=True)}, printed


@pytest.fixture(scope="module")
def expected(wide) -> dict[str, pd.DataFrame]:
    return tables(wide, "whole")[0]


def find_the_same(wide: Path, name: str, expected: dict[str, pd.DataFrame], *options: str) -> str:
    """Ask for the tables of a study, and compare them; what was printed."""
    found, printed = tables(wide, name, *options)
    for file, whole in expected.items():
        keys = ["draw"] * ("draw" in whole) + ["neuron_a", "neuron_b"]
        table = found[file].drop(columns=["sampled_a", "sampled_b"], errors="ignore")
        ordered = (one.sort_values(keys, ignore_index=True) for one in (table, whole))
        pd.testing.assert_frame_equal(*ordered, atol=1e-5, obj=f"{name} {file}")
    assert ("rule match_tile" in printed or "tile 00001" in printed) == (name in ("tiled", "recomputed"))
    stored = list((wide / f"results/{name}/activations").rglob("shard-*.safetensors"))
    assert bool(stored) == (name in ("tiled", "sketched"))
    summary = read_json(wide / f"results/{name}/matches/{PAIR}/summary.json")
    assert summary["engine"] == ("sketch" if name.startswith("sketch") else "exact")
    assert ("certified_a" in summary) == (summary["engine"] == "sketch")
    of_a_gpu = [summary.get(f"rescored_{side}") for side in "ab"]
    assert of_a_gpu == ([None, None] if summary["engine"] == "sketch" else [0, 0])
    return printed


@pytest.mark.parametrize("name", [name for name in ENGINES if name not in ("whole", "tiled")])
def test_engines_and_placements_find_the_same(wide, expected, name):
    find_the_same(wide, name, expected)


def test_tiles_find_the_same_and_finished_ones_are_kept(wide, expected):
    """What a kill leaves of the tiles of a pair is used: only the missing ones are matched."""
    first = f"results/tiled/tiles/{PAIR}/real/00000.safetensors"
    assert run(wide, "tiled", "--notemp", first)[0] == 0
    before = (wide / first).stat().st_mtime_ns
    printed = find_the_same(wide, "tiled", expected, "--notemp")
    assert (wide / first).stat().st_mtime_ns == before
    assert f"{PAIR} (real), tile 00001" in printed
    assert f"{PAIR} (real), tile 00000" not in printed


def test_the_plan_is_printed_before_anything_runs(wide):
    name = study(wide, study="planned", matching={"placement": "recomputed"})
    code, printed = run(wide, name, "plan")
    assert code == 0, printed
    assert "Matching of study planned: exact engine, activations recomputed" in printed
    assert PAIR in printed
    assert "GFLOP/s" in printed
    assert not (wide / f"results/{name}/units").exists()


@pytest.mark.parametrize(
    ("matching", "expected"),
    [
        ({"placement": "one_pass", "memory_mb": 20}, "matching.placement is one_pass, but matching.memory_mb = 20"),
        ({"placement": "stored", "scratch_gb": 1e-6}, "matching.scratch_gb is 1e-06; raise it"),
    ],
)
def test_budgets_that_cannot_hold_stop_the_run(wide, matching, expected):
    values = yaml.safe_load((wide / "workflow/studies/whole.yaml").read_text())
    values |= {"study": "budget", "matching": matching}
    (wide / "workflow/studies/budget.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    code, printed = run(wide, "budget", f"results/budget/matches/{PAIR}/matches.parquet")
    assert code != 0
    one_sentence(printed, expected)
