"""Which part of a network is read, the class that loads it, and what it is given to read: tokens or an image.

A tower is a stack of transformer blocks with what stands around it; encoder-decoders and multimodal networks have two.
Nothing else in this room asks whether a network reads text or images.
"""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rosetta_scaling.networks.batches import arguments
from rosetta_scaling.networks.generators import generator_at
from rosetta_scaling.networks.preprocessing import read_preprocessing
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.foreign import reading_network

# The first argument of a network, by its name in transformers, and what it holds.
INPUTS = {"input_ids": "tokens", "pixel_values": "an image"}
MODALITIES = {"input_ids": "text", "pixel_values": "image"}
# Pixels along a side for every place of the last map of EfficientNet, MobileNet and ResNet, which halve five times.
COARSEST = 32
PROBED = 64  # pixels along a side of the image on which a network is checked whose configuration names no size


def config_to_read(config: Any, modality: str) -> Any:
    """The configuration of what is read of a network: for images, the tower that sees of one that has two.

    A masked autoencoder is trained on some patches of an image, and read on all.
    """
    if modality == "image":
        config = getattr(config, "vision_config", None) or config
        if hasattr(config, "mask_ratio"):
            config.mask_ratio = 0.0
    return config


def model_class(config: Any) -> Any:
    """The class that loads a network: a causal language model with its head, or an encoder without one.

    Only the encoder of an encoder-decoder is read. The class does not tell whether a network also looks at the tokens
    that follow: see requirements.py. Raises StudyError for a network that is neither.
    """
    from transformers import AutoModel, AutoModelForCausalLM
    from transformers.models.auto import modeling_auto as known

    causal = config.model_type in known.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    masked = config.model_type in known.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    chosen = AutoModelForCausalLM if causal and not masked and not config.is_encoder_decoder else AutoModel
    if type(config) not in chosen._model_mapping:
        raise StudyError(
            f"{config.model_type} is neither a language model nor an encoder that transformers loads by itself; "
            "expected one of these: choose another network"
        )
    return chosen


def with_positions(model: Any) -> Any:
    """A new network, with the position embeddings that it is not to learn.

    transformers (5.23) leaves those of a masked autoencoder at zero: of its encoder, since the projection before them
    counts as initialised already, and of its decoder. Such a network could not tell which place it fills in.
    """
    from transformers.models.vit_mae.modeling_vit_mae import ViTMAEDecoder, ViTMAEEmbeddings

    for module in model.modules():
        if isinstance(module, ViTMAEEmbeddings):
            projection: Any = module.patch_embeddings.projection
            projection._is_hf_initialized = False
            module.initialize_weights()
        elif isinstance(module, ViTMAEDecoder):
            module.initialize_weights(module.decoder_pos_embed.shape[1] - 1)  # the first place is the class token's
    return model


def _config(model: torch.nn.Module) -> Any:
    """The configuration of a whole network of transformers."""
    return model.config


def architecture(model: torch.nn.Module) -> str:
    """The model type that its config.json names."""
    return _config(model).model_type


def is_encoder_decoder(model: torch.nn.Module) -> bool:
    return _config(model).is_encoder_decoder


def unembedding_of(model: torch.nn.Module) -> Any:
    """The linear map from what the network writes to its vocabulary; None for a network without one."""
    network: Any = model
    return network.get_output_embeddings()


def token_embeddings_of(model: torch.nn.Module) -> Any:
    """The table of the embeddings of tokens, or of patches of an image."""
    network: Any = model
    return network.get_input_embeddings()


def tower_of(model: torch.nn.Module) -> torch.nn.Module:
    """The part that is read: the encoder of an encoder-decoder, the language network of a multimodal one, or all."""
    if is_encoder_decoder(model):
        return model.get_encoder()  # type: ignore[operator]  # a method of transformers' networks
    text = _config(model).get_text_config()
    return next((module for module in model.modules() if getattr(module, "config", None) is text), model)


def config_of(model: torch.nn.Module) -> Any:
    """The configuration of the part that is read."""
    return getattr(tower_of(model), "config", _config(model))  # the encoder of FSMT has none of its own


