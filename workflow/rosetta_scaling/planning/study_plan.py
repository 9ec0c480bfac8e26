"""A study with what is planned for it: sizes of its networks, and how its pairs are matched."""

from functools import cached_property

from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.networks.model_sizes import ModelSize
from rosetta_scaling.planning.plan import Plan, make_plan
from rosetta_scaling.planning.sizes import Sizes


class StudyPlan:
    """What rules and jobs know of a study. Sizes and plan are found when they are first asked for, once per process."""

    def __init__(self, layout: Layout):
        self.layout, self.study, self.sizes = layout, layout.study, Sizes(layout)

    def size(self, model: str) -> ModelSize:
        return self.sizes.of(model)

    @cached_property
    def matching(self) -> Plan:
        """How the pairs are matched."""
        sizes = {model: self.size(model) for model in self.layout.models}
        return make_plan(self.study, sizes, self.layout.pairs)

    @property
    def stores_activations(self) -> bool:
        return self.matching.placement == "stored"

    def tiles(self, pair: str, variant: str) -> list[str]:
        """Files with the best partners within each tile; none when the pair is one tile, matched where it is used."""
        tiles = len(self.matching.tiles[pair])
        return [self.layout.tile(pair, variant, i) for i in range(tiles)] if tiles > 1 else []

    def neighbour_files(self, pair: str, variant: str) -> list[str]:
        """Files with best partners that are put together to the matches of a pair; only the real one takes a sketch."""
        if self.matching.engine == "sketch" and variant == "real":
            return [f"{self.layout.rescored(pair)}/{pair}.safetensors"]
        return self.tiles(pair, variant)
