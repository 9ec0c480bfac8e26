"""A study whose networks are trained further, from the plan to the page."""

import pytest
from study_runs import checkout, run, small_study, snakemake

from rosetta_scaling.schemas.tables.continued import FATES
from rosetta_scaling.store.tables import read_json, read_table

pytestmark = pytest.mark.study(3)

CONTINUED = {"source": "continued", "of": "neox", "domain": "translations", "tokens": 10_000, "seed": 9}


def families(**continued) -> dict:
    trained = {"vocabulary": 320, "rungs": ["r1"]}
    return {
        "neox": trained | {"architecture": "gpt_neox", "seed": 1},
        "bloom": trained | {"architecture": "bloom", "seed": 2},
        "further": CONTINUED | continued,
    }


def test_a_dry_run_trains_further_after_the_origin(tmp_path):
    name = small_study(checkout(tmp_path), families=families())
    planned = snakemake(tmp_path, "--dry-run", "--quiet", "rules", "--configfile", f"workflow/studies/{name}.yaml")
    assert planned.returncode == 0, planned.stderr
    jobs = {line.split()[0]: line.split()[1] for line in planned.stdout.splitlines() if len(line.split()) == 2}
    assert (jobs["train_model"], jobs["match_pair"], jobs["continued"]) == ("3", "2", "1")


def test_neurons_are_followed_into_the_network_that_was_trained_further(tmp_path):
    name = small_study(checkout(tmp_path), families=families(), viewer={"make": False})
    code, printed = run(tmp_path, name)
    assert code == 0, printed
    results = tmp_path / f"results/{name}"
    table = read_table(results / "tables/continued.csv")
    assert set(table.fate) == set(FATES)
    assert (table.anchor == "neox-r1").all()
    assert (table.bits_after < table.bits_before).all()
    by_fate = table[table["set"] == "mutual_top1"].set_index("fate")
    assert by_fate.share["stays"] > 0.5 > by_fate.null["stays"]
    assert by_fate.share["stays"] <= by_fate.share["matched"]
    assert by_fate.share["rises"] + by_fate.share["falls"] <= 1
    audited = read_table(results / "tables/audit.csv").set_index(["a", "b"]).verdict
    assert audited["neox-r1", "further-r1"] == "descended"
    assert audited["neox-r1", "bloom-r1"] == "independent"
    counts, models = (read_table(results / f"tables/{one}.csv") for one in ("counts", "models"))
    assert set(counts.models) == {"neox-r1 bloom-r1"}, "a network and what became of it are no point"
    assert models.set_index("model").origin["further-r1"] == "neox-r1, trained further on translations"
    assert any("when training goes on" in one["claim"] for one in read_json(results / "tables/claims.json")["claims"])
    page = (results / "report/index.html").read_text()
    assert 'id="continued"' in page
    assert "2 networks of 2 families, trained independently" in page