def has_other_towers(model: torch.nn.Module) -> bool:
    """Whether the network has parts that are not read, such as the part of a multimodal network that sees."""
    return config_of(model) is not _config(model)


def require_known_input(model: torch.nn.Module) -> None:
    """Raise StudyError for a network that reads neither text nor images, but sounds, for example."""
    if model.main_input_name not in INPUTS:
        raise StudyError(
            f"{type(model).__name__} reads {model.main_input_name}; expected a network that reads text or images "
            f"({' or '.join(INPUTS)}): choose another network"
        )


def modality_of(model: torch.nn.Module) -> str:
    """What a network reads, "text" or "image". Raises StudyError for one that reads neither."""
    require_known_input(model)
    return MODALITIES[str(model.main_input_name)]


def probe_inputs(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Arguments of the network that make one small random batch: two rows of eight tokens, or one image."""
    config, generator = config_of(model), torch.Generator().manual_seed(0)
    device: Any = model.device
    device = "cpu" if device.type == "meta" else device  # meta: the weights wait on the disk
    if modality_of(model) == "image":
        side = getattr(config, "image_size", PROBED)
        height, width = (side, side) if isinstance(side, int) else side
        pixels = torch.randn(1, config.num_channels, height, width, generator=generator)
        return {"pixel_values": pixels.to(device, model.dtype)}  # type: ignore[call-overload]
    return arguments(model, torch.randint(config.vocab_size, (2, 8), generator=generator).to(device))


def patches_along(model: torch.nn.Module) -> int:
    """Patches along a side of an image as a network reads it; of a convolutional one, places of its coarsest map."""
    network: Any = model
    return _patches(network.preprocessing.side, config_of(model))


def grid_of(folder: str | Path) -> int:
    """Patches along a side of an image as the network in a folder reads it."""
    from transformers import AutoConfig

    if generator := generator_at(folder):
        return read_preprocessing(folder).side // generator.patch
    with reading_network(folder):
        config = config_to_read(AutoConfig.from_pretrained(folder, trust_remote_code=False), "image")
    return _patches(read_preprocessing(folder).side, config)


def _patches(side: int, config: Any) -> int:
    patch = getattr(config, "patch_size", None)
    if patch is None:
        return -(-side // COARSEST)
    return side // (_along(patch) * 2 ** (getattr(config, "num_stages", 1) - 1))  # the maps of ConvNeXt halve


def _along(size: int | list[int] | tuple[int, ...]) -> int:
    """One side of a square whose sides a configuration may give one by one."""
    return size if isinstance(size, int) else size[0]


def image_arguments(
    model: torch.nn.Module, images: list[np.ndarray], numbers: np.ndarray, device: torch.device
) -> dict[str, torch.Tensor]:
    """What a network is called with to read images (side, side, 3), uint8; `numbers` (images,) tell them apart."""
    network: Any = model
    called_with: dict[str, Any] = {"pixel_values": network.preprocessing(images, numbers).to(device, network.dtype)}
    known = inspect.signature(network.forward).parameters
    if "image_numbers" in known:  # which decide over the noise that a generator of diffusers is shown
        called_with["image_numbers"] = torch.from_numpy(numbers)
    if "noise" in known:  # by which a masked autoencoder orders its patches: as they are
        called_with["noise"] = torch.arange(patches_along(model) ** 2, device=device).float().expand(len(images), -1)
    if "interpolate_pos_encoding" in known and network.preprocessing.side != _along(config_of(model).image_size):
        called_with["interpolate_pos_encoding"] = True
    return called_with


def cannot_be_read(model: torch.nn.Module, inputs: str, error: BaseException) -> str:
    """The sentence for a network that raised an error when it was given `inputs` ("input_ids") and nothing else."""
    other = _config(model).sub_configs
    remedy = ", or, if it has a part that does, save that as a folder of its own" if other else ""
    return (
        f"{type(model).__name__} does not read {INPUTS[inputs]} alone ({_first_line(error)}); expected a network that "
        f"does: choose another one{remedy}"
    )


def _first_line(error: BaseException) -> str:
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
