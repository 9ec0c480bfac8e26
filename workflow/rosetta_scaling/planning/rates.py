"""How fast a device does the work of a study, as `make bench DEVICE=cuda` measured it."""

from pathlib import Path
from typing import NamedTuple

from rosetta_scaling.planning.costs import TrainingWork, Work
from rosetta_scaling.store.tables import read_json


class Rates(NamedTuple):
    """Work of a device per second; times are those of one job that has the device for itself."""

    device: str  # its name, and where the rates are from
    products: float  # floating-point operations in products of the exact engine
    forward: float  # in forward passes, hooks and pooling included
    reading: float = float("inf")  # bytes of stored activations; a disk may be slower than the page cache
    passes: int = 1  # over activations: a GPU settles in a second one what rounding leaves open
    training: float = 3e10  # floating-point operations in training: of a core, in the largest default networks
    step: float = 0.0  # seconds to start the kernels of a training step
    wide: int = 1  # hidden size of the network whose passes were measured; narrower ones are slower in proportion

    def parts(self, work: Work) -> dict[str, float]:
        """Seconds of every kind of work, by its name for people."""
        return {
            "products": work.products / self.products,  # a second pass included
            "forward pass": self.passes * self.forward_seconds(work.forward, work.hidden),
            "disk": self.passes * work.read / self.reading,
        }

    def seconds(self, work: Work) -> float:
        """Activations are read while the chunk before is multiplied."""
        parts = self.parts(work)
        return parts["forward pass"] + max(parts["products"], parts["disk"])

    def forward_seconds(self, operations: float, hidden: int) -> float:
        """Of forward passes of a network with this hidden size."""
        return operations / (self.forward * min(1.0, hidden / self.wide))

    def training_seconds(self, work: TrainingWork) -> float:
        return work.operations / self.training + work.steps * self.step

    def bound(self, work: Work) -> str:
        """What takes most of the time."""
        parts = self.parts(work)
        return max(parts, key=lambda name: parts[name])


# The means of two runs with torch 2.11.0+cu130 (see docs/performance.md): match_tile of 65,536 neurons, a network of
# 1.4 billion parameters, activations in the page cache.
# Training is not measured: of networks with a few hundred channels, a twentieth of the peak is expected. Neither are
# forward passes of networks that are narrower than the one that was measured.
TRAINING, STEP, WIDE = 5e13, 0.005, 2048
H100 = Rates("NVIDIA H100 80GB HBM3, measured on 2026-11-26", 5.44e14, 4.95e14, 9.9e9, 2, TRAINING, STEP, WIDE)


def rates_of_card(folder: Path) -> Rates:
    """Those of the GPU that was last measured into a folder; of an H100 where none was."""
    for file in sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True):
        found = read_json(file)
        if found.get("device") == "cuda":
            try:
                return _measured(found)
            except KeyError:  # a figure that the benchmark did not reach
                continue
    return H100


def _measured(found: dict) -> Rates:
    """The rates of a file of workflow/benchmarks/card.py; raises KeyError where a figure is missing."""
    sizes, figures = found["sizes"], found["figures"]
    passes, files = figures["forward pass"], figures["files"]
    read = 2 * 2 * sizes["neurons"] * sizes["file_units"]  # of two models, in bfloat16
    return Rates(
        f"{found['card']}, measured on {found['date']}",
        products=1e12 * figures["match_tile"]["tflops"],
        forward=2 * passes["parameters"] * passes["pooled_tokens_per_s"],
        reading=read / files["seconds"],
        passes=2,
        training=TRAINING,
        step=STEP,
        wide=WIDE,
    )
