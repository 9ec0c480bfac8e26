"""Tiny networks with random weights: those that can be trained here, and every type that transformers knows by text."""

import contextlib

import transformers
from transformers import CONFIG_MAPPING
from transformers.models.auto import modeling_auto as known

from rosetta_scaling.config.families import Family
from rosetta_scaling.config.ladder import Size
from rosetta_scaling.networks.training.architectures import make_config, new_model

HIDDEN, LAYERS, HEADS, WIDTH, TOKENS, POSITIONS = 32, 2, 4, 60, 120, 64
SIZES = {
    name: size
    for size, names in (
        (HIDDEN, "hidden_size d_model n_embd dim emb_dim embedding_size word_embed_proj_dim"),
        (LAYERS, "num_hidden_layers n_layer n_layers num_layers num_encoder_layers num_decoder_layers"),
        (LAYERS, "encoder_layers decoder_layers"),
        (HEADS, "num_attention_heads n_head n_heads num_heads encoder_attention_heads decoder_attention_heads"),
        (HEADS, "num_encoder_attention_heads num_decoder_attention_heads"),
        (WIDTH, "intermediate_size ffn_dim n_inner d_ff hidden_dim ffn_hidden_size d_inner"),
        (WIDTH, "encoder_ffn_dim decoder_ffn_dim"),
        (TOKENS, "vocab_size src_vocab_size tgt_vocab_size"),
        (POSITIONS, "max_position_embeddings n_positions max_source_positions max_target_positions"),
        (HIDDEN // HEADS, "head_dim d_kv attention_head_size"),
        (HEADS // 2, "num_key_value_heads"),
        (4, "num_experts num_local_experts n_routed_experts rotary_dim"),
        (16, "image_size mamba_chunk_size"),
        (20, "moe_intermediate_size"),
        (8, "patch_size linear_key_head_dim linear_value_head_dim"),
        (0, "pad_token_id"),
        (1, "bos_token_id"),
        (2, "eos_token_id decoder_start_token_id"),
    )
    for name in names.split()
}
# What such sizes do not fit.
MORE = {
    "esmc": {"num_key_value_heads": 4},
    "falcon_h1": {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 8},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "led": {"attention_window": 8},
    "longformer": {"attention_window": 8},
    "pegasus_x": {"block_size": 8},
    "xmod": {"default_language": "en_XX"},
}


def text_types() -> list[str]:
    """Every type that transformers knows as a language model, or as an encoder of text."""
    kinds = (
        known.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        known.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
        known.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
        known.MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES,
    )
    return sorted(set().union(*kinds) | {"clip", "siglip", "blip", "llava"})


def fields(kind: type) -> set[str]:
    return {name for parent in kind.__mro__ for name in getattr(parent, "__annotations__", {})}


def tiny_config(model_type: str):
    """A configuration of tiny sizes; None of a type that they do not fit."""
    kind = CONFIG_MAPPING[model_type]
    values = {name: size for name, size in SIZES.items() if name in fields(kind)} | MORE.get(model_type, {})
    with contextlib.suppress(Exception):  # the checks of every type are its own
        whole = kind()
        for part in kind.sub_configs:
            inner = getattr(whole, part, None)
            if isinstance(inner, transformers.PreTrainedConfig):
                sizes = {name: size for name, size in SIZES.items() if name in fields(type(inner))}
                values[part] = sizes | {"model_type": inner.model_type}
    with contextlib.suppress(Exception):
        return kind(**values)
    return None


ARCHITECTURES = ("gpt_neox", "bloom", "llama", "gpt2")


def tiny_model(architecture: str, hidden: int = 12, layers: int = 2, vocabulary: int = 300, seed: int = 0):
    family = Family(architecture=architecture, vocabulary=vocabulary)
    size = Size(hidden_size=hidden, layers=layers, heads=2, learning_rate=1e-2)
    return new_model(make_config(family, size, context=64), seed).eval()
