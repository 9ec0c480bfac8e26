"""Sizes of the networks of a study, before they are there: each is found once per process."""

from functools import cached_property
from pathlib import Path

from rosetta_scaling.activations.chunks import WINDOW_BATCHES, WINDOW_BYTES
from rosetta_scaling.config.study import Study
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.networks.model_sizes import ModelSize, config_size, folder_size, published, trained_size
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json, write_json


class Sizes:
    """Sizes of the networks of a study by model name."""

    def __init__(self, layout: Layout):
        self.layout = layout
        self._known: dict[str, ModelSize] = {}

    def of(self, model: str) -> ModelSize:
        if model not in self._known:
            self._known[model] = self._find(model)
        return self._known[model]

    @cached_property
    def smallest(self) -> int:
        """Neurons of the smallest model: this many are compared at equal n."""
        return min(self.of(model).neurons for model in self.layout.models)

    def _find(self, model: str) -> ModelSize:
        layout, study = self.layout, self.layout.study
        if layout.is_trained_here(model):
            return trained_size(
                study.families[layout.family(layout.root(model))], study.ladder.rungs[layout.rung(model)]
            )
        if layout.source(model) == "untrained":
            return self.of(layout.original(model))
        if layout.source(model) == "local" or is_here(layout, model):
            return folder_size(layout.checkpoint(model), study.modality)
        return config_size(configuration(layout, model), layout.network_reference(model), study.modality)


def weight_bytes(study: Study) -> int:
    """Bytes of a weight of a network that is loaded."""
    return 4 if study.networks.dtype == "float32" else 2


def activation_bytes(study: Study) -> int:
    """Bytes of an activation that is stored."""
    return 4 if study.activations.dtype == "float32" else 2


def reading_bytes(study: Study, size: ModelSize) -> int:
    """Memory of a network that is being read: weights, a batch inside a block, a window of all neurons."""
    tokens = study.activations.batch_passages * study.units.max_tokens
    inside_a_block = 4 * tokens * (6 * size.width + 16 * size.hidden)
    batch = 2 * tokens * size.neurons  # of a window: it has several batches, or one that is larger than WINDOW_BYTES
    window = min(WINDOW_BATCHES * batch, max(WINDOW_BYTES, batch))
    return weight_bytes(study) * size.parameters + inside_a_block + window


def is_here(layout: Layout, model: str) -> bool:
    """Has a network that is fetched been fetched?"""
    return Path(f"{layout.checkpoint(model)}/manifest.json").exists()


def configuration(layout: Layout, model: str) -> dict:
    """What config.json of a network of the hub or of a package says, or will say once the network is here.

    Raises StudyError for a package that is not known.
    """
    source, name = layout.source(model), layout.network_reference(model)
    if known := published(source, name):
        return known["config"]
    if source == "package":
        raise StudyError(f"no package is known for the network {name!r}; workflow/models/packages.yaml lists them")
    return configuration_from_hub(name, Path(layout.configuration_memo(model)))


def configuration_from_hub(name: str, memo: Path) -> dict:
    """The configuration of a network, OWNER/NAME@REVISION, that is not published in workflow/models/.

    This is the only place outside of the download rules that uses the network. The hub is asked once, when jobs are
    planned; jobs find the answer in `memo`.
    """
    if not memo.exists():
        from rosetta_scaling.networks.fetch.hub import configuration as ask_hub  # here, because it imports much

        write_json(memo, ask_hub(*name.split("@")))
    return read_json(memo)
