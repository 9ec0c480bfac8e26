"""Where everything lives: names, paths and cache keys of a study. Wiring for the rules; nothing is computed here.

A model is FAMILY-RUNG (`gpt2-r3`), a pair is A--B, a scope is the set of tokenizers that share unit boundaries:
`study`, or the name of a pair.
"""

import itertools
import shutil
from functools import cached_property
from pathlib import Path

import numpy as np

from rosetta_scaling import versions
from rosetta_scaling.config.study import Study
from rosetta_scaling.layout.literal_paths import cache_folder, require_literal
from rosetta_scaling.networks.folders import model_files
from rosetta_scaling.networks.model_sizes import ModelSize, config_size, folder_size, published, trained_size
from rosetta_scaling.numerics.limits import MINIMUM_RUNGS
from rosetta_scaling.numerics.seeds import seed_from
from rosetta_scaling.planning.plan import Plan, make_plan
from rosetta_scaling.store.digests import digest
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json, write_json


class Layout:
    """Names and paths of one study, as the rules need them. Paths are strings, relative to the working folder.

    The corpus key names the packages installed where the workflow was started; a job that may run in another
    environment is given it.
    """

    def __init__(self, study: Study, corpus_key: str | None = None):
        self.study = study
        self._corpus_key = corpus_key
        self.results = f"results/{study.study}"
        self.cache = cache_folder(study.cache_dir)
        self.check_paths()
        self.check_models()

    # -- models ------------------------------------------------------------------------------------------------------

    @cached_property
    def models(self) -> list[str]:
        """Every model that some curve needs, in the order of families and rungs."""
        needed = {model for point in self.points.values() for model in point}
        return [m for f in self.study.families for r in self.study.rungs_of(f) if (m := f"{f}-{r}") in needed]

    @cached_property
    def points(self) -> dict[tuple[str, str], list[str]]:
        """(curve, rung) -> models of the point, the anchor first."""
        return {
            (curve, rung): [f"{family}-{rung}" for family in families]
            for curve, families in self.study.curves.items()
            for rung in self.study.points_of(curve)
        }

    @cached_property
    def pairs(self) -> dict[str, tuple[str, str]]:
        """Pair name -> its two models, for every two models that share a point (outer pairs included)."""
        found = [self.pair(a, b) for point in self.points.values() for a, b in itertools.combinations(point, 2)]
        return dict(sorted({"--".join(pair): pair for pair in found}.items()))

    def pair(self, a: str, b: str) -> tuple[str, str]:
        """The two models in the order of the study, so that A--B and B--A are one artifact."""
        return (a, b) if self.models.index(a) < self.models.index(b) else (b, a)

    def family(self, model: str) -> str:
        return model.split("-")[0]

    def rung(self, model: str) -> str:
        return model.split("-")[1]

    def source(self, model: str) -> str:
        return self.study.families[self.family(model)].source

    def is_trained_here(self, model: str) -> bool:
        return self.source(model) == "ladder"

    def named(self, model: str) -> str:
        """What the study calls a network that is not trained here: a folder, owner/name@revision, a package's model."""
        return self.study.families[self.family(model)].models[self.rung(model)]

    def original(self, model: str) -> str:
        """The network whose configuration and tokenizer an untrained one has."""
        return f"{self.study.families[self.family(model)].of}-{self.rung(model)}"

    def check_paths(self) -> None:
        """Refuse paths of the study that Snakemake would take for patterns."""
        study = self.study
        paths = {
            "selectivity.embedding": study.selectivity.embedding,
            "companions.depth.chinchilla": study.companions.depth.chinchilla,
            "judge.answers": study.judge.answers,
        }
        for key, path in paths.items():
            require_literal(key, path or "")
        for file in Path(study.selectivity.embedding).rglob("*"):
            require_literal("a file of selectivity.embedding", str(file))

    def check_models(self) -> None:
        """Refuse incomplete local folders, and a point with the same network twice: it trivially matches itself."""
        for model in self.models:
            if self.source(model) == "local":
                key = f"families.{self.family(model)}.models.{self.rung(model)}"
                require_literal(key, self.named(model))
                for file in model_files(self.named(model)):
                    require_literal(f"a file of {key}", file)
        for (curve, rung), models in self.points.items():
            folders = [str(Path(self.checkpoint(model)).resolve()) for model in models]
            if len(set(folders)) < len(folders):
                raise StudyError(
                    f"point {rung} of curve {curve} compares {models}, but two of them are the same network "
                    f"({folders}); give each family its own seed, architecture or folder"
                )

    # -- the cache: KEY names everything the artifact depends on -----------------------------------------------------

    @cached_property
    def corpus_key(self) -> str:
        if self._corpus_key:
            return self._corpus_key
        from rosetta_scaling.corpora.documents import corpus_identity  # here, because it imports much

        return digest(corpus_identity(self.study.corpus, Path(self.cache) / "digests.json"))

    @property
    def corpus_dir(self) -> str:
        return f"{self.cache}/corpora/{self.corpus_key}"

    def tokenizer_identity(self, family: str) -> dict:
        member = self.study.families[family]
        return {
            "corpus": self.corpus_key,
            "vocabulary": member.vocabulary,
            "seed": member.seed,
            "architecture": member.architecture,
            "version": versions.TOKENIZER,
        }

    @cached_property
    def tokenizer_keys(self) -> dict[str, str]:
        """Cache key -> family, for every tokenizer that is trained here."""
        families = {self.family(model) for model in self.model_keys.values()}
        return {self.tokenizer_dir(family).split("/")[-1]: family for family in sorted(families)}

    def tokenizer_dir(self, family: str) -> str:
        return f"{self.cache}/tokenizers/{digest(self.tokenizer_identity(family))}"

    def training_identity(self, model: str) -> dict:
        """Everything that decides the weights of a trained model; how often it saves itself does not."""
        settings = self.study.ladder.model_dump(exclude={"rungs", "checkpoint_seconds"})
        family = self.family(model)
        return {
            **settings,
            "size": self.study.ladder.rungs[self.rung(model)].model_dump(),
            "tokenizer": self.tokenizer_identity(family),
            "version": versions.TRAINING,
        }

    @cached_property
    def model_keys(self) -> dict[str, str]:
        """Cache key -> model, for every network that is trained here; one under two names is trained once."""
        return self.keys_of("ladder")

    def checkpoint(self, model: str) -> str:
        """Folder in `save_pretrained` format."""
        if self.source(model) == "local":
            return self.named(model)
        return f"{self.cache}/checkpoints/{self.checkpoint_key(model)}"

    def checkpoint_key(self, model: str) -> str:
        """Names everything that a network in the cache depends on."""
        if self.is_trained_here(model):
            return digest(self.training_identity(model))
        origin = {"source": self.source(model), "version": versions.CHECKPOINTS}
        if self.source(model) == "untrained":
            seed = self.study.families[self.family(model)].seed
            return digest(origin | {"of": self.checkpoint(self.original(model)), "seed": seed})
        return digest(origin | {"model": self.named(model)})

    def keys_of(self, source: str) -> dict[str, str]:
        """Cache key -> model, for every network from a source; one under two names is fetched once."""
        originals = {self.original(model) for model in self.models if self.source(model) == "untrained"}
        needed = [*self.models, *sorted(originals - set(self.models))]
        return {self.checkpoint_key(model): model for model in needed if self.source(model) == source}

    def checkpoint_manifest(self, model: str) -> str:
        """The file whose presence says that a checkpoint is whole."""
        if self.is_trained_here(model):
            return f"{self.checkpoint(model)}/manifest.json"
        return f"{self.results}/checkpoints/{model}.json"

    @property
    def audit(self) -> str:
        """What the weights of every two networks that are matched have in common."""
        return self.tables("audit.csv")

    # -- units and activations ---------------------------------------------------------------------------------------

    def scope(self, a: str, b: str) -> str:
        """The unit set on which two models are compared."""
        return "study" if self.study.units.scope == "study" else "--".join(self.pair(a, b))

    def scope_of_member(self, curve: str, rung: str, member: int) -> str:
        """The unit set on which a point compares its anchor with one of its models; the anchor's is the first's."""
        models = self.points[curve, rung]
        return self.scope(models[0], models[member or 1])

    def models_of_scope(self, scope: str) -> list[str]:
        return self.models if scope == "study" else list(self.pairs[scope])

    def tokenizer_name(self, model: str) -> str:
        """Trained models of a family share a tokenizer; a local folder brings its own."""
        if self.source(model) == "untrained":
            return self.tokenizer_name(self.original(model))
        return self.family(model) if self.is_trained_here(model) else model

    def tokenizer_file(self, model: str) -> str:
        if self.source(model) == "untrained":
            return self.tokenizer_file(self.original(model))
        folder = self.tokenizer_dir(self.family(model)) if self.is_trained_here(model) else self.checkpoint(model)
        return f"{folder}/tokenizer.json"

    def tokenizer_files(self, scope: str) -> dict[str, str]:
        """Tokenizer name -> tokenizer.json, for all tokenizers of a scope."""
        return {self.tokenizer_name(model): self.tokenizer_file(model) for model in self.models_of_scope(scope)}

    def units(self, scope: str) -> str:
        return f"{self.results}/units/{scope}/units.parquet"

    def tokens(self, scope: str, model: str) -> str:
        return f"{self.results}/units/{scope}/tokens-{self.tokenizer_name(model)}.parquet"

    def activations(self, scope: str, model: str) -> str:
        """Folder of pooled unit activations; MODEL.untrainedN is the Nth fresh initialisation of MODEL."""
        return f"{self.results}/activations/{scope}/{model}"

    def work(self, scope: str, model: str) -> str:
        """Folder of finished shards. Not an output of a rule, so that Snakemake does not delete it before a rerun."""
        return f"{self.results}/work/{scope}/{model}"

    def untrained_seed(self, model: str, draw: int) -> list:
        """What decides a fresh initialisation."""
        return [self.study.nulls.seed, draw, model]

    @property
    def untrained_draws(self) -> range:
        return range(self.study.nulls.untrained_draws)

    # -- matching ----------------------------------------------------------------------------------------------------

    def size(self, model: str) -> ModelSize:
        if self.is_trained_here(model):
            family = self.study.families[self.family(model)]
            return trained_size(family, self.study.ladder.rungs[self.rung(model)])
        if self.source(model) == "untrained":
            return self.size(self.original(model))
        if self.source(model) == "local" or Path(f"{self.checkpoint(model)}/manifest.json").exists():
            return folder_size(self.checkpoint(model))
        return config_size(self.configuration(model), self.named(model))

    def configuration(self, model: str) -> dict:
        """What config.json of a network says, or will say once it is here. Only of networks that are not published in
        workflow/models/ the hub is asked, once; jobs find the answer in the cache.
        """
        source, name = self.source(model), self.named(model)
        if known := published(source, name):
            return known["config"]
        if source == "package":
            raise StudyError(f"no package is known for the network {name!r}; workflow/models/packages.yaml lists them")
        path = Path(f"{self.cache}/configurations/{self.checkpoint_key(model)}.json")
        if not path.exists():
            from rosetta_scaling.networks.fetch.hub import configuration  # here, because it imports much

            write_json(path, configuration(*name.split("@")))
        return read_json(path)

    @cached_property
    def smallest(self) -> int:
        """Neurons of the smallest model: so many are compared at equal n."""
        return min(self.size(model).neurons for model in self.models)

    @cached_property
    def plan(self) -> Plan:
        """How the pairs are matched."""
        study = self.study
        sizes = {model: self.size(model) for model in self.models}
        # With the smallest useful vocabulary a unit has about two bytes.
        most_units = study.corpus.probe_bytes_per_domain * study.corpus.most_domains * 2 // 3
        draws = study.nulls.untrained_draws
        return make_plan(
            study.matching, study.activations, study.units, sizes, self.pairs, most_units, draws, self.weight_bytes
        )

    @property
    def weight_bytes(self) -> int:
        """Of a weight of a network that is loaded."""
        return 4 if self.study.networks.dtype == "float32" else 2

    @property
    def stores_activations(self) -> bool:
        return self.plan.placement == "stored"

    def variants(self, null: str) -> list[str]:
        """The draws of a null: one side or both are changed, then matched like the real pair."""
        return [f"{null}{draw}" for draw in range(self.study.nulls.draws(null))]

    def tiles(self, pair: str, variant: str) -> list[str]:
        """Files with the best partners within each tile; none when the pair is one tile, matched where it is used."""
        tiles = self.plan.tiles[pair]
        folder = f"{self.results}/tiles/{pair}/{variant}"
        return [f"{folder}/{i:05d}.safetensors" for i in range(len(tiles))] if len(tiles) > 1 else []

    def sample(self, model: str, size: int | None, *seed) -> np.ndarray:
        """Random neurons of a model, sorted, the same in all its pairs; all when there are no more than `size`."""
        neurons = self.size(model).neurons
        if size is None or size >= neurons:
            return np.arange(neurons)
        random = np.random.default_rng(seed_from([self.study.nulls.seed, model, *seed]))
        return np.sort(random.choice(neurons, size, replace=False))

    def sketch(self, scope: str, model: str) -> str:
        return f"{self.results}/sketches/{scope}/{model}"

    def candidates(self, pair: str) -> str:
        return f"{self.results}/candidates/{pair}.safetensors"

    @cached_property
    def groups(self) -> dict[str, list[str]]:
        """Pairs that are re-scored in one pass over all their models: those of a rung, when they share their units."""
        groups = {}
        for name, (a, _) in self.pairs.items():
            groups.setdefault(self.rung(a) if self.study.units.scope == "study" else name, []).append(name)
        return groups

    def rescored(self, pair: str) -> str:
        """Folder with the best partners that the sketch engine found for the group of a pair, a file per pair."""
        group = next(group for group, pairs in self.groups.items() if pair in pairs)
        return f"{self.results}/rescored/{group}"

    def found(self, pair: str, variant: str) -> list[str]:
        """Files with best partners that are put together to the matches of a pair; only the real one takes a sketch."""
        if self.plan.engine == "sketch" and variant == "real":
            return [f"{self.rescored(pair)}/{pair}.safetensors"]
        return self.tiles(pair, variant)

    def summaries(self, curve: str, rung: str) -> list[str]:
        """What is known of the models of a point, the anchor first: their sizes, among others."""
        scopes = [self.scope_of_member(curve, rung, member) for member in range(len(self.points[curve, rung]))]
        folders = map(self.activations, scopes, self.points[curve, rung])
        return [f"{folder}/summary.json" for folder in folders]

    def check_scratch(self, units: int) -> None:
        """Refuse to fill the disk beyond its budget, now that the number of units is known."""
        plan, matching = self.plan, self.study.matching
        need = plan.stored_bytes * units / plan.units + plan.sketch_bytes
        if need > matching.scratch_gb * 1e9:
            raise StudyError(
                f"activations and sketches of this study take {need / 1e9:.1f} GB on {units:,} units, but "
                f"matching.scratch_gb is {matching.scratch_gb:g}; raise it, or set matching.placement to recomputed"
            )

    # -- matches and points ------------------------------------------------------------------------------------------

    def matches(self, a: str, b: str) -> str:
        return f"{self.results}/matches/{'--'.join(self.pair(a, b))}/matches.parquet"

    def matches_without_nulls(self, pair: str) -> str:
        """The same for who wants the pairs only: no null stands beside it."""
        return f"{self.results}/matches_without_nulls/{pair}/matches.parquet"

    def neighbours(self, a: str, b: str) -> str:
        """The best partners of every neuron, as the engine found them."""
        return f"{self.results}/matches/{'--'.join(self.pair(a, b))}/neighbours.safetensors"

    def snapshots(self, a: str, b: str) -> str:
        """Matches after a part of the units."""
        return f"{self.results}/matches/{'--'.join(self.pair(a, b))}/snapshots.parquet"

    def null(self, null: str, a: str, b: str) -> str:
        return f"{self.results}/nulls/{'--'.join(self.pair(a, b))}/{null}.parquet"

    def replicate(self, kind: str, a: str, b: str) -> str:
        return f"{self.results}/stability/{'--'.join(self.pair(a, b))}/{kind}.parquet"

    def pairs_of_point(self, curve: str, rung: str) -> list[tuple[str, str]]:
        return [self.pair(a, b) for a, b in itertools.combinations(self.points[curve, rung], 2)]

    def rosetta(self, curve: str, rung: str) -> str:
        return f"{self.results}/rosetta/{curve}/{rung}.parquet"

    def point_table(self, name: str, curve: str, rung: str) -> str:
        """One of POINT_TABLES of one point."""
        return f"{self.results}/rosetta/{curve}/{rung}.{name}.csv"

    def selectivity(self, scope: str, model: str) -> str:
        """One row per neuron, one column per metric."""
        return f"{self.results}/selectivity/{scope}/{model}.parquet"

    def polarization(self, curve: str, name: str) -> str:
        """One of POLARIZATION_TABLES of one curve."""
        return f"{self.results}/polarization/{curve}/{name}.csv"

    def answers(self, curve: str, rung: str, stage: str) -> str:
        """Where a user puts the answers of a judge by hand."""
        return f"{self.study.judge.answers}/{curve}-{rung}-{stage}.jsonl"

    @property
    def judgements(self) -> list[str]:
        """Summaries of the judge, one per point; none when nobody judges."""
        asked = self.points if self.study.judge.neurons else {}
        return [f"{self.results}/judge/{curve}/{rung}/judgement.csv" for curve, rung in asked]

    @property
    def simulations(self) -> list[str]:
        """Simulated networks of the theory, one file per exponent of importance; shared by all studies."""
        theory = self.study.theory
        key = digest({**theory.model_dump(exclude={"betas"}), "version": versions.THEORY})
        return [f"{self.cache}/theory/{key}/beta_{beta:g}.csv" for beta in theory.betas]

    # -- companion studies -------------------------------------------------------------------------------------------

    @cached_property
    def companion_keys(self) -> dict[str, str]:
        """Companion study -> cache key, which names all that its trained networks depend on."""
        keys = {}
        for name in self.study.companions.studies:
            trained = self.companion_settings(name).training()
            keys[name] = digest({"study": name, "settings": trained, "version": versions.COMPANIONS})
        return keys

    def companion_settings(self, name: str):
        return getattr(self.study.companions, name)

    def companion_jobs(self, name: str) -> str:
        """Folder with a folder for every job of a companion study; shared by all studies."""
        return f"{self.cache}/companions/{name}/{self.companion_keys[name]}"

    def companion(self, name: str) -> str:
        """Folder of the tables and figures of a companion study."""
        return f"{self.results}/companions/{name}"

    def companion_tables(self, name: str) -> list[str]:
        """Folders with tables and claims.json of a companion study: its own, and the one of the depth ladder."""
        ladder = ["language"] if name == "depth" and self.depth_ladder else []
        return [f"{self.companion(name)}/{folder}" for folder in ("tables", *ladder)]

    @cached_property
    def depth_ladder(self) -> list[str]:
        """Models of families that are trained here in one width and at least three depths, if depth is studied."""
        ladder = []
        for family in self.study.families if "depth" in self.companion_keys else ():
            models = [model for model in self.models if self.family(model) == family and self.is_trained_here(model)]
            sizes = [self.size(model) for model in models]
            if len({size.hidden for size in sizes}) == 1 and len({size.layers for size in sizes}) >= MINIMUM_RUNGS:
                ladder += models
        return ladder

    @property
    def depth_pairs(self) -> list[tuple[str, str]]:
        """Pairs of models of the depth ladder that are equally deep."""
        ladder = set(self.depth_ladder)
        return [
            (a, b) for a, b in self.pairs.values() if {a, b} <= ladder and self.size(a).layers == self.size(b).layers
        ]

    @property
    def language_settings(self) -> dict:
        """What the tables of the depth ladder depend on, as plain values."""
        used = {"confidence", "shuffles", "seed", "angle_band", "orthogonal", "flatness"}
        return self.study.companions.depth.model_dump(mode="json", include=used)

    def angles(self, model: str) -> str:
        """Angles along the layers of a model of the depth ladder."""
        return f"{self.companion('depth')}/angles/{model}.parquet"

    @property
    def companion_pages(self) -> list[str]:
        return [f"{self.results}/report/{name}.html" for name in self.companion_keys]

    @property
    def report(self) -> str:
        return f"{self.results}/report/index.html"

    @property
    def fits_page(self) -> str:
        return f"{self.results}/report/fits.html"

    def tables(self, name: str) -> str:
        return f"{self.results}/tables/{name}"

    def remove_work(self) -> None:
        """Delete what jobs kept for the case of a kill; for a study that has come to its end."""
        for key in self.model_keys:
            shutil.rmtree(f"{self.cache}/work/{key}", ignore_errors=True)
        shutil.rmtree(f"{self.results}/work", ignore_errors=True)
