"""Memory that is freed and asked for again."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import numpy as np
from rosetta_scaling.jobs.memory import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
for step in range(60):
    if step == 10:  # the first ones find their place
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [np.ones(2**18) for block in range(10)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries are not told anything")
def test_blocks_that_are_freed_in_every_step_are_not_asked_of_the_kernel_again():
    def faults(how: str) -> int:
        command = [sys.executable, "-c", FAULTS, how]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    pages = 50 * 10 * 2**18 * 8 // 4096
    assert faults("given back") > pages / 2
    assert faults("kept") < pages / 50
