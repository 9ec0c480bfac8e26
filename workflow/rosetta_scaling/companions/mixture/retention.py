"""What linear networks keep of a rare task: at the population optimum, after a burst, and with regular injections.

Every function returns a table with one row per width and replicate (and gap, or feature); see its docstring.
"""

import logging

import numpy as np
import pandas as pd
import torch

from rosetta_scaling.companions.mixture import linear
from rosetta_scaling.companions.mixture.networks import Mixture, seed_of
from rosetta_scaling.config.companions.mixture import MixtureSettings
from rosetta_scaling.store.progress import Reporter

log = logging.getLogger(__name__)

POPULATION, RETENTION, INJECTION = 1, 2, 3  # so that no two experiments share random numbers


def population(settings: MixtureSettings, device: torch.device | str = "cpu") -> pd.DataFrame:
    """Gradient descent on the population loss: one row per width, seed, task and feature.

    width, seed, task, feature (both from 1), loss (of that feature's output), energy (of the feature in the span of
    the encoder, 0 to 1).
    """
    asked, mixture = settings.population, Mixture.of(settings.tasks)
    targets = linear.Targets.of(mixture, settings.tasks.inputs, device=device)
    report, rows = Reporter(log, "population loss", len(asked.widths)), []
    for done, width in enumerate(asked.widths, 1):
        networks = _start(settings, targets, POPULATION, width=width, seeds=asked.seeds)
        linear.train_population(networks, targets, mixture.frequencies, steps=asked.steps, rate=asked.learning_rate)
        losses, energies = linear.population_losses(networks, targets), linear.energy(networks, targets)
        shape = (asked.seeds, *mixture.spectra.shape)
        index = pd.MultiIndex.from_product([range(n) for n in shape], names=["seed", "task", "feature"])
        table = index.to_frame(index=False).assign(
            width=width, loss=losses.flatten().cpu().numpy(), energy=energies.flatten().cpu().numpy()
        )
        rows.append(table.assign(task=table.task + 1, feature=table.feature + 1))
        report(done)
    return pd.concat(rows, ignore_index=True)[["width", "seed", "task", "feature", "loss", "energy"]]


def retention(settings: MixtureSettings, device: torch.device | str = "cpu") -> pd.DataFrame:
    """Common tasks, then a burst of the rare one, then common tasks again: one row per width, seed and moment.

    width, seed, moment  burst (at its end), probe (a few steps later), end
    rare_loss            of the rare task with the decoder from the end of the burst; 1 if nothing is learned
    common_loss          of the common tasks
    energy               of the rare task's features in the span of the encoder, mean weighted by its spectrum
    gradient             norm of the gradient of the common loss by the encoder
    """
    asked, tasks = settings.retention, settings.tasks
    rare = tasks.count - 1
    common = Mixture.of(tasks).at_frequency(rare, 0)
    targets = linear.Targets.of(common, tasks.inputs, torch.float32, device)
    frequencies, only_rare = common.frequencies, np.eye(tasks.count)[rare]
    report, rows = Reporter(log, "retention", len(asked.widths)), []
    for done, width in enumerate(asked.widths, 1):
        networks = _start(settings, targets, RETENTION, width=width, seeds=asked.seeds)
        generator = torch.Generator(device).manual_seed(seed_of(settings.seed, RETENTION, width))
        descent = linear.Descent(asked.batch, asked.learning_rate, generator)
        phases = {
            "common": (frequencies, asked.common),
            "burst": (only_rare, asked.burst),
            "probe": (frequencies, asked.probe),
            "end": (frequencies, asked.again - asked.probe),
        }
        for moment, (drawn, steps) in phases.items():
            linear.train_batches(networks, targets, drawn, steps=steps, descent=descent)
            if moment != "common":
                seen = _kept(networks, targets, frequencies, only_rare)
                rows.append(pd.DataFrame({"width": width, "seed": range(asked.seeds), "moment": moment} | seen))
        report(done)
    return pd.concat(rows, ignore_index=True)


def _kept(
    networks: linear.Networks, targets: linear.Targets, frequencies: np.ndarray, only_rare: np.ndarray
) -> dict[str, np.ndarray]:
    """The measured columns of `retention`, one value per network."""
    losses = linear.population_losses(networks, targets)
    spectrum = targets.maps.square().sum(1).double() * targets.weights(only_rare)
    gradient, _ = linear.population_gradients(networks, targets, targets.weights(frequencies))
    values = {
        "rare_loss": losses @ targets.weights(only_rare),
        "common_loss": losses @ targets.weights(frequencies),
        "energy": linear.energy(networks, targets) @ spectrum,
        "gradient": gradient.flatten(1).norm(dim=1),
    }
    return {name: value.double().cpu().numpy() for name, value in values.items()}


