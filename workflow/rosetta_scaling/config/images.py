"""The section `images`: what is read from images, where a study compares networks that see."""

from typing import Literal

from pydantic import Field

from rosetta_scaling.config.section import Name, Section


class Images(Section):
    image_column: str = "image"
    """Column that holds the image (`huggingface`)."""
    label_column: str = "label"
    """Column that holds the class of the image (`huggingface`)."""
    size: int = Field(32, ge=8, le=1024)
    """Side of images that are generated here, and of those that networks are trained on, in pixels."""
    objects: int = Field(3, ge=1, le=16)
    """Objects in an image that is drawn here (`procedural`); the largest one decides its class."""
    per_class: int = Field(440, ge=1)
    """Maximum number of images per class; it keeps the classes balanced."""
    probe_per_class: int = Field(40, ge=1)
    """Images per class, among these, that nothing is trained on and on which activations are compared."""
    patch: int = Field(4, ge=1)
    """Side of the patches of networks that are trained here, in pixels."""
    grid: Literal["maximum"] | Name | int = "maximum"
    """Patches along a side of the grid on which networks are compared: the largest of their grids (as in the paper's
    text), that of a family (as in its code), or a number."""
    masked: float = Field(0.75, gt=0, lt=1)
    """Share of the patches that a masked autoencoder has to fill in."""
    noise_level: float = Field(0.25, ge=0, le=1)
    """Share of noise in the images that a generator is read on: 0 is the image itself, 1 is noise alone."""

    @property
    def patches(self) -> int:
        """Patches of an image as a network that is trained here reads it."""
        return (self.size // self.patch) ** 2
