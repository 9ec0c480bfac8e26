"""Train tokenizers, and turn documents into streams of tokens."""

from pathlib import Path
from typing import cast

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from rosetta_scaling.config.families import Family
from rosetta_scaling.store.atomic import atomic
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_table

END = "<|endoftext|>"

# -- tokenizers ------------------------------------------------------------------------------------------------------

# How families cut text before merging bytes: words as GPT-2 does, single digits as Llama does, and so on.
SPLITS = {
    "gpt2": None,
    "bloom": r" ?[^\s\d]+|\d{1,2}|\s+",
    "llama": r"[0-9]|[^\w\s]|\s?[^\W\d_]+|_+|\s+",
    "gpt_neox": r"[^\W\d]+|\d{1,3}|[^\w\s]+|\s+",
}


def train_tokenizer(texts: list[str], family: Family) -> Tokenizer:
    """Byte-level BPE on a seeded half of `texts`, with the word splitting customary for the architecture.

    Texts are cut where they spell out the control token, lest the trainer merges these letters into it.
    """
    split_pattern, size = SPLITS[cast(str, family.architecture)], cast(int, family.vocabulary)  # of the ladder: given
    chosen = np.random.default_rng([family.seed, 0]).permutation(len(texts))[: max(1, len(texts) // 2)]
    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split_pattern is None)
    if split_pattern is not None:
        split = pre_tokenizers.Split(Regex(split_pattern), behavior="isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    else:
        tokenizer.pre_tokenizer = byte_level
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[END],
        show_progress=False,
    )
    tokenizer.train_from_iterator((piece for i in sorted(chosen) for piece in texts[i].split(END)), trainer)
    return tokenizer


def prepare_text(documents_path: str, family: Family, out_dir: Path) -> None:
    """Train the family's tokenizer and write the token streams: tokens.npy to train on, held_out.npy to validate on.

    Every document ends with the control token; where a document spells it out, it is read as text.
    """
    documents = read_table(documents_path)
    if untrained := sorted(set(documents.domain) - set(documents.domain[documents.split == "train"])):
        raise StudyError(
            f"corpus: {untrained} have no document to train on, the only one of each is probe text; add documents, "
            "or leave these domains out (corpus.domains)"
        )
    texts = {split: list(rows.text) for split, rows in documents.groupby("split")}
    tokenizer = train_tokenizer(texts["train"], family)
    streams = {"tokens": shuffled(texts["train"], family.seed), "held_out": texts["probe"]}
    for name, stream in streams.items():
        with atomic(out_dir / f"{name}.npy") as part, open(part, "wb") as f:
            np.save(f, token_stream(tokenizer, stream))
    with atomic(out_dir / "tokenizer.json") as part:
        tokenizer.save(str(part))


def shuffled(texts: list[str], seed: int) -> list[str]:
    """Texts in the order in which networks with this seed are trained on them."""
    return [texts[i] for i in np.random.default_rng([seed, 1]).permutation(len(texts))]


def token_stream(tokenizer: Tokenizer, texts: list[str]) -> np.ndarray:
    """Tokens (n,) of texts, each ended by the control token; where a text spells that out, it is read as text."""
    tokenizer.encode_special_tokens = True
    ids = [np.array([*encoding.ids, tokenizer.token_to_id(END)]) for encoding in tokenizer.encode_batch(texts)]
    return np.concatenate(ids).astype(np.uint16 if tokenizer.get_vocab_size() < 2**16 else np.uint32)
