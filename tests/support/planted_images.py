"""Networks that see, in which the shared neurons are known: they read the same procedural images.

The residual stream is what the views of patches show, by its principal components, so neighbouring patches are alike
and random filters of two networks resemble each other, as those of untrained networks do. Some neurons share a planted
factor (a colour, a texture, a shape, an object at all) or two of them with a neuron of the other network.
"""

import numpy as np
import pandas as pd
from planted_truth import STRENGTH_POWER, Network, Planted, own_inputs, standard

from rosetta_scaling.corpora.pixels import encode
from rosetta_scaling.corpora.procedural import CLASSES, COLOURS, FACTORS, SHAPES, TEXTURES, draw, random_things
from rosetta_scaling.units.images import patch_table

NEURONS, LAYERS, SIDE, COMPONENTS = 192, 2, 4, 24
VALUES = dict(zip(FACTORS, (COLOURS, TEXTURES, SHAPES), strict=True))
SINGLE = [{}, *({factor: value} for factor, values in VALUES.items() for value in values)]  # {}: any object
PAIRS = [{"colour": colour, "shape": shape} for colour in COLOURS for shape in SHAPES]


def patches_of(seed: int, images: int) -> pd.DataFrame:
    """The unit table of images that are drawn anew."""
    rng, rows = np.random.default_rng([seed, 1]), []
    for number in range(images):
        label = CLASSES[number % len(CLASSES)]
        things = random_things(label, 2, rng)
        objects = pd.Series([things]).to_json(orient="values")[1:-1]
        rows.append((number, label, encode(draw(things, 8 * SIDE, rng)), "drawn", objects))
    return patch_table(pd.DataFrame(rows, columns=["doc", "domain", "image", "source", "objects"]), SIDE)


def planted_images(seed: int, share: float = 0.12, images: int = 144) -> tuple[Planted, pd.DataFrame, list[dict]]:
    """Two networks, the unit table that they read, and what every shared neuron codes: values by factor."""
    rng, units = np.random.default_rng([seed, 2]), patches_of(seed, images)
    views = np.frombuffer(b"".join(units.view), np.uint8).reshape(len(units), -1).astype(np.float32)
    parts = np.linalg.svd(views - views.mean(0), full_matrices=False)
    seen = (parts.U[:, :COMPONENTS] * parts.S[:COMPONENTS] ** 0.5).T  # (components, units), of falling amplitude
    coded = [*SINGLE, *(PAIRS[i] for i in rng.permutation(len(PAIRS)))][: round(NEURONS * share)]
    features = standard(np.stack([shows(units, values) for values in coded]).astype(np.float32)) if coded else seen[:0]
    strength = rng.uniform(0.3, 0.97, len(coded)) ** STRENGTH_POWER
    first = (units.passage != units.passage.shift()).to_numpy()
    stream = np.concatenate([standard(seen), features])
    networks, places = [], []
    for _ in range(2):
        x = own_inputs(rng, stream, first, neurons=NEURONS, layers=LAYERS)
        place = rng.permutation(NEURONS)[: len(coded)]
        weight = np.sqrt(strength)[:, None].astype(np.float32)
        x[place] = weight * features + np.sqrt(1 - weight**2) * x[place]
        size = (1, NEURONS, 1)
        deviation = np.exp(0.3 * rng.standard_normal(size)).astype(np.float32)
        mean = -rng.uniform(0, 1.5, size).astype(np.float32) * deviation
        networks.append(Network(standard(x)[None], mean, deviation, "gelu", LAYERS))
        places.append(place)
    return Planted(networks, places, [np.array([], int)] * 2, first=first), units, coded


def shows(units: pd.DataFrame, values: dict[str, str]) -> np.ndarray:
    """Whether a patch shows an object with these values of its factors (units,)."""
    words = units.content.str.split(" ", expand=True).reindex(columns=range(len(FACTORS)))
    found = units.content.ne("ground").to_numpy()
    for factor, value in values.items():
        found = found & (words[FACTORS.index(factor)] == value).to_numpy()
    return found
