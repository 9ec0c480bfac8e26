"""Paths in results/STUDY."""

from rosetta_scaling.config.study import Study
from rosetta_scaling.layout.cache import CachePaths


class ResultPaths(CachePaths):
    """Paths of what one study writes. Paths are strings, relative to the working folder."""

    def __init__(self, study: Study, corpus_key: str):
        super().__init__(study, corpus_key)
        self.results = f"results/{study.study}"

    # -- networks, units, activations --------------------------------------------------------------------------------

    def checkpoint_manifest(self, model: str) -> str:
        """The file whose presence says that a checkpoint is whole."""
        if self.is_trained_here(model):
            return f"{self.checkpoint(model)}/manifest.json"
        return f"{self.results}/checkpoints/{model}.json"

    def audit(self, rung: str) -> str:
        """What the weights of every two networks of a rung that are matched have in common."""
        return f"{self.results}/audit/{rung}.csv"

    @property
    def audits(self) -> list[str]:
        """Those of all rungs."""
        return [self.audit(rung) for rung in self.pairs_of_rungs]

    @property
    def audit_table(self) -> str:
        """The same in one table."""
        return self.tables("audit.csv")

    def units(self, scope: str) -> str:
        return f"{self.results}/units/{scope}/units.parquet"

    @property
    def units_tables(self) -> list[str]:
        """The unit table of every scope."""
        return sorted({self.units(self.scope(*pair)) for pair in self.pairs.values()})

    def tokens(self, scope: str, model: str) -> str:
        return f"{self.results}/units/{scope}/tokens-{self.tokenizer_name(model)}.parquet"

    def activations(self, scope: str, model: str) -> str:
        """Folder of pooled unit activations; MODEL.untrainedN is the Nth fresh initialisation of MODEL."""
        return f"{self.results}/activations/{scope}/{model}"

    def summary(self, scope: str, model: str) -> str:
        """What is known of a model that was read: its sizes, among others."""
        return f"{self.activations(scope, model)}/summary.json"

    def contexts(self, scope: str, model: str) -> str:
        """The strongest units of every neuron."""
        return f"{self.activations(scope, model)}/contexts.parquet"

    def work(self, scope: str, model: str) -> str:
        """Folder of finished shards. Not an output of a rule, so that Snakemake does not delete it before a rerun."""
        return f"{self.results}/work/{scope}/{model}"

    # -- pairs -------------------------------------------------------------------------------------------------------

    def tile(self, pair: str, variant: str, number: int) -> str:
        return f"{self.results}/tiles/{pair}/{variant}/{number:05d}.safetensors"

    def sketch(self, scope: str, model: str) -> str:
        return f"{self.results}/sketches/{scope}/{model}"

    def candidates(self, pair: str) -> str:
        return f"{self.results}/candidates/{pair}.safetensors"

    def rescored(self, pair: str) -> str:
        """Folder with the best partners that the sketch engine found for the group of a pair, a file per pair."""
        return f"{self.results}/rescored/{self.group_of(pair)}"

    def matches(self, a: str, b: str) -> str:
        return f"{self.results}/matches/{self.pair_name(a, b)}/matches.parquet"

    def matches_without_nulls(self, pair: str) -> str:
        """The same for who wants only the pairs: no null stands beside it."""
        return f"{self.results}/matches_without_nulls/{pair}/matches.parquet"

    def match_summary(self, a: str, b: str) -> str:
        """Numbers of matches, units, and constant neurons of a pair."""
        return f"{self.results}/matches/{self.pair_name(a, b)}/summary.json"

    def neighbours(self, a: str, b: str) -> str:
        """The best partners of every neuron, as the engine found them."""
        return f"{self.results}/matches/{self.pair_name(a, b)}/neighbours.safetensors"

    def snapshots(self, a: str, b: str) -> str:
        """Matches after a part of the units."""
        return f"{self.results}/matches/{self.pair_name(a, b)}/snapshots.parquet"

    def null(self, null: str, a: str, b: str) -> str:
        return f"{self.results}/nulls/{self.pair_name(a, b)}/{null}.parquet"

    def replicate(self, kind: str, a: str, b: str) -> str:
        return f"{self.results}/stability/{self.pair_name(a, b)}/{kind}.parquet"

    def transported(self, pair: str) -> str:
        """Pairs of neurons that partial optimal transport matches, as they are and in draws of the central null."""
        return f"{self.results}/transport/{pair}.parquet"

    # -- points and curves -------------------------------------------------------------------------------------------

    def summaries(self, curve: str, rung: str) -> list[str]:
        """What is known of the models of a point, the anchor first: their sizes, among others."""
        models = self.points[curve, rung]
        return [self.summary(self.scope_of_member(curve, rung, i), model) for i, model in enumerate(models)]

    def rosetta(self, curve: str, rung: str) -> str:
        return f"{self.results}/rosetta/{curve}/{rung}.parquet"

    def point_table(self, name: str, curve: str, rung: str) -> str:
        """One of POINT_TABLES of one point."""
        return f"{self.results}/rosetta/{curve}/{rung}.{name}.csv"

    def settled_with(self, draws: int | str) -> str:
        """All verdicts with fewer draws of the nulls; see stages/settled.py."""
        return f"{self.results}/settled/{draws}.csv"

    def selectivity(self, scope: str, model: str) -> str:
        """One row per neuron, one column per metric."""
        return f"{self.results}/selectivity/{scope}/{model}.parquet"

    def polarization(self, curve: str, name: str) -> str:
        """One of POLARIZATION_TABLES of one curve."""
        return f"{self.results}/polarization/{curve}/{name}.csv"

    def judge(self, curve: str, rung: str) -> str:
        """Folder with what a judge was asked about a point, and what it said."""
        return f"{self.results}/judge/{curve}/{rung}"

    def answers(self, curve: str, rung: str, stage: str) -> str:
        """Where a user puts the answers of a judge by hand."""
        return f"{self.study.judge.answers}/{curve}-{rung}-{stage}.jsonl"

    @property
    def judgements(self) -> list[str]:
        """Summaries of the judge, one per point; none when nobody judges."""
        asked = self.points if self.study.judge.neurons else {}
        return [f"{self.judge(curve, rung)}/judgement.csv" for curve, rung in asked]

    @property
    def continued_tables(self) -> list[str]:
        """What becomes of neurons when networks are trained further; none where no network is."""
        return [self.tables("continued.csv")] if self.study.trains_further else []

    @property
    def transport_tables(self) -> list[str]:
        """What partial optimal transport matches; none where it is not asked for."""
        return [self.tables("transport.csv")] if self.study.matching.transport_min_r is not None else []

    def tables(self, name: str) -> str:
        return f"{self.results}/tables/{name}"
