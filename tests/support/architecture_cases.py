"""Architectures of networks, each with the modules of its MLPs written by hand."""

from typing import NamedTuple

import torch
import transformers
from torch.nn import functional

HIDDEN, WIDTH = 32, 60
SIZES = {"hidden_size": HIDDEN, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": WIDTH}
TEXT = SIZES | {"vocab_size": 100, "max_position_embeddings": 64, "pad_token_id": 0}
GROUPED = TEXT | {"num_key_value_heads": 2}  # of 4: fused attention is as wide as a fused gate
GPT = {"n_embd": HIDDEN, "n_layer": 2, "n_head": 4, "n_positions": 64, "vocab_size": 100, "n_inner": WIDTH}
OPT = {"ffn_dim": WIDTH, "word_embed_proj_dim": HIDDEN} | {k: v for k, v in TEXT.items() if k != "intermediate_size"}
FALCON = {"ffn_hidden_size": WIDTH} | {k: v for k, v in TEXT.items() if k != "intermediate_size"}
T5 = {"d_model": HIDDEN, "d_kv": 8, "d_ff": WIDTH, "num_layers": 2, "num_heads": 4, "vocab_size": 100}
IMAGE = SIZES | {"image_size": 16, "patch_size": 4}
DINO = {k: v for k, v in IMAGE.items() if k != "intermediate_size"}
TOWER = IMAGE | {"num_hidden_layers": 3, "hidden_size": 16}
HEAD = {"head_dim": 10}  # so that attention is not as wide as the network


def quick_gelu(x: torch.Tensor) -> torch.Tensor:
    return x * torch.sigmoid(1.702 * x)


def tanh_gelu(x: torch.Tensor) -> torch.Tensor:
    return functional.gelu(x, approximate="tanh")


class Case(NamedTuple):
    """An architecture: modules of block {} by hand, from the base model on, and its non-linearity."""

    kind: str  # of transformers' configuration
    values: dict
    ups: tuple[str, ...]
    down: str
    act: object

    def config(self, **changes):
        return getattr(transformers, f"{self.kind}Config")(**self.values | changes)


def gated(kind: str, act=functional.silu, block: str = "layers.{}", values: dict = GROUPED, **more) -> Case:
    mlp = f"{block}.mlp."
    return Case(kind, values | more, (f"{mlp}gate_proj", f"{mlp}up_proj"), f"{mlp}down_proj", act)


def plain(kind: str, values: dict, up: str, down: str, act=functional.gelu, **more) -> Case:
    return Case(kind, values | more, (up,), down, act)


def bert_like(kind: str) -> Case:
    return plain(kind, TEXT, "encoder.layer.{}.intermediate.dense", "encoder.layer.{}.output.dense")


def fc(kind: str, block: str, values: dict, act=functional.gelu, **more) -> Case:
    return plain(kind, values, f"{block}.fc1", f"{block}.fc2", act, **more)


NEOX = ("{}.mlp.dense_h_to_4h", "{}.mlp.dense_4h_to_h")
BLOCK = [f"h.{path}" for path in NEOX]
FF = "encoder.block.{}.layer.1.DenseReluDense."
CASES = {
    "gpt_neox": plain("GPTNeoX", TEXT, *(f"layers.{path}" for path in NEOX)),
    "gpt2": plain("GPT2", GPT, "h.{}.mlp.c_fc", "h.{}.mlp.c_proj", tanh_gelu),
    "opt": fc("OPT", "decoder.layers.{}", OPT, functional.relu),
    "opt_350m": fc("OPT", "decoder.layers.{}", OPT, functional.relu, word_embed_proj_dim=8, do_layer_norm_before=False),
    "qwen2": gated("Qwen2"),
    "qwen3": gated("Qwen3", **HEAD),
    "llama": gated("Llama"),
    "mistral": gated("Mistral"),
    "gemma2": gated("Gemma2", tanh_gelu, **HEAD),
    "gemma3_text": gated("Gemma3Text", tanh_gelu, **HEAD),
    "gemma3": gated(
        "Gemma3",
        tanh_gelu,
        "language_model.layers.{}",
        {"text_config": GROUPED | HEAD, "vision_config": TOWER | {"num_hidden_layers": 2}, "mm_tokens_per_image": 4},
    ),
    "olmo": gated("Olmo"),
    "olmo2": gated("Olmo2"),
    "phi": fc("Phi", "layers.{}.mlp", GROUPED, tanh_gelu),
    "phi3": plain("Phi3", GROUPED, "layers.{}.mlp.gate_up_proj", "layers.{}.mlp.down_proj", functional.silu),
    "gptj": plain("GPTJ", GPT | {"rotary_dim": 4}, "h.{}.mlp.fc_in", "h.{}.mlp.fc_out", tanh_gelu),
    "falcon": plain("Falcon", FALCON, *BLOCK, parallel_attn=True),
    "falcon_sequential": plain("Falcon", FALCON, *BLOCK, parallel_attn=False, alibi=True, multi_query=False),
    "falcon_new": plain("Falcon", FALCON, *BLOCK, new_decoder_architecture=True, num_kv_heads=2),
    "bloom": plain("Bloom", {"hidden_size": HIDDEN, "n_layer": 2, "n_head": 4, "vocab_size": 100}, *BLOCK, tanh_gelu),
    "stablelm": gated("StableLm"),
    "smollm3": gated("SmolLM3"),
    "bert": bert_like("Bert"),
    "roberta": bert_like("Roberta"),
    "mpnet": bert_like("MPNet"),
    "t5": plain("T5", T5, f"{FF}wi", f"{FF}wo", functional.relu),
    "t5_gated": Case("T5", T5 | {"feed_forward_proj": "gated-gelu"}, (f"{FF}wi_0", f"{FF}wi_1"), f"{FF}wo", tanh_gelu),
    "t5gemma": gated("T5Gemma", tanh_gelu, "encoder.layers.{}", {"encoder": GROUPED | HEAD, "decoder": GROUPED | HEAD}),
    "vit": fc("ViT", "layers.{}.mlp", IMAGE),
    "dinov2": fc("Dinov2", "encoder.layer.{}.mlp", DINO, mlp_ratio=3),
    "dinov2_swiglu": gated("Dinov2", functional.silu, "encoder.layer.{}", DINO, use_swiglu_ffn=True),
    "dinov3": plain("DINOv3ViT", IMAGE, "layer.{}.mlp.up_proj", "layer.{}.mlp.down_proj"),
    "dinov3_gated": gated("DINOv3ViT", functional.gelu, "layer.{}", IMAGE, use_gated_mlp=True),
    "clip": fc("CLIPVision", "encoder.layers.{}.mlp", IMAGE, quick_gelu),
    "siglip": fc("SiglipVision", "encoder.layers.{}.mlp", IMAGE, tanh_gelu),
    "vit_mae": fc("ViTMAE", "layers.{}.mlp", IMAGE, mask_ratio=0.75),
}


def make(config, auto=transformers.AutoModel, scale: float = 0.3) -> torch.nn.Module:
    """Weights are large enough for neurons to reach where non-linearities differ; gains and biases are not 1 and 0."""
    torch.manual_seed(0)
    model = auto.from_config(config) if hasattr(auto, "from_config") else auto(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, scale)
    return model.eval()
