"""Rules, inputs, outputs, params and cache keys of every shipped study are those in tests/support/golden/.

When a change to them is meant, `python tests/support/frozen_workflow.py` writes the files anew; the commit says why.
"""

import difflib

import pytest
from frozen_workflow import GOLDEN, STUDIES, frozen, planned_jobs
from study_runs import checkout


@pytest.mark.parametrize("study", STUDIES)
def test_every_planned_job_is_the_recorded_one(tmp_path, study):
    planned = frozen(planned_jobs(checkout(tmp_path), study), tmp_path)
    recorded = (GOLDEN / f"{study or 'default'}.txt").read_text()
    changes = difflib.unified_diff(recorded.splitlines(), planned.splitlines(), lineterm="")
    assert planned == recorded, "\n".join(changes)
