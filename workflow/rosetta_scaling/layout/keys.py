"""Cache keys: KEY names everything that an artifact in the cache depends on."""

from functools import cached_property

from rosetta_scaling import versions
from rosetta_scaling.config.companions.depth import DepthSettings
from rosetta_scaling.config.companions.filtering import FilteringSettings
from rosetta_scaling.config.companions.lottery import LotterySettings
from rosetta_scaling.config.companions.mixture import MixtureSettings
from rosetta_scaling.config.literal_paths import cache_folder
from rosetta_scaling.config.study import Study
from rosetta_scaling.layout.names import Names
from rosetta_scaling.store.digests import digest

TrainedApart = LotterySettings | DepthSettings | MixtureSettings  # settings of studies that need no network of others
CompanionSettings = TrainedApart | FilteringSettings


class Keys(Names):
    """Names of a study, and the cache keys of what it shares with others.

    The corpus key names the files and packages from which the corpus is made: it is found once, where the workflow is
    started, and given to every job (see stages/corpus.py).
    """

    def __init__(self, study: Study, corpus_key: str):
        super().__init__(study)
        self.corpus_key = corpus_key
        self.cache = cache_folder(study.cache_dir)

    # -- tokenizers --------------------------------------------------------------------------------------------------

    def tokenizer_identity(self, family: str) -> dict:
        """Everything that decides the tokenizer of a family that is trained here."""
        member = self.study.families[family]
        return {
            "corpus": self.corpus_key,
            "vocabulary": member.vocabulary,
            "seed": member.seed,
            "architecture": member.architecture,
            "version": versions.TOKENIZER,
        }

    def tokenizer_key(self, family: str) -> str:
        return digest(self.tokenizer_identity(family))

    @cached_property
    def tokenizer_keys(self) -> dict[str, str]:
        """Cache key -> family, for every tokenizer that is trained here; families of images have none."""
        if self.study.modality == "image":
            return {}
        families = {self.family(self.root(model)) for model in self.model_keys.values()}
        return {self.tokenizer_key(family): family for family in sorted(families)}

    # -- networks ----------------------------------------------------------------------------------------------------

    def training_identity(self, model: str) -> dict:
        """Everything that decides the weights of a trained model; how often it saves itself does not."""
        if self.source(model) == "continued":
            further = {"domain", "tokens", "learning_rate", "seed"}
            return {
                "of": self.training_identity(self.original(model)),
                **self.study.families[self.family(model)].model_dump(include=further),
                "version": versions.TRAINING,
            }
        ladder = self.study.ladder
        unused = "tokens_per_parameter" if ladder.tokens_per_parameter is None else "tokens"
        settings = ladder.model_dump(exclude={"rungs", "checkpoint_seconds", unused})
        settings["size"] = ladder.rungs[self.rung(model)].model_dump()
        if self.study.modality == "image":
            family = self.study.families[self.family(model)].model_dump(include={"architecture", "seed"})
            images = self.study.images.model_dump(include={"size", "patch", "masked", "noise_level"})
            return settings | {
                "family": family,
                "images": images,
                "corpus": self.corpus_key,
                "version": versions.IMAGE_TRAINING,
            }
        return {
            **settings,
            "tokenizer": self.tokenizer_identity(self.family(model)),
            "version": versions.TRAINING,
        }

    def checkpoint_key(self, model: str) -> str:
        """Names everything that a network in the cache depends on."""
        if self.is_trained_here(model):
            return digest(self.training_identity(model))
        origin = {"source": self.source(model), "version": versions.CHECKPOINTS}
        if self.source(model) == "untrained":
            seed = self.study.families[self.family(model)].seed
            return digest(origin | {"of": self.checkpoint(self.original(model)), "seed": seed})
        return digest(origin | {"model": self.network_reference(model)})

    def checkpoint(self, model: str) -> str:
        """Folder of a network in `save_pretrained` format. It is here because the key of an untrained network names the
        folder of its original.
        """
        if self.source(model) == "local":
            return self.network_reference(model)
        return f"{self.cache}/checkpoints/{self.checkpoint_key(model)}"

    def keys_of(self, source: str) -> dict[str, str]:
        """Cache key -> model, for every network from a source; a network listed under two names is fetched once."""
        made = ("untrained", "continued")
        originals = {self.original(model) for model in self.models if self.source(model) in made}
        needed = [*self.models, *sorted(originals - set(self.models))]
        return {self.checkpoint_key(model): model for model in needed if self.source(model) == source}

    @cached_property
    def model_keys(self) -> dict[str, str]:
        """Cache key -> model, for every network that is trained here; one under two names is trained once."""
        return self.keys_of("ladder") | self.keys_of("continued")

    # -- the rest ----------------------------------------------------------------------------------------------------

    @property
    def theory_key(self) -> str:
        theory = self.study.theory
        return digest({**theory.model_dump(exclude={"betas"}), "version": versions.THEORY})

    def companion_settings(self, name: str) -> CompanionSettings:
        return getattr(self.study.companions, name)

    def settings_of_trained(self, name: str) -> TrainedApart:
        """The settings of one of `companion_keys`."""
        return getattr(self.study.companions, name)

    @cached_property
    def companion_keys(self) -> dict[str, str]:
        """Companion study -> cache key, which names all that its trained networks depend on.

        Filtering has none: it depends on what the main study finds, and lies beside that.
        """
        keys: dict[str, str] = {}
        for name in self.study.companions.studies:
            if name == "filtering":
                continue
            trained = self.companion_settings(name).training()
            keys[name] = digest({"study": name, "settings": trained, "version": versions.COMPANIONS})
        return keys
