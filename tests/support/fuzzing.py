"""How the tests in test_fuzz*.py run: a minute in all, always with the same examples, or with more and new ones.

FUZZ_EXAMPLES=1000 FUZZ_DRY_RUNS=100 .venv/bin/python -m pytest -k test_fuzz --timeout 0
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, settings

from rosetta_scaling.store.errors import StudyError

NEW_EXAMPLES = "FUZZ_EXAMPLES" in os.environ
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))
DRY_RUNS = int(os.environ.get("FUZZ_DRY_RUNS", "3"))


# Without the phase that explains a failure, which takes longer than to find it.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)


def fuzz(examples: int = EXAMPLES, shrink: bool = True, slow: bool = False) -> settings:
    """Settings of a test; a slow one has a tenth of the examples, unless 300 or more are asked for."""
    examples = examples // 10 if slow and examples < 300 else examples
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    phases = PHASES if shrink else PHASES[:-1]
    return settings(
        max_examples=examples,
        suppress_health_check=checks,
        phases=phases,
        derandomize=not NEW_EXAMPLES,
    )


def sentence_of(error: pytest.ExceptionInfo | StudyError) -> str:
    """What a user is told: one line, not empty."""
    sentence = str(error.value if isinstance(error, pytest.ExceptionInfo) else error)
    assert sentence.strip(), "an error without a word"
    assert len(sentence.splitlines()) == 1, sentence
    return sentence
