"""Generators of diffusers with random weights: real classes, tiny sizes, folders as pipelines are saved."""

from pathlib import Path

import diffusers
import torch
import transformers

from rosetta_scaling.store.tables import write_json

SIZES = {
    "num_attention_heads": 2,
    "attention_head_dim": 8,
    "num_layers": 2,
    "sample_size": 8,
    "patch_size": 2,
    "num_embeds_ada_norm": 10,
}


def dit(channels: int = 4, act: str = "gelu-approximate", seed: int = 0):
    torch.manual_seed(seed)
    return diffusers.DiTTransformer2DModel(in_channels=channels, out_channels=8, activation_fn=act, **SIZES)


def encoder(**changes):
    torch.manual_seed(1)
    values = {
        "block_out_channels": (8, 8),
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
        "norm_num_groups": 4,
        "latent_channels": 4,
        "scaling_factor": 0.5,
    }
    return diffusers.AutoencoderKL(**values | changes)


def write_dit(folder: Path) -> Path:
    diffusers.DiTPipeline(dit(), encoder(), diffusers.DDIMScheduler()).save_pretrained(folder)
    return folder


def write_sana(folder: Path) -> Path:
    """Like the published ones: latents of a deep-compression autoencoder, and Gemma 2 for its text."""
    torch.manual_seed(0)
    diffusers.SanaTransformer2DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=2,
        num_cross_attention_heads=2,
        cross_attention_head_dim=8,
        cross_attention_dim=16,
        caption_channels=12,
        sample_size=4,
        timestep_scale=0.5,
    ).save_pretrained(folder / "transformer")
    diffusers.AutoencoderDC(
        latent_channels=4,
        attention_head_dim=4,
        encoder_block_out_channels=(8, 8, 8),
        decoder_block_out_channels=(8, 8, 8),
        encoder_layers_per_block=(1, 1, 1),
        decoder_layers_per_block=(1, 1, 1),
        encoder_qkv_multiscales=((), (), ()),
        decoder_qkv_multiscales=((), (), ()),
        scaling_factor=0.4,
    ).save_pretrained(folder / "vae")
    diffusers.DPMSolverMultistepScheduler(
        use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=3.0
    ).save_pretrained(folder / "scheduler")
    config = transformers.Gemma2Config(
        hidden_size=12,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=6,
        intermediate_size=20,
        vocab_size=30,
    )
    transformers.Gemma2Model(config).save_pretrained(folder / "text_encoder")
    write_json(folder / "model_index.json", {"_class_name": "SanaPipeline"})
    return folder
