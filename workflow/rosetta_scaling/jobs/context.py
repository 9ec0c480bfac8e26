"""What the script of a rule needs to know beside its files: the study that its job belongs to, and the device."""

import logging
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rosetta_scaling.config.parsing import parse
from rosetta_scaling.config.study import Study
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.store.digests import digest, file_states

if TYPE_CHECKING:
    import torch

CORPUS_KEY = "_corpus_key"  # how the workflow tells its jobs which corpus there is (see layout/keys.py)


class Job:
    """What a script needs to know beside its files: the study that the job belongs to, and the device."""

    def __init__(self, snakemake):
        self._snakemake = snakemake

    @cached_property
    def plan(self) -> StudyPlan:
        """The study with its names and paths, and what is planned for it."""
        config = self._snakemake.config
        study = parse({key: value for key, value in config.items() if key != CORPUS_KEY})
        return StudyPlan(Layout(study, config[CORPUS_KEY]))

    @property
    def layout(self) -> Layout:
        return self.plan.layout

    @property
    def study(self) -> Study:
        return self.plan.study

    @cached_property
    def device(self) -> "torch.device":
        """The device of this job, with its number of threads set; a warning tells of a GPU that is not used."""
        from rosetta_scaling.numerics.devices import prepare

        found, granted = prepare(self.study.device, self._snakemake.threads), os.environ.get("CUDA_VISIBLE_DEVICES")
        log = logging.getLogger("rosetta_scaling")
        if granted and found.type == "cpu":
            log.warning("computing on %s, though this job was given the GPU %s: torch finds none", found, granted)
        else:
            log.info("computing on %s", found)
        return found

    def work_folder(self, *names: str, content: bool = False) -> Path:
        """Folder in results/STUDY/work that only this job uses. It is not an output of the rule, so Snakemake does not
        delete it before a rerun.

        With `content`, its name encodes the inputs and params of the job, so that nothing older is found in it.
        """
        folder = Path(self.layout.work(*names))
        if not content:
            return folder
        params, inputs = self._snakemake.params, self._snakemake.input
        return folder / digest([dict(params.items()), file_states(inputs)])
