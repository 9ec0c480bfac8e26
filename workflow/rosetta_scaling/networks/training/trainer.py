"""The ladder: tokenizers and small language models that the study trains from scratch.

Training is a pure function of its settings: the batch of step s depends on (seed, s) alone and there is no dropout,
so a run that was killed and resumed ends with the very same weights.
"""

import json
import logging
import math
import time
from pathlib import Path

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from rosetta_scaling.config.study import Family, Ladder, Size
from rosetta_scaling.store import progress
from rosetta_scaling.store.tables import (
    StudyError,
    alone,
    atomic,
    file_sha256,
    open_tensors,
    read_table,
    write_json,
    write_tensors,
)

END = "<|endoftext|>"

log = logging.getLogger(__name__)

# -- tokenizers ------------------------------------------------------------------------------------------------------

# How families cut text before merging bytes: words as GPT-2 does, single digits as Llama does, and so on.
SPLITS = {
    "gpt2": None,
    "bloom": r" ?[^\s\d]+|\d{1,2}|\s+",
    "llama": r"[0-9]|[^\w\s]|\s?[^\W\d_]+|_+|\s+",
    "gpt_neox": r"[^\W\d]+|\d{1,3}|[^\w\s]+|\s+",
}


def train_tokenizer(texts: list[str], family: Family) -> Tokenizer:
    """Byte-level BPE on a seeded half of `texts`, with the word splitting customary for the architecture."""
    chosen = np.random.default_rng([family.seed, 0]).permutation(len(texts))[: max(1, len(texts) // 2)]
    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=SPLITS[family.architecture] is None)
    if pattern := SPLITS[family.architecture]:
        split = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    else:
        tokenizer.pre_tokenizer = byte_level
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=family.vocabulary,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[END],
        show_progress=False,
    )
    tokenizer.train_from_iterator([texts[i] for i in sorted(chosen)], trainer)
    return tokenizer


def prepare_text(documents_path: str, family: Family, out_dir: Path) -> None:
    """Train the family's tokenizer and write the token streams: tokens.npy to train on, held_out.npy to validate on."""
    documents = read_table(documents_path)
    texts = {split: list(rows.text) for split, rows in documents.groupby("split")}
    tokenizer = train_tokenizer(texts["train"], family)
    order = np.random.default_rng([family.seed, 1]).permutation(len(texts["train"]))
    streams = {"tokens": [texts["train"][i] for i in order], "held_out": texts["probe"]}
    for name, stream in streams.items():
        ids = [np.array([*encoding.ids, tokenizer.token_to_id(END)]) for encoding in tokenizer.encode_batch(stream)]
        with atomic(out_dir / f"{name}.npy") as part, open(part, "wb") as f:
            np.save(f, np.concatenate(ids).astype(np.uint16 if family.vocabulary < 2**16 else np.uint32))
    with atomic(out_dir / "tokenizer.json") as part:
        tokenizer.save(str(part))


# -- networks --------------------------------------------------------------------------------------------------------


