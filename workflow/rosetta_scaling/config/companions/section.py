"""The section `companions` of the configuration."""

from typing import Literal

from rosetta_scaling.config.companions.depth import DepthSettings
from rosetta_scaling.config.companions.lottery import LotterySettings
from rosetta_scaling.config.companions.mixture import MixtureSettings
from rosetta_scaling.config.section import Section

TITLES = {
    "lottery": "Lottery-ticket ensembling",
    "depth": "Inverse depth scaling",
    "mixture": "Capacity, interference and rare tasks",
}  # of the page of every companion study


class Companions(Section):
    """Three studies of scaling in small networks; they depend on nothing else in the study, but for language models of
    one width and different depths, where it trains such."""

    studies: list[Literal["lottery", "depth", "mixture"]] = []
    """Those that are made with this study and stand in its report; the default study has all three."""
    lottery: LotterySettings = LotterySettings()
    depth: DepthSettings = DepthSettings()
    mixture: MixtureSettings = MixtureSettings()
