"""Images that are drawn here: objects of known shape, texture and colour, lit from a side, on a ground of noise.

Every image is a function of its seed alone, so there is no limit to their number and no licence. What is planted in an
image is known at every pixel, so that what neurons respond to can be checked against it. The ground has the spectrum of
natural images (Field 1987), so that patches differ in more than their mean colour.
"""

import json
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

SHAPES = ("disc", "square", "triangle", "cross")
TEXTURES = ("plain", "stripes", "checks", "dots")
COLOURS = {
    "red": (0.85, 0.15, 0.15), "green": (0.15, 0.65, 0.2), "blue": (0.15, 0.3, 0.9),
    "yellow": (0.9, 0.8, 0.15), "purple": (0.6, 0.2, 0.75), "cyan": (0.2, 0.8, 0.85),
}  # fmt: skip
FACTORS = ("colour", "texture", "shape")  # in the order of the words of Thing.name
CLASSES = tuple(f"{texture}_{shape}" for texture in TEXTURES for shape in SHAPES)

LARGE, SMALL = (0.26, 0.36), (0.12, 0.2)  # radii of the object that decides the class, and of the others
TURN = 0.4  # by which objects are turned at most, in radians
PERIOD = 0.16  # of textures, as a share of the side of the image
DARK = 0.35  # how bright the dark parts of a texture are
GROUND = (0.05, 0.15)  # standard deviation of the ground
HUE, NOISE = 0.05, 0.03  # of the colour of an object, and of every pixel
LIGHT = 0.4  # by which light grows across an image at most
FINE = 2  # pixels are drawn so many times finer along a side and averaged, so that edges are smooth


class Thing(NamedTuple):
    """An object; places and radius are shares of the side of the image, (0, 0) is its top left corner."""

    colour: str
    texture: str
    shape: str
    x: float
    y: float
    radius: float
    angle: float  # by which it is turned, in radians

    @property
    def name(self) -> str:
        """Its factors as words, such as "red stripes disc"."""
        return f"{self.colour} {self.texture} {self.shape}"


def random_things(label: str, others: int, rng: np.random.Generator) -> list[Thing]:
    """Objects of an image of the class `label` from the back to the front: `others` small ones, then the large one."""
    colours, things = list(COLOURS), []
    for _ in range(others):
        factors = (str(rng.choice(colours)), str(rng.choice(TEXTURES)), str(rng.choice(SHAPES)))
        things.append(Thing(*factors, *_pose(rng, SMALL)))
    texture, shape = label.split("_")
    return [*things, Thing(str(rng.choice(colours)), texture, shape, *_pose(rng, LARGE))]


def _pose(rng: np.random.Generator, radii: tuple[float, float]) -> tuple[float, float, float, float]:
    """x, y, radius and angle of an object whose middle is so far inside the image."""
    radius = rng.uniform(*radii)
    x, y = rng.uniform(radius, 1 - radius, 2)
    return round(x, 4), round(y, 4), round(radius, 4), round(rng.uniform(-TURN, TURN), 4)


def _own_places(thing: Thing, side: int) -> tuple[np.ndarray, np.ndarray]:
    """x and y (side, side) of the middles of pixels as an object sees them: from its middle, along its axes."""
    y, x = (np.indices((side, side)) + 0.5) / side
    x, y, cos, sin = x - thing.x, y - thing.y, np.cos(thing.angle), np.sin(thing.angle)
    return cos * x + sin * y, cos * y - sin * x


def covers(thing: Thing, side: int) -> np.ndarray:
    """Whether the middle of every pixel of an image (side, side) lies inside an object."""
    x, y = (place / thing.radius for place in _own_places(thing, side))
    if thing.shape == "disc":
        return x**2 + y**2 <= 1
    if thing.shape == "square":
        return np.maximum(np.abs(x), np.abs(y)) <= 0.85
    if thing.shape == "triangle":
        return (y <= 0.8) & (y >= 2 * np.abs(x) - 1)
    return (np.minimum(np.abs(x), np.abs(y)) <= 0.3) & (np.maximum(np.abs(x), np.abs(y)) <= 1)


def darkened(thing: Thing, side: int) -> np.ndarray:
    """Where the texture of an object is dark (side, side), inside it and beyond."""
    x, y = (place / PERIOD for place in _own_places(thing, side))
    if thing.texture == "stripes":
        return np.floor(y) % 2 > 0
    if thing.texture == "checks":
        return (np.floor(x) + np.floor(y)) % 2 > 0
    if thing.texture == "dots":
        return (x % 1 - 0.5) ** 2 + (y % 1 - 0.5) ** 2 < 0.1
    return np.zeros((side, side), bool)


def front(things: list[Thing], side: int) -> np.ndarray:
    """Number of the object in front at every pixel (side, side); -1: the ground."""
    found = np.full((side, side), -1)
    for number, thing in enumerate(things):
        found[covers(thing, side)] = number
    return found


def draw(things: list[Thing], side: int, rng: np.random.Generator) -> np.ndarray:
    """Pixels (side, side, 3), uint8, of the objects on a ground of random brightness, lit from a side, with noise."""
    fine = side * FINE
    picture = rng.uniform(0.3, 0.7) + rng.uniform(*GROUND) * natural_noise(fine, rng)
    for thing in things:
        colour = np.array(COLOURS[thing.colour]) + rng.normal(0, HUE, 3)
        own = colour * np.where(darkened(thing, fine), DARK, 1.0)[..., None]
        picture = np.where(covers(thing, fine)[..., None], own, picture)
    y, x = (np.indices((fine, fine)) + 0.5) / fine - 0.5
    across, down = rng.uniform(-LIGHT, LIGHT, 2)
    picture *= (1 + across * x + down * y)[..., None]
    picture = picture.reshape(side, FINE, side, FINE, 3).mean((1, 3))
    picture += rng.normal(0, NOISE, picture.shape)
    return (255 * picture.clip(0, 1)).round().astype(np.uint8)


def natural_noise(side: int, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise (side, side, 3) of variance 1 whose amplitude falls with the spatial frequency f as 1 / f."""
    along = np.fft.fftfreq(side)
    frequency = np.hypot(along[:, None], along)
    frequency[0, 0] = np.inf  # no mean
    spectrum = np.fft.fft2(rng.standard_normal((3, side, side))) / frequency
    noise = np.fft.ifft2(spectrum).real
    return np.moveaxis(noise / noise.std((1, 2), keepdims=True), 0, 2)


def procedural_images(side: int, objects: int, per_class: int, seed: int) -> Iterator[tuple[str, np.ndarray, str]]:
    """Class, pixels (side, side, 3) and planted objects (as JSON) of `per_class` images of every class."""
    for number, label in enumerate(CLASSES):
        for i in range(per_class):
            rng = np.random.default_rng([abs(seed), number, i])
            things = random_things(label, objects - 1, rng)
            yield label, draw(things, side, rng), json.dumps(things)


def planted(objects: str) -> list[Thing]:
    """The objects that an image was drawn with."""
    return [Thing(*values) for values in json.loads(objects)]
