"""The SLURM profile as it is and as a site edits it: what it says to Snakemake, without a cluster."""

import re

import yte
from slurm_profiles import PROFILE, edited

from rosetta_scaling import WORKFLOW
from rosetta_scaling.jobs.orphans import PREFIX

RULE = re.compile(r"(?ms)^rule (\w+):\n(.*?)(?=^\S|\Z)")


def settings(text: str) -> dict:
    return yte.process_yaml(text, require_use_yte=True)


def rules() -> dict[str, str]:
    """Name and text of every rule."""
    texts = [path.read_text() for path in sorted((WORKFLOW / "rules").glob("*.smk"))]
    return {name: body for text in texts for name, body in RULE.findall(text)}


def test_as_it_is_it_asks_for_no_gpu_no_account_and_the_default_partition():
    found = settings(PROFILE)
    assert found["config"] == {"device": "cpu"}
    assert not {"set-resources", "set-threads"} & set(found)
    assert not {"slurm_account", "slurm_partition"} & set(found["default-resources"])


def test_three_lines_adapt_it():
    found = settings(edited(account="me", partition="short", gpu_partition="a100", gpu_request="{gpu_model: a100}"))
    assert "config" not in found
    assert found["default-resources"]["slurm_account"] == "me"
    assert found["default-resources"]["slurm_partition"] == "short"
    for asked in found["set-resources"].values():
        assert asked == {"slurm_partition": "a100", "gpu_model": "a100"}
    assert set(found["set-threads"]) == set(found["set-resources"])


def test_the_gpu_partition_gets_just_the_rules_that_ask_for_gpus():
    asking = {name for name, body in rules().items() if "gpu=needs.gpu(" in body}
    assert set(settings(edited(gpu_partition="gpu"))["set-resources"]) == asking
    assert len(asking) > 8


def test_only_local_rules_retry_by_themselves():
    """In a rule, retries would be made inside the allocation, and multiplied by those of the profile."""
    (listed,) = re.findall(r"(?m)^localrules:\n((?:    .*\n)+)", (WORKFLOW / "rules/checkpoints.smk").read_text())
    local = set(re.findall(r"\w+", listed))
    assert {name for name, body in rules().items() if "retries:" in body} <= local


def test_jobs_bear_the_name_by_which_a_killed_run_is_found():
    assert settings(PROFILE)["slurm-jobname-prefix"] + "_" == PREFIX


def test_every_line_says_why():
    lines = [line for line in PROFILE.splitlines() if re.match(r"^[a-z][\w-]*: \S", line)]
    assert len(lines) > 12
    without = [line for line in lines if "#" not in line]
    assert without == ["resources: [in_group=1]"], "which a comment of its own explains"
