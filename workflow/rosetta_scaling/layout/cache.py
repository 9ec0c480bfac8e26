"""Paths in the cache, which all studies share."""

from rosetta_scaling.layout.keys import Keys


class CachePaths(Keys):
    """Paths of what is named by its content. Paths are strings, relative to the working folder."""

    @property
    def corpus_dir(self) -> str:
        return f"{self.cache}/corpora/{self.corpus_key}"

    @property
    def documents(self) -> str:
        return f"{self.corpus_dir}/documents.parquet"

    @property
    def corpus_manifest(self) -> str:
        return f"{self.corpus_dir}/manifest.json"

    def tokenizer_dir(self, family: str) -> str:
        return f"{self.cache}/tokenizers/{self.tokenizer_key(family)}"

    def tokenizer_file(self, model: str) -> str:
        if self.source(model) in ("untrained", "continued"):
            return self.tokenizer_file(self.original(model))
        folder = self.tokenizer_dir(self.family(model)) if self.is_trained_here(model) else self.checkpoint(model)
        return f"{folder}/tokenizer.json"

    def tokenizer_files(self, scope: str) -> dict[str, str]:
        """Tokenizer name -> tokenizer.json, for all tokenizers of a scope; images need none."""
        if self.study.modality == "image":
            return {}
        return {self.tokenizer_name(model): self.tokenizer_file(model) for model in self.models_of_scope(scope)}

    def held_out(self, model: str) -> str:
        """Tokens of the text that a network trained here was not trained on."""
        return f"{self.tokenizer_dir(self.family(self.root(model)))}/held_out.npy"

    def configuration_memo(self, model: str) -> str:
        """The configuration of a network of the hub, kept so that the hub is asked once."""
        return f"{self.cache}/configurations/{self.checkpoint_key(model)}.json"

    def unfinished(self, key: str) -> str:
        """Folder of what a training or a download has saved on the way. Not an output of a rule, so that Snakemake does
        not delete it before a rerun.
        """
        return f"{self.cache}/work/{key}"

    @property
    def wheels(self) -> str:
        """Folder of fetched packages that ship networks or photographs."""
        return f"{self.cache}/wheels"

    @property
    def simulations(self) -> list[str]:
        """Simulated networks of the theory, one file per exponent of importance."""
        return [f"{self.cache}/theory/{self.theory_key}/beta_{beta:g}.csv" for beta in self.study.theory.betas]

    def companion_jobs(self, name: str) -> str:
        """Folder with a folder for every job of a companion study."""
        return f"{self.cache}/companions/{name}/{self.companion_keys[name]}"

    def given_answers(self, curve: str, rung: str, stage: str) -> str:
        """Answers of an endpoint, kept so that no question is asked (and paid for) again."""
        return f"{self.cache}/judge/{self.study.study}/{curve}-{rung}-{stage}.jsonl"
