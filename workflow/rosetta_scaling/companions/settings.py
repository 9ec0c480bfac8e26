"""The section `companions` of the configuration."""

from typing import Literal

from rosetta_scaling.companions.depth_settings import DepthSettings
from rosetta_scaling.companions.lottery_settings import LotterySettings
from rosetta_scaling.companions.mixture_settings import MixtureSettings
from rosetta_scaling.section import Section


class Companions(Section):
    """Three studies of scaling in small networks; they depend on nothing else in the study, but for language models of
    one width and different depths, where it trains such."""

    studies: list[Literal["lottery", "depth", "mixture"]] = []
    """Those that are made with this study and stand in its report; the default study has all three."""
    lottery: LotterySettings = LotterySettings()
    depth: DepthSettings = DepthSettings()
    mixture: MixtureSettings = MixtureSettings()
