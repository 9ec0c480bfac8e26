"""The section `companions` of the configuration."""

from typing import Literal

from rosetta_scaling.config.companions.depth import DepthSettings
from rosetta_scaling.config.companions.filtering import FilteringSettings
from rosetta_scaling.config.companions.lottery import LotterySettings
from rosetta_scaling.config.companions.mixture import MixtureSettings
from rosetta_scaling.config.section import Section


class Companions(Section):
    """Three studies of scaling in small networks, and one of data filtering. The three depend on nothing else in the
    study, except that the depth study also reads language models of equal width and different depth, if the study
    trains any; filtering reads the networks of the study and what is known of their neurons."""

    studies: list[Literal["lottery", "depth", "mixture", "filtering"]] = []
    """Companion studies that are run with this study and shown in its report; the default study has the first three."""
    lottery: LotterySettings = LotterySettings()
    depth: DepthSettings = DepthSettings()
    mixture: MixtureSettings = MixtureSettings()
    filtering: FilteringSettings = FilteringSettings()
