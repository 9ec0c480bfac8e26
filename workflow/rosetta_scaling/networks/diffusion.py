"""Diffusion transformers of the library diffusers, which is imported only where a study names one (generators.py).

An image is encoded (by the autoencoder of the pipeline, or not at all), noise is mixed in, and the transformer reads
the result with its step and with what stands for no class, or for no text. Noise is decided by the number of an image.
The share t of noise means the same for all generators: noise and image stand in the ratio t : 1 - t. One that was
trained by flow matching is shown exactly (1 - t) image + t noise; one that was trained with variances (DDPM, Ho et al.
2020) is shown its own mixture at the step where the ratio is nearest to that.
"""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from rosetta_scaling.networks.completeness import require_whole
from rosetta_scaling.networks.generators import CONFIG, DIT, SCHEDULER, GeneratorConfig, GeneratorFolder
from rosetta_scaling.networks.preprocessing import read_preprocessing
from rosetta_scaling.networks.self_check import check_neurons
from rosetta_scaling.numerics.seeds import torch_seed
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.foreign import reading_network
from rosetta_scaling.store.tables import read_json


class Mixture(NamedTuple):
    """What a generator is shown: image * `image` + noise * `noise`, and the step that it is told."""

    image: float
    noise: float
    step: float


class DiffusionTransformer(torch.nn.Module):
    """A diffusion transformer as a network that sees: it is called with the pixels of images.

    What encodes them is no part of it (`modules` and `parameters` do not reach it): it is neither read nor counted nor
    drawn anew. It stays in float32, and encodes images one by one, so that what they become depends on no batch.
    """

    main_input_name = "pixel_values"
    nothing: torch.Tensor  # see _nothing

    def __init__(self, transformer: torch.nn.Module, generator: GeneratorFolder, vae: Any, mixture: Mixture):
        super().__init__()
        self.transformer, self.mixture = transformer, mixture
        self._vae = (vae,)  # modules in a tuple are not registered
        self.step = mixture.step * generator.values.get("timestep_scale", 1.0)
        self.told = "class_labels" if generator.kind == DIT else "encoder_hidden_states"
        self.register_buffer("nothing", _nothing(generator), persistent=False)
        self.preprocessing = read_preprocessing(generator.folder)
        self.config = GeneratorConfig(
            model_type=generator.kind,
            hidden_size=generator.hidden,
            num_hidden_layers=generator.values["num_layers"],
            image_size=generator.side,
            patch_size=generator.patch,
        )

    @property
    def device(self) -> torch.device:
        return next(self.transformer.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Of the pixels that it is called with, whatever that of its weights is."""
        return torch.float32

    def get_output_embeddings(self) -> None:
        """It has none."""

    def encoded(self, pixels: torch.Tensor) -> torch.Tensor:
        """Images (images, 3, side, side) as the transformer was trained on them: (images, channels, places, places)."""
        vae = self._vae[0]
        if vae is None:
            return pixels
        vae, shift = vae.to(pixels.device), vae.config.get("shift_factor") or 0.0
        latents = torch.cat([_latent(vae.encode(image)) for image in pixels.split(1)])
        return (latents - shift) * vae.config.scaling_factor

    def forward(self, pixel_values: torch.Tensor, image_numbers: torch.Tensor | None = None) -> Any:
        """What the transformer makes of images (images, 3, side, side) with noise in them.

        `image_numbers` (images,) decide the noise, which is the same whatever else is in the batch; without them the
        images are numbered from 0.
        """
        clean = self.encoded(pixel_values)
        numbers = np.arange(len(clean)) if image_numbers is None else image_numbers.cpu().numpy()
        noise = torch.stack([_noise(int(number), clean.shape[1:]) for number in numbers]).to(clean)
        dtype = next(self.transformer.parameters()).dtype
        mixed = (self.mixture.image * clean + self.mixture.noise * noise).to(dtype)
        step = torch.full((len(clean),), self.step, device=mixed.device)
        nothing = self.nothing.to(dtype) if self.nothing.is_floating_point() else self.nothing
        told = {self.told: nothing.expand(len(clean), *nothing.shape[1:])}
        return self.transformer(mixed, timestep=step, **told)


def _noise(number: int, shape: torch.Size) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(number))


def _latent(encoded: Any) -> torch.Tensor:
    """What an autoencoder makes of an image: where it gives a distribution, the most likely one."""
    return encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latent


def _nothing(generator: GeneratorFolder) -> torch.Tensor:
    """The label (1,) that stands for no class, behind the last class; or the empty text, encoded (1, 1, channels).

    The empty text is the token that begins every text. Those with which pipelines fill it up are masked, and a decoder
    does not look at what follows.
    """
    if generator.text_encoder is None:
        return torch.tensor([generator.values["num_embeds_ada_norm"]])
    from transformers import AutoModel

    with reading_network(generator.text_encoder), torch.no_grad():
        text, loaded = AutoModel.from_pretrained(
            generator.text_encoder, trust_remote_code=False, use_safetensors=True, output_loading_info=True
        )
        require_whole(generator.text_encoder, text, loaded)
        return text.eval()(input_ids=torch.tensor([[text.config.bos_token_id]])).last_hidden_state.float()


def load_generator(
    generator: GeneratorFolder, device: torch.device, dtype: str, *, noise_level: float
) -> DiffusionTransformer:
    """The generator in a folder, ready to be read on images with `noise_level` of noise. Its neurons are checked."""
    import diffusers

    with reading_network(generator.folder):
        transformer = _loaded(getattr(diffusers, generator.kind), generator.folder, getattr(torch, dtype))
        model = _assembled(generator, transformer, noise_level).to(device).eval()
        check_neurons(model)
    return model


def untrained_generator(
    generator: GeneratorFolder, seed: object, device: torch.device, dtype: str, *, noise_level: float
) -> DiffusionTransformer:
    """The same transformer with the initial weights of torch; what encodes images is the trained one."""
    import diffusers

    with reading_network(generator.folder):
        torch.manual_seed(torch_seed(seed))
        # Drawn in float32, since another precision would draw other weights.
        transformer = getattr(diffusers, generator.kind).from_config(generator.values)
        for weight in transformer.parameters():  # positions stay as they are, as in a network that is loaded
            weight.data = weight.data.to(getattr(torch, dtype))
        return _assembled(generator, transformer, noise_level).to(device).eval()


def write_untrained_generator(original: GeneratorFolder, seed: int, folder: Path) -> None:
    """Write a freshly initialised generator to a folder, with what encodes its images and its scheduler in it."""
    model = untrained_generator(original, seed, torch.device("cpu"), "float32", noise_level=0.0)
    model.transformer.save_pretrained(folder)  # type: ignore[operator]  # a method of diffusers' networks
    model.preprocessing.save(folder)
    (folder / "scheduler").mkdir()
    shutil.copy(original.scheduler, folder / "scheduler" / SCHEDULER)
    for part in filter(None, (original.vae, original.text_encoder)):
        shutil.copytree(part, folder / part.name)


def _assembled(generator: GeneratorFolder, transformer: torch.nn.Module, noise_level: float) -> DiffusionTransformer:
    import diffusers

    vae = None
    if generator.vae is not None:
        with reading_network(generator.vae):
            kind = getattr(diffusers, read_json(generator.vae / CONFIG)["_class_name"])
            vae = _loaded(kind, generator.vae, torch.float32).eval()
    return DiffusionTransformer(transformer, generator, vae, mixture(generator.scheduler, noise_level))


def _loaded(kind: Any, folder: Path, dtype: torch.dtype) -> Any:
    """A network of diffusers from its folder. Raises StudyError when it lacks weights."""
    model, loaded = kind.from_pretrained(
        folder,
        use_safetensors=True,
        local_files_only=True,
        torch_dtype=dtype,
        low_cpu_mem_usage=False,  # made on the processor, so that positions, which are not saved, are worked out there
        output_loading_info=True,
    )
    require_whole(folder, model, loaded)
    return model


def mixture(scheduler: Path, noise_level: float) -> Mixture:
    """What a generator with this scheduler is shown so that noise and image stand in the ratio t : 1 - t.

    Raises StudyError for a scheduler that mixes them in neither of the two ways.
    """
    from diffusers import DDPMScheduler

    values = read_json(scheduler)
    steps, kind = values.get("num_train_timesteps", 1000), str(values.get("_class_name"))
    if kind.startswith("FlowMatch") or values.get("use_flow_sigmas"):
        return Mixture(1 - noise_level, noise_level, noise_level * steps)
    if "beta_schedule" not in values:
        raise StudyError(
            f"{scheduler} is of a {kind}, which mixes images with noise in a way that is not known; expected one of "
            "flow matching, or one with a beta_schedule: choose another network"
        )
    kept = DDPMScheduler.from_config(values).alphas_cumprod.double()  # (steps,): the variance that is the image's
    image, noise = kept.sqrt(), (1 - kept).sqrt()
    step = int((noise / (image + noise) - noise_level).abs().argmin())
    return Mixture(float(image[step]), float(noise[step]), float(step))
