"""Other studies on what the small one has made: with a judge, with nulls on a sample, with networks from elsewhere."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hub_mirror import Mirror
from judge_server import Judge
from study_runs import local_families, run, small_study

from rosetta_scaling.config.parsing import load
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.schemas.nulls import NULLS
from rosetta_scaling.stages.corpus import corpus_key
from rosetta_scaling.stages.tables import origin
from rosetta_scaling.store.digests import file_sha256
from rosetta_scaling.store.tables import read_json, read_table

pytestmark = [pytest.mark.study(4), pytest.mark.timeout(1500)]


def marked_word(prompt: str) -> str:
    """A judge that goes by the piece of text that is marked most often."""
    marks = re.findall(r"\[\[(.*?)\]\]", prompt.split("Passages:")[1])
    word, count = Counter(marks).most_common(1)[0]
    if "is_monosemantic" in prompt:
        return json.dumps({"is_monosemantic": count > len(marks) / 2, "description": f"the text <{word}>"})
    wanted = json.loads(re.search(r'^".*"$', prompt, re.MULTILINE)[0])
    return json.dumps({"matches": [i for i, mark in enumerate(marks, 1) if f"the text <{mark}>" == wanted]})


def test_a_judge_can_be_asked_and_its_answers_put_by_hand(copied, tmp_path):
    results, by_hand, judge = copied / "results/small", tmp_path / "answers", Judge(marked_word)
    assert read_table(results / "tables/judge.csv").empty
    by_hand.mkdir()
    small_study(copied, judge={"neurons": 6, "model": "reader", "answers": str(by_hand)})
    code, printed = run(copied, "small", "results/small/tables/judge.csv")
    assert code
    assert "send the requests in results/small/judge/" in printed
    small_study(copied, judge={"neurons": 6, "model": "reader", "endpoint": judge.endpoint})
    code, printed = run(copied, "small", "results/small/report/index.html")
    judge.close()
    assert code == 0, printed
    page = (results / "report/index.html").read_text()
    found = read_table(results / "tables/judge.csv")
    for stage in ("describe", "detect"):
        answers = results / f"judge/neox-bloom/r1/{stage}.answers.jsonl"
        shutil.move(answers, by_hand / f"neox-bloom-r1-{stage}.jsonl")
    small_study(copied, judge={"neurons": 6, "model": "reader", "answers": str(by_hand)})
    code, printed = run(copied, "small", "results/small/tables/judge.csv")
    assert code == 0, printed
    pd.testing.assert_frame_equal(read_table(results / "tables/judge.csv"), found)
    assert set(found.group) == {"rosetta", "others"}
    assert (found.answered == 1).all()
    assert found[found.measure == "accuracy"]["mean"].mean() > 0.6, "the marked word tells contexts from random units"
    assert "Judged by a language model" in page


def test_nulls_on_a_sample_of_all_neurons_are_those_of_all(copied):
    """`nulls.rows` takes another path: with as many rows as there are neurons it must end in the same counts."""
    point = copied / "results/small/rosetta/neox-bloom/r1.counts.csv"
    expected = read_table(point)
    small_study(copied, nulls={"rows": 10**6})
    code, printed = run(copied, "small", str(point.relative_to(copied)))
    assert code == 0, printed
    assert "Nulls of neox-r1--bloom-r1" in printed
    names = ["mutual_top1", "mutual_top5"]  # not the others, which a sample cannot tell
    expected, found = (table[table.criterion.isin(names)] for table in (expected, read_table(point)))
    assert len(expected) == len(names)
    columns = ["criterion", "count", "null_iid", "equal_n_count", "calibrated_05"]
    columns += [f"null_{null}{end}" for null in NULLS for end in ("", "_low", "_high")]
    pd.testing.assert_frame_equal(found[columns], expected[columns])


def test_neurons_are_matched_one_to_one_where_it_is_asked_for(copied):
    """Beside mutual best partners, which are those that the engine finds in real networks and in draws of the null."""
    matching, least = yaml.safe_load((copied / "workflow/studies/small.yaml").read_text())["matching"], 0.2
    small_study(copied, matching=matching | {"transport_min_r": least})
    code, printed = run(copied, "small", "results/small/report/index.html")
    assert code == 0, printed
    assert "Match the neurons of neox-r1--bloom-r1 one to one" in printed
    assert "Nulls of" not in printed, "nothing that is there already is made anew"
    (row,) = read_table(copied / "results/small/tables/transport.csv").to_dict("records")
    known = [
        read_table(copied / f"results/small/{path}.parquet").query(f"rank_a == 1 and rank_b == 1 and r > {least}")
        for path in ("matches/neox-r1--bloom-r1/matches", "nulls/neox-r1--bloom-r1/rotate_pre")
    ]
    assert row["mutual"] == len(known[0])
    assert row["mutual_null"] == len(known[1]) / 4
    assert row["transported"] >= row["mutual"] >= row["both"] > 0
    assert row["excess"] == pytest.approx(row["transported"] - row["null_rotate_pre"])
    assert "one to one by partial optimal transport" in (copied / "results/small/report/index.html").read_text()


def test_the_same_networks_from_a_folder_and_from_a_hub_by_units_of_their_own(copied, monkeypatch):
    """One downloaded, one from a folder, with units that only the pair shares: the counts are those of the networks
    that were trained here. A fresh one is made and audited beside them."""
    local, hub = local_families(copied, "small"), Mirror()
    commit = hub.add("small/neox-r1", Path(local["neox"]["models"]["r1"]))
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    families = {
        "neox": {"source": "hub", "models": {"r1": "small/neox-r1@main"}},
        "bloom": local["bloom"],
        "fresh": {"source": "untrained", "of": "neox", "seed": 5},
    }
    curves = {"neox-bloom": ["neox", "bloom"], "neox-fresh": ["neox", "fresh"]}
    name = small_study(copied, study="elsewhere", families=families, curves=curves, units={"scope": "pair"})
    point = f"results/{name}/rosetta/neox-bloom/r1.counts.csv"
    code, printed = run(copied, name, point)
    hub.close()
    assert code == 0, printed
    trained = read_table(copied / "results/small/rosetta/neox-bloom/r1.counts.csv")
    pd.testing.assert_frame_equal(read_table(copied / point), trained)
    monkeypatch.chdir(copied)
    study = load(f"workflow/studies/{name}.yaml")
    layout = Layout(study, corpus_key(study))
    manifests = {model: read_json(layout.checkpoint_manifest(model)) for model in layout.models}
    sources = {model: manifest["source"] for model, manifest in manifests.items()}
    assert sources == {"neox-r1": "hub", "bloom-r1": "local", "fresh-r1": "untrained"}
    assert origin(layout, "neox-r1", manifests["neox-r1"]) == f"small/neox-r1@main (commit {commit})"
    weights = {model: file_sha256(Path(layout.checkpoint(model)) / "model.safetensors") for model in layout.models}
    assert weights["neox-r1"] == hub.expected("small/neox-r1", "model.safetensors")
    assert len(set(weights.values())) == 3, "the fresh one is no copy of what it is built like"
    assert read_table(layout.audit("r1")).verdict.tolist() == ["independent"] * 2


def test_a_network_that_is_added_while_a_setting_changes(copied):
    """The old point follows the new setting at once, though it waits for an audit that is made again."""
    families = yaml.safe_load((copied / "workflow/studies/small.yaml").read_text())["families"]
    families["fresh"] = {"source": "untrained", "of": "neox", "seed": 5}
    curves = {"neox-bloom": ["neox", "bloom"], "neox-fresh": ["neox", "fresh"]}
    small_study(copied, families=families, curves=curves, polarization={"confidence": 0.8})
    point, audited = (f"results/small/{path}" for path in ("rosetta/neox-bloom/r1.counts.csv", "tables/audit.csv"))
    before = file_sha256(copied / audited), (copied / point).stat().st_mtime_ns
    code, printed = run(copied, "small", point, audited)
    assert code == 0, printed
    assert before[0] != file_sha256(copied / audited)
    assert before[1] < (copied / point).stat().st_mtime_ns