def make_config(family: Family, size: Size, context: int):
    """A transformers configuration of the family's architecture, with the MLP width customary for it.

    Two defaults of large models do not suit small ones, as was measured: an initial scale of 0.02 leaves networks of
    this width on a plateau for much of a short run, and rotary positions on a quarter of a 16-wide head leave NeoX four
    numbers to tell positions apart. GPT-2 learns its positions from scratch and needs the longest training of all.
    """
    from transformers import BloomConfig, GPT2Config, GPTNeoXConfig, LlamaConfig

    d, layers, heads = size.hidden_size, size.layers, size.heads
    shared = {"vocab_size": family.vocabulary, "bos_token_id": 0, "eos_token_id": 0}
    shared |= {"tie_word_embeddings": False, "initializer_range": 0.08}
    if family.architecture == "gpt2":
        no_dropout = {"embd_pdrop": 0, "attn_pdrop": 0, "resid_pdrop": 0}
        return GPT2Config(n_embd=d, n_layer=layers, n_head=heads, n_positions=context, **no_dropout, **shared)
    if family.architecture == "bloom":
        no_dropout = {"hidden_dropout": 0, "attention_dropout": 0}
        return BloomConfig(hidden_size=d, n_layer=layers, n_head=heads, **no_dropout, **shared)
    shared |= {"hidden_size": d, "num_hidden_layers": layers, "num_attention_heads": heads}
    shared |= {"max_position_embeddings": context}
    if family.architecture == "gpt_neox":
        rotary = {"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 1.0}
        return GPTNeoXConfig(intermediate_size=4 * d, rope_parameters=rotary, **shared)
    # A gated MLP has three matrices: 8/3 of the width keeps its parameters equal to those of a plain one.
    return LlamaConfig(intermediate_size=8 * round(d / 3), num_key_value_heads=heads, **shared)


def new_model(config, seed: int) -> torch.nn.Module:
    """A freshly initialised causal language model, by the architecture's own initialisation."""
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def learning_rate(step: int, steps: int, peak: float, warmup: float) -> float:
    """Linear warm-up, then a cosine to a tenth of the peak."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return peak * (step + 1) / rising
    return peak * (0.55 + 0.45 * math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def batch(tokens: np.ndarray, step: int, seed: int, sequences: int, context: int) -> torch.Tensor:
    """Random windows of the token stream, shape (sequences, context + 1). Depends on (seed, step) alone."""
    starts = np.random.default_rng([seed, step]).integers(0, len(tokens) - context, sequences)
    return torch.from_numpy(np.stack([tokens[s : s + context + 1] for s in starts]).astype(np.int64))


def loss_on(model: torch.nn.Module, windows: torch.Tensor) -> torch.Tensor:
    """Mean next-token cross-entropy in nats; windows (batch, context + 1)."""
    logits = model(input_ids=windows[:, :-1], use_cache=False).logits  # (batch, context, vocabulary)
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), windows[:, 1:].flatten())


def validate(model: torch.nn.Module, tokens: np.ndarray, context: int, device: torch.device) -> float:
    """Loss in nats per token over all whole windows of the held-out stream."""
    count = (len(tokens) - 1) // context
    if not count:
        raise StudyError(
            f"the probe text gives {len(tokens):,} tokens, fewer than one sequence of ladder.context = {context}: "
            "raise corpus.probe_bytes_per_domain"
        )
    windows = np.lib.stride_tricks.sliding_window_view(tokens[: count * context + 1], context + 1)[::context]
    model.eval()
    with torch.no_grad():
        batches = torch.from_numpy(windows.astype(np.int64)).split(32)
        total = sum(loss_on(model, part.to(device)).item() * len(part) for part in batches)
    return total / count


# -- training --------------------------------------------------------------------------------------------------------


class Training:
    """Model, optimiser and step of one run; saved and restored exactly."""

    def __init__(self, family: Family, size: Size, settings: Ladder, device: torch.device):
        self.model = new_model(make_config(family, size, settings.context), family.seed).to(device)
        matrices = [p for p in self.model.parameters() if p.ndim >= 2]
        vectors = [p for p in self.model.parameters() if p.ndim < 2]
        groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=size.learning_rate, betas=(0.9, 0.95), fused=True)
        self.step = 0
        self.losses: list[list[float]] = []  # [step, loss], for the training curve

    def save(self, path: Path) -> None:
        tensors = {f"model.{name}": p.detach() for name, p in self.model.named_parameters()}
        for name, p in self.model.named_parameters():
            for key, value in self.optimiser.state[p].items():
                tensors[f"{key}.{name}"] = value
        write_tensors(path, tensors, {"step": str(self.step), "losses": json.dumps(self.losses)})

    def restore(self, path: Path) -> None:
        with open_tensors(path) as file, torch.no_grad():
            for name, p in self.model.named_parameters():
                p.copy_(file.get_tensor(f"model.{name}"))
                self.optimiser.state[p] = {
                    key: file.get_tensor(f"{key}.{name}").to(p.device) for key in ("step", "exp_avg", "exp_avg_sq")
                }
            self.step = int(file.metadata()["step"])
            self.losses = json.loads(file.metadata()["losses"])

    def advance(self, windows: torch.Tensor, rate: float) -> float:
        """One optimiser step; returns the loss before it."""
        self.model.train()
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        loss = loss_on(self.model, windows)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.step += 1
        return loss.item()


def train(
    name: str,
    family: Family,
    size: Size,
    settings: Ladder,
    text_dir: Path,
    out_dir: Path,
    work_dir: Path,
    device: torch.device,
) -> None:
    """Train one network and write it as a `save_pretrained` folder with its tokenizer and a manifest.

    Saves itself to `work_dir` and continues from there; the last state stays there, so that a workflow that was killed
    between the end of the job and its own bookkeeping does not train again. A second process on the same network waits
    for the first.
    """
    with alone(work_dir):
        if all((out_dir / file).exists() for file in ("manifest.json", "model.safetensors", "config.json")):
            log.info("%s: another process has finished it meanwhile", name)
            return
        run = Training(family, size, settings, device)
        saved = work_dir / "training.safetensors"
        if saved.exists():
            run.restore(saved)
            log.info("%s: continues at step %d", name, run.step)
        seconds = _train_to_the_end(name, run, size, settings, family.seed, text_dir, saved, device)
        _publish(name, run, family, settings, text_dir, out_dir, seconds, device)


def _train_to_the_end(name, run, size, settings, seed, text_dir, saved, device) -> float:
    tokens = np.load(text_dir / "tokens.npy", mmap_mode="r")
    if len(tokens) <= settings.context:
        raise StudyError(
            f"the corpus gives {len(tokens):,} training tokens, fewer than one sequence of ladder.context = "
            f"{settings.context}: add text"
        )
    steps = math.ceil(settings.tokens / (settings.batch_sequences * settings.context))
    first, began, last_saved = run.step, time.monotonic(), time.monotonic()
    report = progress.Reporter(log, name, steps, first)
    while run.step < steps:
        windows = batch(tokens, run.step, seed, settings.batch_sequences, settings.context).to(device)
        loss = run.advance(windows, learning_rate(run.step, steps, size.learning_rate, settings.warmup))
        if run.step % max(1, steps // 50) == 0:
            run.losses.append([run.step, loss])
        report(run.step, f"loss {loss:.3f}")
        if time.monotonic() - last_saved > settings.checkpoint_seconds:
            run.save(saved)
            last_saved = time.monotonic()
    run.save(saved)
    return time.monotonic() - began if first == 0 else float("nan")  # a resumed run does not know its whole time


def _publish(name, run, family, settings, text_dir, out_dir, seconds, device) -> None:
    held_out = np.load(text_dir / "held_out.npy")
    loss = validate(run.model, held_out, settings.context, device)
    tokenizer = Tokenizer.from_file(str(text_dir / "tokenizer.json"))
    held_out_bytes = len(tokenizer.decode(held_out.tolist(), skip_special_tokens=True).encode())
    with atomic(out_dir) as part:
        run.model.save_pretrained(part)
        _save_tokenizer(tokenizer, part, settings.context)
        write_json(
            part / "manifest.json",
            {
                "model": name,
                "source": "ladder",
                "modality": family.modality,
                "architecture": family.architecture,
                "seed": family.seed,
                "training_tokens": run.step * settings.batch_sequences * settings.context,
                "train_seconds": None if math.isnan(seconds) else round(seconds, 1),
                "validation_loss": loss,
                "validation_bits_per_byte": loss * len(held_out) / held_out_bytes / math.log(2),
                "losses": run.losses,
                "sha256": {f.name: file_sha256(f) for f in sorted(part.glob("*.safetensors"))},
            },
        )
    log.info("%s: validation loss %.3f nats per token", name, loss)


def _save_tokenizer(tokenizer: Tokenizer, folder: Path, context: int) -> None:
    from transformers import PreTrainedTokenizerFast

    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, bos_token=END, model_max_length=context
    )
    wrapped.save_pretrained(folder)
