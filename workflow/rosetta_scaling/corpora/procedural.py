"""Images that are drawn here: objects of known shape, texture and colour on a noisy ground.

Every image is a function of its seed alone, so there is no limit to their number and no licence. What is planted in an
image is known at every pixel, so that what neurons respond to can be checked against it.
"""

import json
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

SHAPES = ("disc", "square", "triangle", "cross")
TEXTURES = ("plain", "stripes", "checks")
COLOURS = {"red": (0.85, 0.2, 0.2), "green": (0.2, 0.7, 0.25), "blue": (0.2, 0.35, 0.9), "yellow": (0.9, 0.8, 0.2)}
FACTORS = ("colour", "texture", "shape")  # in the order of the words of Thing.name
CLASSES = tuple(f"{texture}_{shape}" for texture in TEXTURES for shape in SHAPES)

LARGE, SMALL = (0.26, 0.34), (0.12, 0.17)  # radii of the object that decides the class, and of the others
PERIOD = 0.11  # of textures, as a share of the side of the image
DARK = 0.35  # how bright the dark parts of a texture are
FINE = 2  # pixels are drawn so many times finer along a side and averaged, so that edges are smooth


class Thing(NamedTuple):
    """An object; places and radius are shares of the side of the image, (0, 0) is its top left corner."""

    colour: str
    texture: str
    shape: str
    x: float
    y: float
    radius: float

    @property
    def name(self) -> str:
        """Its factors as words, such as "red stripes disc"."""
        return f"{self.colour} {self.texture} {self.shape}"


def random_things(label: str, others: int, rng: np.random.Generator) -> list[Thing]:
    """Objects of an image of the class `label` from the back to the front: `others` small ones, then the large one."""
    colours, things = list(COLOURS), []
    for _ in range(others):
        factors = (str(rng.choice(colours)), str(rng.choice(TEXTURES)), str(rng.choice(SHAPES)))
        things.append(Thing(*factors, *_place(rng, SMALL)))
    texture, shape = label.split("_")
    return [*things, Thing(str(rng.choice(colours)), texture, shape, *_place(rng, LARGE))]


def _place(rng: np.random.Generator, radii: tuple[float, float]) -> tuple[float, float, float]:
    """x, y and radius of an object that lies inside the image."""
    radius = rng.uniform(*radii)
    x, y = rng.uniform(radius, 1 - radius, 2)
    return round(x, 4), round(y, 4), round(radius, 4)


def covers(thing: Thing, side: int) -> np.ndarray:
    """Whether the middle of every pixel of an image (side, side) lies inside an object."""
    y, x = (np.indices((side, side)) + 0.5) / side
    x, y = (x - thing.x) / thing.radius, (y - thing.y) / thing.radius
    if thing.shape == "disc":
        return x**2 + y**2 <= 1
    if thing.shape == "square":
        return np.maximum(np.abs(x), np.abs(y)) <= 0.85
    if thing.shape == "triangle":
        return (y <= 0.8) & (y >= 2 * np.abs(x) - 1)
    return (np.minimum(np.abs(x), np.abs(y)) <= 0.3) & (np.maximum(np.abs(x), np.abs(y)) <= 1)


def front(things: list[Thing], side: int) -> np.ndarray:
    """Number of the object in front at every pixel (side, side); -1: the ground."""
    found = np.full((side, side), -1)
    for number, thing in enumerate(things):
        found[covers(thing, side)] = number
    return found


def draw(things: list[Thing], side: int, rng: np.random.Generator) -> np.ndarray:
    """Pixels (side, side, 3), uint8, of the objects on a grey ground of random brightness, with noise on everything."""
    fine = side * FINE
    y, x = np.indices((fine, fine)) / fine
    picture = np.full((fine, fine, 3), rng.uniform(0.3, 0.7))
    for thing in things:
        dark = np.zeros((fine, fine), bool)
        if thing.texture != "plain":
            dark = np.floor((y - thing.y) / PERIOD) % 2 > 0
        if thing.texture == "checks":
            dark ^= np.floor((x - thing.x) / PERIOD) % 2 > 0
        own = np.array(COLOURS[thing.colour]) * np.where(dark, DARK, 1.0)[..., None]
        picture = np.where(covers(thing, fine)[..., None], own, picture)
    picture = picture.reshape(side, FINE, side, FINE, 3).mean((1, 3))
    picture += rng.normal(0, 0.03, picture.shape)
    return (255 * picture.clip(0, 1)).round().astype(np.uint8)


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
