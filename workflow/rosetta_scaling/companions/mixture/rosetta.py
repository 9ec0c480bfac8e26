"""Which features of the mixture are Rosetta: their neurons are matched in every network of a set. Nulls are included.

The correlations are exact (see relu.py), so there are no probe inputs to choose. For these neurons r rises with
the cosine of the angle between their weights: matching activations and matching weights come to the same.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch

from rosetta_scaling.companions.mixture.linear import Networks, initial
from rosetta_scaling.companions.mixture.networks import Mixture, seed_of
from rosetta_scaling.companions.mixture.relu import Targets, allocation, correlation, loss_and_gradient, train
from rosetta_scaling.config.companions.mixture import MixtureSettings
from rosetta_scaling.numerics.partners import mutual_partners

RELU, WORLD, ROTATION = 4, 5, 6  # so that no two uses share random numbers
SPARE = 0.1  # a neuron that contributes less than this share of the least useful feature is spare


def targets_of(settings: MixtureSettings, device: torch.device | str = "cpu") -> Targets:
    """The features that all networks of a study are to learn."""
    return Targets.of(Mixture.of(settings.tasks), settings.tasks.inputs, seed_of(settings.seed, WORLD), device)


def untrained(settings: MixtureSettings, width: int, targets: Targets) -> Networks:
    """All networks of a width before training."""
    count, (features, inputs) = settings.relu.sets * settings.relu.seeds, targets.directions.shape
    seed = (settings.seed, RELU)
    return initial(width, count, features, inputs, deviation=1.0, seed=seed).to(targets.directions)


def trained(settings: MixtureSettings, width: int, device: torch.device | str = "cpu") -> Networks:
    """All networks of a width after training."""
    targets = targets_of(settings, device)
    return train(untrained(settings, width, targets), targets, settings.relu)


def allocation_table(settings: MixtureSettings, networks: Mapping[int, Networks]) -> pd.DataFrame:
    """One row per width, network and task of networks by width.

    width, network, task (from 1)
    loss      ell_k
    neurons   neurons whose removal costs this task more than any other, in units of utilities, without spare neurons
    purity    mean share of this task in the loss that the removal of such a neuron causes; NaN without such neurons
    """
    rows, mixture = [], Mixture.of(settings.tasks)
    least = SPARE * mixture.utilities.min()
    for width, of_width in networks.items():
        targets = targets_of(settings, of_width.encoder.device)
        losses, *_ = loss_and_gradient(of_width, targets)
        losses = losses.unflatten(1, mixture.spectra.shape).sum(2)
        lost, share = allocation(of_width, targets, settings.tasks.count)
        used = lost > least
        for task in range(settings.tasks.count):
            own = used & (share.argmax(2) == task)
            purity = (share[:, :, task] * own).sum(1) / own.sum(1)
            values = {"loss": losses[:, task], "neurons": own.sum(1), "purity": purity}
            values = {name: value.cpu().numpy() for name, value in values.items()}
            rows.append(pd.DataFrame({"width": width, "network": range(len(losses)), "task": task + 1} | values))
    return pd.concat(rows, ignore_index=True)


def rosetta_table(settings: MixtureSettings, networks: Mapping[int, Networks]) -> pd.DataFrame:
    """One row per width, kind, set and task of trained networks by width.

    width
    kind       trained, untrained, or rotated: trained networks, each with a rotation of its own, which changes nothing
               inside a network
    networks   in the set; the last set holds all of them
    set
    task       from 1
    recovered  share of the task's features for which a network has a neuron, mean over networks
    useful     share of the features recovered that are among the `width` most useful ones of the mixture, of all
               tasks, mean over networks; NaN where nothing is recovered
    rosetta    share of the task's features whose neuron is matched in every other network, mean over anchors
    neurons    Rosetta neurons of an anchor, of all tasks and also those of no feature, mean over anchors
    copies     neurons of a network with a correlation of at least least_r to another of the same network, mean
    """
    asked, rows = settings.relu, []
    together = range(asked.sets * asked.seeds)
    for width, of_width in networks.items():
        targets = targets_of(settings, of_width.encoder.device)
        kinds = {
            "trained": of_width.encoder,
            "untrained": untrained(settings, width, targets).encoder,
            "rotated": of_width.encoder @ rotations(settings, of_width.encoder),
        }
        for kind, encoder in kinds.items():
            partners = {
                (a, b): matches(encoder[a], encoder[b], asked.least_r) for a in together for b in together if a != b
            }
            found, own = labels(encoder, targets, asked.least_r), copies(encoder, asked.least_r)
            sets = [together[start : start + asked.seeds] for start in together[:: asked.seeds]]
            for number, members in enumerate([*sets, together]):
                shared = torch.stack([_in_all(partners, one, members) for one in members])
                values = _of_set(settings, width, shared, found[list(members)])
                values |= {"copies": own[list(members)].mean().item()}
                names = {"width": width, "kind": kind, "networks": len(members), "set": number}
                rows.append(pd.DataFrame(names | {"task": range(1, settings.tasks.count + 1)} | values))
    return pd.concat(rows, ignore_index=True)


def rotations(settings: MixtureSettings, encoder: torch.Tensor) -> torch.Tensor:
    """A random rotation (networks, inputs, inputs) for every network of encoders (networks, width, inputs)."""
    count, _, inputs = encoder.shape
    generator = torch.Generator().manual_seed(seed_of(settings.seed, ROTATION))
    return torch.linalg.qr(torch.randn(count, inputs, inputs, generator=generator, dtype=torch.float64)).Q.to(encoder)


def matches(a: torch.Tensor, b: torch.Tensor, least_r: float) -> torch.Tensor:
    """Whether each neuron of a (neurons, inputs) has a mutual best partner in b with r >= least_r, bool (neurons,)."""
    r = correlation(a[None], b[None])[0].cpu()
    pairs = mutual_partners(r.numpy())
    matched = torch.zeros(len(r), dtype=torch.bool)
    matched[pairs.a] = r[pairs.a, pairs.b] >= least_r
    return matched


def labels(encoder: torch.Tensor, targets: Targets, least_r: float) -> torch.Tensor:
    """The feature that every neuron represents (networks, width); -1 if its r with all features is below least_r."""
    r, feature = correlation(encoder, targets.directions.expand(len(encoder), -1, -1)).max(2)
    return torch.where(r >= least_r, feature, -1).cpu()


def copies(encoder: torch.Tensor, least_r: float) -> torch.Tensor:
    """Number of neurons of every network (networks,) that another neuron of the same network copies."""
    r = correlation(encoder, encoder)
    r.diagonal(dim1=1, dim2=2).fill_(-1)
    return (r.amax(2) >= least_r).sum(1).double().cpu()


def _in_all(partners: dict[tuple[int, int], torch.Tensor], anchor: int, members: range) -> torch.Tensor:
    """Which neurons of an anchor have a partner in all other members of a set: bool (neurons,)."""
    return torch.stack([partners[anchor, other] for other in members if other != anchor]).all(0)


def _of_set(settings: MixtureSettings, width: int, shared: torch.Tensor, found: torch.Tensor) -> dict:
    """Columns of rosetta_table from which neurons are shared and which features they are, (networks, width) each."""
    mixture = Mixture.of(settings.tasks)
    features = torch.arange(settings.tasks.total)
    has = (found[:, :, None] == features).any(1)  # (networks, features)
    is_rosetta = ((found[:, :, None] == features) & shared[:, :, None]).any(1)
    by_task = {"recovered": has, "rosetta": is_rosetta}
    values: dict[str, Any] = {}
    values |= {name: of.double().mean(0).view(mixture.spectra.shape).mean(1).numpy() for name, of in by_task.items()}
    some = has[has.any(1)]
    for name, kept in (("useful", mixture.kept(width)), ("frequent", mixture.kept_by_frequency(width))):
        values[name] = ((some & torch.from_numpy(kept).flatten()).sum(1) / some.sum(1)).mean().item()
    return values | {"neurons": shared.sum(1).double().mean().item()}