def injection(settings: MixtureSettings, device: torch.device | str = "cpu") -> pd.DataFrame:
    """Examples of the rare task one at a time, or collected and given at once: one row per width, gap and seed.

    Measured at injections in the second half of training:

        width, gap, seed
        loss            of the rare task, mean over time
        before, after   the same just before and just after an injection
        cosine, spread  of the gradient of the common examples in a batch with that of the rare task (its population
                        gradient), by the encoder: mean and root mean square over time
        at_injection    the same cosine for the gradient of a whole batch with injected examples
    """
    asked, tasks = settings.injection, settings.tasks
    rare = tasks.count - 1
    mixture = Mixture.of(tasks).at_frequency(rare, 0)
    targets = linear.Targets.of(mixture, tasks.inputs, torch.float32, device)
    frequencies = torch.as_tensor(mixture.frequencies, device=device)
    only_rare = targets.weights(np.eye(tasks.count)[rare])
    periods = torch.tensor(asked.gaps, device=device).repeat_interleave(asked.seeds) * asked.every  # (networks,)
    examples = periods // asked.every
    report, rows = Reporter(log, "injection", len(asked.widths)), []
    for done, width in enumerate(asked.widths, 1):
        networks = _start(settings, targets, INJECTION, width=width, seeds=asked.seeds)
        networks = linear.Networks(*(w.repeat(len(asked.gaps), 1, 1) for w in (networks.encoder, networks.decoder)))
        generator = torch.Generator(device).manual_seed(seed_of(settings.seed, INJECTION, width))
        seen = {name: Running(len(periods), device) for name in MEASURED}
        for step in range(1, asked.steps + 1):
            x, drawn = linear.draw(networks, frequencies, asked.batch, generator)
            due = step % periods == 0
            injected = due[:, None] & (torch.arange(asked.batch, device=device) < examples[:, None])
            measured = step % asked.every == 0 and 2 * step > asked.steps
            if measured:
                before = linear.population_losses(networks, targets) @ only_rare
                wanted, _ = linear.population_gradients(networks, targets, only_rare)
                common, _ = linear.batch_gradients(networks, targets, x, drawn.masked_fill(injected, -1))
            gradients = linear.batch_gradients(networks, targets, x, drawn.masked_fill(injected, rare))
            networks.step(gradients, asked.learning_rate)
            if measured:
                after = linear.population_losses(networks, targets) @ only_rare
                apart = _cosine(common, wanted)
                seen["loss"].add(before)
                seen["cosine"].add(apart)
                seen["spread"].add(apart**2)
                seen["before"].add(before, due)
                seen["after"].add(after, due)
                seen["at_injection"].add(_cosine(gradients[0], wanted), due)
        means = {name: value.mean().cpu().numpy() for name, value in seen.items()}
        names = {"width": width, "gap": examples.cpu().numpy(), "seed": np.tile(range(asked.seeds), len(asked.gaps))}
        rows.append(pd.DataFrame(names | means | {"spread": np.sqrt(means["spread"])}))
        report(done)
    return pd.concat(rows, ignore_index=True)


MEASURED = ("loss", "before", "after", "cosine", "spread", "at_injection")


class Running:
    """Mean of a value per network over the moments that count for this network."""

    def __init__(self, networks: int, device: torch.device | str):
        self.total = torch.zeros(networks, dtype=torch.float64, device=device)
        self.count = torch.zeros_like(self.total)

    def add(self, values: torch.Tensor, counts: torch.Tensor | None = None) -> None:
        """Add values (networks,), only of those networks for which the moment counts (bool); null counts all."""
        counts = torch.ones_like(self.count) if counts is None else counts.double()
        self.total += values.double() * counts
        self.count += counts

    def mean(self) -> torch.Tensor:
        """Means (networks,) of what was added; NaN where nothing counted."""
        return self.total / self.count


def _cosine(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cosine_similarity(a.flatten(1).double(), b.flatten(1).double(), dim=1)


def _start(settings: MixtureSettings, targets: linear.Targets, step: int, *, width: int, seeds: int) -> linear.Networks:
    """Networks with small weights, which learn features one after the other instead of all of them partly."""
    features, inputs = targets.maps.shape
    seed = (settings.seed, step)
    return linear.initial(width, seeds, features, inputs, deviation=0.1, seed=seed).to(targets.maps)
