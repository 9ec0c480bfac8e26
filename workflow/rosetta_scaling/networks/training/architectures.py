"""Configurations and fresh weights of the networks of the ladder."""

from typing import Any

import torch

from rosetta_scaling.config.families import Family
from rosetta_scaling.config.ladder import Size


def make_config(family: Family, size: Size, context: int) -> Any:
    """A transformers configuration of the family's architecture, with the MLP width customary for it.

    Two defaults of large models do not suit small ones, as was measured: an initial scale of 0.02 leaves networks of
    this width on a plateau for much of a short run, and rotary positions on a quarter of a 16-wide head leave NeoX four
    numbers to tell positions apart. GPT-2 learns its positions from scratch and needs the longest training of all.
    """
    from transformers import BloomConfig, GPT2Config, GPTNeoXConfig, LlamaConfig

    d, layers, heads = size.hidden_size, size.layers, size.heads
    shared: dict[str, Any] = {"vocab_size": family.vocabulary, "bos_token_id": 0, "eos_token_id": 0}
    shared |= {"tie_word_embeddings": False, "initializer_range": 0.08}
    if family.architecture == "gpt2":
        no_dropout: dict[str, Any] = {"embd_pdrop": 0, "attn_pdrop": 0, "resid_pdrop": 0}
        return GPT2Config(n_embd=d, n_layer=layers, n_head=heads, n_positions=context, **no_dropout, **shared)
    if family.architecture == "bloom":
        no_dropout = {"hidden_dropout": 0, "attention_dropout": 0}
        return BloomConfig(hidden_size=d, n_layer=layers, n_head=heads, **no_dropout, **shared)
    shared |= {"hidden_size": d, "num_hidden_layers": layers, "num_attention_heads": heads}
    shared |= {"max_position_embeddings": context}
    if family.architecture == "gpt_neox":
        rotary: Any = {"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 1.0}
        return GPTNeoXConfig(intermediate_size=4 * d, rope_parameters=rotary, **shared)
    # A gated MLP has three matrices: 8/3 of the width keeps its parameters equal to those of a plain one.
    return LlamaConfig(intermediate_size=8 * round(d / 3), num_key_value_heads=heads, **shared)


def new_model(config: Any, seed: int) -> Any:
    """A freshly initialised causal language model, by the architecture's own initialisation."""
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def attend_without_looking(model: Any) -> None:
    """Let a network attend as ever, without first reading from the device whether a window holds several texts.

    transformers reads that to choose a mask, but only of the kinds of attention that it has masks for. Windows of the
    ladder hold one stream and no padding, for which the fused attention needs no mask.
    """
    from transformers import AttentionInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if model.config._attn_implementation == "sdpa":
        AttentionInterface.register("whole_windows", sdpa_attention_forward)
        model.set_attn_implementation("whole_windows")
