"""Match stored activations under a budget and print the peak memory: FOLDER_A FOLDER_B NEURONS BUDGET_MB.

A process of its own with the imports of a matching job, and nothing else.
"""

import json
import sys
import time
from pathlib import Path

import torch

from rosetta_scaling.activations.sources import StoredActivations
from rosetta_scaling.matching.correlation import match_tile
from rosetta_scaling.matching.tiles import tiles

if __name__ == "__main__":
    *folders, neurons, budget = sys.argv[1:]
    torch.set_num_threads(1)  # as a job of the workflow
    a, b = (StoredActivations(folder) for folder in folders)
    began = time.perf_counter()
    for tile in tiles(int(neurons), int(neurons), int(budget) * 10**6):
        match_tile(a, b, tile, 2)
    seconds = time.perf_counter() - began
    status = Path("/proc/self/status").read_text()  # getrusage counts the process that started this one
    print(json.dumps({"seconds": seconds, "peak_mb": int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6}))
