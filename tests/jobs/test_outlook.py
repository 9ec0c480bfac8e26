"""What a run says of its length, before it starts and while it goes on."""

import io
import time

import pytest

from rosetta_scaling import WORKFLOW
from rosetta_scaling.config.parsing import load
from rosetta_scaling.jobs.outlook import Outlook
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.planning.expected import OTHERS, PER_POINT, SECONDS, SHARES, STARTED, expected_seconds, rates_here
from rosetta_scaling.planning.rates import Rates
from rosetta_scaling.planning.study_plan import StudyPlan


def outlook(expected, ended, **more) -> tuple[Outlook, io.StringIO]:
    out = io.StringIO()
    return Outlook(expected, ended.__contains__, 2, out=out, **more), out


def test_a_run_says_how_long_it_will_take_and_then_what_is_left():
    ended = set()
    run, out = outlook({"a": 300.0, "b": 300.0}, ended, every=0.01)
    run.start()
    assert out.getvalue() == "2 jobs, 2 at a time: about 5 min 00 s on this machine, if nothing else runs on it.\n"
    ended.add("a")
    deadline = time.monotonic() + 30
    while "1 of 2" not in out.getvalue() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert out.getvalue().count("\n") == 2, "a line for every job that ended, and no other"


def test_what_is_left_follows_from_what_was_seen():
    run, _ = outlook({"a": 600.0, "b": 600.0}, {"a"})
    run.began = time.monotonic() - 600  # twice as long as expected
    assert run.line().startswith("1 of 2 jobs are done after 10 min 00 s; about 9 min 10 s left"), "300 s * 660 / 360"
    assert run.line() is None, "nothing new"


def test_short_runs_and_ended_ones_say_nothing():
    run, out = outlook({"a": 10.0}, {"a"})
    run.start()
    assert out.getvalue() == ""
    assert run.line() is None


@pytest.fixture
def plan() -> StudyPlan:
    return StudyPlan(Layout(load(WORKFLOW / "studies/ladder.yaml"), "corpus"))


def test_large_networks_take_longer(plan):
    rates = Rates("a core", products=6e10, forward=3e10)
    keys = {model: key for key, model in plan.layout.model_keys.items()}
    training = [expected_seconds(plan, rates, "train_model", {"key": keys[f"neox-r{n}"]}) for n in range(1, 6)]
    nulls = [expected_seconds(plan, rates, "nulls", {"pair": f"neox-r{n}--bloom-r{n}"}) for n in range(1, 6)]
    assert training == sorted(training)
    assert nulls == sorted(nulls)
    assert nulls[-1] > 10 * nulls[-3]
    assert expected_seconds(plan, rates, "corpus", {}) == STARTED + SECONDS["corpus"]
    assert expected_seconds(plan, rates, "fits", {}) == STARTED + 26 * PER_POINT["fits"]
    of_another_workflow = [expected_seconds(plan, rates, rule, {}) for rule in ("report", "train_model", "nulls")]
    assert of_another_workflow == [STARTED + OTHERS] * 3


def test_every_rule_with_a_time_is_a_rule():
    rules = "".join(path.read_text() for path in (WORKFLOW / "rules").glob("*.smk"))
    assert all(f"rule {name}:" in rules for name in ("train_model", *SECONDS, *PER_POINT, *SHARES))


def test_the_rate_of_a_core_is_one_of_this_age():
    assert 1e9 < rates_here().products < 1e13
