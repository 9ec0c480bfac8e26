"""Rules, inputs, outputs, params and cache keys of every shipped study are those in tests/support/golden/.

When a change to them is meant, `python tests/support/frozen_workflow.py` writes the files anew; the commit says why.
"""

import difflib
import re

import pytest
from frozen_workflow import GOLDEN, STUDIES, frozen, planned_jobs
from study_runs import checkout


@pytest.mark.parametrize("study", STUDIES)
def test_every_planned_job_is_the_recorded_one(tmp_path, study):
    planned = frozen(planned_jobs(checkout(tmp_path), study), tmp_path)
    recorded = (GOLDEN / f"{study or 'default'}.txt").read_text()
    changes = difflib.unified_diff(recorded.splitlines(), planned.splitlines(), lineterm="")
    assert planned == recorded, "\n".join(changes)


def test_what_takes_longest_is_started_first(tmp_path):
    """Otherwise the nulls of the largest networks are alone at the end of a run, on one core of several."""
    jobs = planned_jobs(checkout(tmp_path), "")
    for rule in ("extract_activations", "extract_untrained", "nulls"):
        of_rung: dict[str, set[int]] = {f"r{i}": set() for i in range(1, 6)}
        for job in jobs:
            if job["rule"] == rule:
                of_rung[re.findall(r"-(r\d)\b", job["output"][0])[-1]].add(job["priority"])
        (smallest,), *larger = of_rung.values()
        assert smallest > 0
        for (priority,) in larger:
            assert priority > smallest
            smallest = priority
