"""What every fit must report, and what is refused."""

import copy
import json
import math

import pytest

from rosetta_scaling.fits.checklist import UNKNOWN, read_checked, write_checked
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json

ROWS = ("count_against_units", "sensitivity", "coverage", "residuals", "curvature", "influence", "rivals",
        "largest_rung", "below_proportional")  # fmt: skip
NUMBERS_OR_WHY = {"r2", "model_sd", "documents_sd", "nulls_sd", "seeds_sd"}


@pytest.fixture(scope="module")
def whole(fitted_folder) -> dict:
    """fits.json with one fit of three points, and one refused."""
    known = read_json(fitted_folder / "tables/fits.json")
    fit = known["fits"][0]
    fit["data"]["points"] = fit["data"]["points"][:3]
    return {"fits": [fit], "refused": known["refused"][:1]}


def entries(values, path=()):
    """The path of every entry that the checklist names."""
    for key, value in values.items() if isinstance(values, dict) else enumerate(values):
        if isinstance(values, dict):
            yield (*path, key)
        block = isinstance(value, dict) and key not in ("nulls", "versions")
        if block or (isinstance(value, list) and key in ("fits", "refused", "points")):
            yield from entries(value, (*path, key))


def changed(values: dict, path: tuple, *new) -> dict:
    """A copy with the entry at `path` replaced, or without it."""
    values = copy.deepcopy(values)
    place = values
    for key in path[:-1]:
        place = place[key]
    if new:
        place[path[-1]] = new[0]
    else:
        del place[path[-1]]
    return values


def refusal(folder, values: dict) -> str:
    """What the checklist says to a file with these values, NaN included; nothing if it takes them."""
    (folder / "fits.json").write_text(json.dumps(values))
    try:
        read_checked(folder / "fits.json")
    except StudyError as error:
        return str(error)
    return ""


def test_a_whole_file_is_taken_and_comes_back_as_it_was(whole, tmp_path):
    assert refusal(tmp_path, whole) == ""
    write_checked(tmp_path / "again.json", whole)
    assert read_json(tmp_path / "again.json") == whole
    assert read_checked(tmp_path / "again.json").fits[0].data.points[2].point == "r3"


def test_every_entry_is_required(whole, tmp_path):
    paths = list(entries(whole))
    assert len(paths) > 80
    for path in paths:
        name = ".".join(map(str, path))
        said = refusal(tmp_path, changed(whole, path))
        assert f"{name}: Field required" in said, name
        with pytest.raises(StudyError, match="a fit must report"):
            write_checked(tmp_path / "new.json", changed(whole, path))
    assert not (tmp_path / "new.json").exists()


@pytest.mark.parametrize("nothing", [math.nan, None, "", "  ", [], {}, "not measured:", UNKNOWN, f"{UNKNOWN}  "])
def test_no_entry_may_say_nothing(whole, tmp_path, nothing):
    for path in entries(whole):
        name = ".".join(map(str, path))
        if path in (("fits",), ("refused",)) and nothing == []:
            continue  # one of both may be empty
        said = refusal(tmp_path, changed(whole, path, nothing))
        assert name in said, name


def test_a_number_may_be_missing_with_a_reason_only_where_a_study_cannot_know_it(whole, tmp_path):
    for path in entries(whole):
        values = whole
        for key in path:
            values = values[key]
        said = refusal(tmp_path, changed(whole, path, f"{UNKNOWN}nobody counted"))
        if isinstance(values, str):
            assert said == ""
        else:
            assert (said == "") == (path[-1] in NUMBERS_OR_WHY), path
    for path in (("uncertainty", "alpha", 0), ("data", "points", 0, "nulls", "iid")):
        assert refusal(tmp_path, changed(whole, ("fits", 0, *path), f"{UNKNOWN}one draw")) == ""
        assert "nulls" in (said := refusal(tmp_path, changed(whole, ("fits", 0, *path), "unknown"))) or "alpha" in said
    assert "covariance" in refusal(
        tmp_path, changed(whole, ("fits", 0, "estimation", "covariance"), [[1, 2], [3, math.nan]])
    )


def test_rows_and_lists_inside_an_entry_say_something_too(whole, tmp_path):
    fit = whole["fits"][0]
    for block, name in [(b, n) for b in ("uncertainty", "adequacy", "claim") for n in ROWS if n in fit[b]]:
        for nothing in ({"x": math.nan}, {"x": None}, {"x": ""}, {"x": "not measured:"}, {}):
            assert name in refusal(tmp_path, changed(whole, ("fits", 0, block, name), [nothing])), (name, nothing)
        assert refusal(tmp_path, changed(whole, ("fits", 0, block, name), [{"x": f"{UNKNOWN}why not"}])) == ""
    for path in (("form", "rivals"), ("data", "exclusions"), ("data", "points", 1, "seeds")):
        assert ".".join(map(str, path)) in refusal(tmp_path, changed(whole, ("fits", 0, *path), [""]))
    assert "versions" in refusal(tmp_path, changed(whole, ("fits", 0, "estimation", "versions"), {"numpy": ""}))


def test_two_points_an_unknown_key_and_a_damaged_file_are_refused(whole, tmp_path):
    two = changed(whole, ("fits", 0, "data", "points"), whole["fits"][0]["data"]["points"][:2])
    assert "fits.0.data.points: List should have at least 3 items" in refusal(tmp_path, two)
    more = copy.deepcopy(whole)
    more["fits"][0]["claim"]["beautiful"] = "very"
    assert "fits.0.claim.beautiful: Extra inputs are not permitted" in refusal(tmp_path, more)
    assert "refused.0.reason" in refusal(tmp_path, changed(whole, ("refused", 0, "reason"), " "))
    (tmp_path / "fits.json").write_text('{"fits": [')
    with pytest.raises(StudyError, match="damaged or truncated"):
        read_checked(tmp_path / "fits.json")


def test_a_file_without_any_fit_says_why_there_is_none(whole, tmp_path):
    assert refusal(tmp_path, changed(whole, ("fits",), [])) == ""
    assert refusal(tmp_path, changed(whole, ("refused",), [])) == ""
    assert "every curve has a fit, or a reason" in refusal(tmp_path, {"fits": [], "refused": []})


def test_many_faults_are_counted(whole, tmp_path):
    values = changed(changed(whole, ("fits", 0, "form"), {}), ("fits", 0, "claim"), {})
    assert refusal(tmp_path, values).endswith(", and 7 more")
