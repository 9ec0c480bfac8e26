"""The mixture of tasks against brute force, eigenvalues, automatic derivatives and direct draws."""

import itertools
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import optimize
from small_companions import MIXTURE as SMALL

from rosetta_scaling.claims.verdicts import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED
from rosetta_scaling.companions import catalogue
from rosetta_scaling.companions.mixture import claims as mixture_claims
from rosetta_scaling.companions.mixture import figures as mixture_figures
from rosetta_scaling.companions.mixture import intervals as mixture_intervals
from rosetta_scaling.companions.mixture import linear as mixture_linear
from rosetta_scaling.companions.mixture import relu as mixture_relu
from rosetta_scaling.companions.mixture import retention as mixture_retention
from rosetta_scaling.companions.mixture import rosetta as mixture_rosetta
from rosetta_scaling.companions.mixture.networks import (
    Mixture,
    compute_optimal_excess,
    endless_exponent,
    endless_optimum,
    matching_share,
    seed_of,
)
from rosetta_scaling.config.companions.mixture import (
    Injection,
    Law,
    MixtureSettings,
    Population,
    Relu,
    Retention,
    Tasks,
)
from rosetta_scaling.store.tables import read_table

pytestmark = pytest.mark.slow(0.7)

SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.tuples(st.integers(2, 4), st.integers(1, 3))  # tasks, features


def random_mixture(shape: tuple[int, int], seed: int) -> Mixture:
    rng = np.random.default_rng(seed)
    return Mixture(rng.dirichlet(np.ones(shape[0])), rng.dirichlet(np.ones(shape[1]), shape[0]))


def random_linear(shape: tuple[int, int], width: int, inputs: int, seed: int, count: int = 2):
    """A mixture, its targets turned by a random rotation, and networks."""
    mixture = random_mixture(shape, seed)
    targets = mixture_linear.Targets.of(mixture, inputs)
    generator = torch.Generator().manual_seed(seed)
    rotation = torch.linalg.qr(torch.randn(inputs, inputs, generator=generator, dtype=torch.float64)).Q
    targets = mixture_linear.Targets(targets.maps @ rotation, targets.task)
    return (
        mixture,
        targets,
        mixture_linear.initial(width, count, len(targets.maps), inputs, deviation=1.0, seed=(seed,)),
    )


def random_relu(shape: tuple[int, int], width: int, inputs: int, seed: int, count: int = 2):
    mixture = random_mixture(shape, seed)
    targets = mixture_relu.Targets.of(mixture, inputs, seed)
    targets = mixture_relu.Targets(
        targets.directions.double(), targets.amplitudes.double(), targets.frequencies.double()
    )
    return (
        mixture,
        targets,
        mixture_linear.initial(width, count, len(targets.directions), inputs, deviation=1.0, seed=(seed,)),
    )


# -- closed forms ------------------------------------------------------------------------------------------------------


@given(SHAPES, SEEDS)
@settings(max_examples=50)
def test_the_optimum_is_the_best_of_all_subsets_of_features(shape, seed):
    mixture = random_mixture(shape, seed)
    utilities = mixture.utilities.ravel()
    for width in range(utilities.size + 3):
        kept = itertools.combinations(range(utilities.size), min(width, utilities.size))
        best = min(utilities.sum() - utilities[list(chosen)].sum() for chosen in kept)
        assert mixture.optimum(width) == pytest.approx(best, abs=1e-12)
        assert mixture.kept(width).sum() == min(width, utilities.size)
        left = mixture.frequencies @ mixture.task_optimum(width)
        assert left == pytest.approx(best, abs=1e-12)


@given(SHAPES, SEEDS)
@settings(max_examples=50)
def test_the_optimum_is_what_eigenvalues_of_the_mixed_covariance_leave(shape, seed):
    """Also where features are not along axes: no encoder of this width can do better (Eckart and Young)."""
    mixture, targets, _ = random_linear(shape, 1, shape[0] * shape[1] + 2, seed)
    weights = targets.weights(mixture.frequencies)
    mixed = targets.maps.T @ (weights[:, None] * targets.maps)
    eigenvalues = torch.linalg.eigvalsh(mixed).flip(0).numpy()
    for width in range(len(targets.maps) + 2):
        assert mixture.optimum(width) == pytest.approx(eigenvalues[width:].sum(), abs=1e-12)


@given(SHAPES, SEEDS)
@settings(max_examples=50)
def test_critical_widths_are_where_the_loss_of_a_task_begins_to_fall_and_ends(shape, seed):
    mixture = random_mixture(shape, seed)
    first, whole = mixture.critical_widths()
    losses = np.stack([mixture.task_optimum(width) for width in range(mixture.spectra.size + 1)])
    for task in range(shape[0]):
        assert losses[first[task] - 1, task] == pytest.approx(1)
        assert losses[first[task], task] < 1
        assert losses[whole[task] - 1, task] > 0
        assert losses[whole[task], task] == 0
    above = (mixture.utilities[None] > mixture.utilities.max(1)[:, None, None]).sum((1, 2))
    np.testing.assert_array_equal(first, 1 + above)
    # The optimum falls by the first utility of a task at its critical width.
    fall = [mixture.optimum(width - 1) - mixture.optimum(width) for width in first]
    np.testing.assert_allclose(fall, mixture.utilities.max(1), atol=1e-12)


@given(SHAPES, SEEDS)
@settings(max_examples=50)
def test_the_order_of_tasks_does_not_matter(shape, seed):
    mixture = random_mixture(shape, seed)
    order = np.random.default_rng(seed).permutation(shape[0])
    other = Mixture(mixture.frequencies[order], mixture.spectra[order])
    for width in range(mixture.spectra.size + 1):
        assert other.optimum(width) == pytest.approx(mixture.optimum(width), abs=1e-12)
        np.testing.assert_array_equal(other.kept(width), mixture.kept(width)[order])
        np.testing.assert_array_equal(other.kept_by_frequency(width), mixture.kept_by_frequency(width)[order])
    for one, two in zip(other.critical_widths(), mixture.critical_widths(), strict=True):
        np.testing.assert_array_equal(one, two[order])


def test_frequency_and_utility_choose_different_features():
    mixture = Mixture(np.array([0.6, 0.4]), np.array([[0.5, 0.5], [0.9, 0.1]]))
    np.testing.assert_array_equal(mixture.kept(1), [[False, False], [True, False]])
    np.testing.assert_array_equal(mixture.kept_by_frequency(3), [[True, True], [True, False]])
    np.testing.assert_array_equal(mixture.kept_by_frequency(1), [[True, False], [False, False]])
    assert mixture.gap(1) == pytest.approx(1 - 0.3 / 0.36)
    assert mixture.gap(2) == 0  # the two features of the first task
    assert mixture.gap(4) == 1


def test_a_task_that_is_drawn_no_more_comes_last():
    mixture = Mixture.of(Tasks())
    without = mixture.at_frequency(0, 0.0)
    assert without.frequencies.sum() == pytest.approx(1)
    np.testing.assert_allclose(
        without.frequencies[1:] / without.frequencies[1], mixture.frequencies[1:] / mixture.frequencies[1]
    )
    assert without.critical_widths()[0][0] == Tasks().total - Tasks().features + 1
    assert mixture.at_frequency(5, mixture.frequencies[5]).frequencies == pytest.approx(mixture.frequencies)


def test_spectra_are_as_configured():
    mixture = Mixture.of(Tasks(count=3, features=2, ratio=0.5, decays=[1.0, 3.0], inputs=6))
    np.testing.assert_allclose(mixture.frequencies, np.array([4, 2, 1]) / 7)
    np.testing.assert_allclose(mixture.spectra, [[2 / 3, 1 / 3], [8 / 9, 1 / 9], [2 / 3, 1 / 3]])


@pytest.mark.parametrize(("a", "b"), [(1.5, 3.0), (3.0, 1.5), (2.0, 2.0)])
def test_the_optimum_of_an_endless_mixture_is_that_of_a_large_one(a, b):
    """Truncated at 1,500 tasks and features, a mixture lacks what the integrals of its two tails say."""
    n = 1500
    utilities = np.arange(1, n + 1.0)[:, None] ** -a * np.arange(1, n + 1.0) ** -b
    width, loss = endless_optimum(40, a, b)
    ranked = np.sort(utilities, axis=None)[::-1]
    zeta_a, zeta_b = (utilities[:, 0].sum() + n ** (1 - a) / (a - 1), utilities[0].sum() + n ** (1 - b) / (b - 1))
    assert abs(width - 40) <= 4  # features of equal utility come together
    assert loss == pytest.approx(zeta_a * zeta_b - ranked[: int(width)].sum(), rel=1e-4)
    if a != b:
        far = [endless_optimum(size, a, b) for size in (1e5, 1e6)]
        slope = np.log(far[0][1] / far[1][1]) / np.log(far[1][0] / far[0][0])
        assert slope == pytest.approx(endless_exponent(a, b), abs=0.01)


@given(st.floats(0.2, 1), st.floats(0.2, 1), st.floats(1, 1e4))
@settings(max_examples=50)
def test_the_compute_optimal_loss_is_a_minimum(alpha, beta, size):
    loss = compute_optimal_excess(np.array([size]), alpha, beta)[0]
    data = (loss - size**-alpha) ** (-1 / beta)
    same_compute = optimize.minimize_scalar(
        lambda log_n: np.exp(-alpha * log_n) + (size * data / np.exp(log_n)) ** -beta,
        bracket=(np.log(size) - 1, np.log(size) + 1),
        tol=1e-10,
    )
    assert same_compute.fun == pytest.approx(loss, rel=1e-6)
    assert same_compute.x == pytest.approx(np.log(size), abs=1e-3)
    # With endless data a network of this share of the size does as well.
    assert (matching_share(alpha, beta) * size) ** -alpha == pytest.approx(loss, rel=1e-9)


# -- linear networks ---------------------------------------------------------------------------------------------------


@given(SHAPES, st.integers(1, 5), SEEDS)
@settings(max_examples=25)
def test_gradients_over_endless_data_are_those_of_the_loss(shape, width, seed):
    mixture, targets, networks = random_linear(shape, width, shape[0] * shape[1] + 1, seed)
    weights = targets.weights(mixture.frequencies)
    leaves = [weight.requires_grad_() for weight in (networks.encoder, networks.decoder)]
    (mixture_linear.population_losses(networks, targets) @ weights).sum().backward()
    found = mixture_linear.population_gradients(networks, targets, weights)
    for leaf, gradient in zip(leaves, found, strict=True):
        torch.testing.assert_close(gradient.detach(), leaf.grad)


def task_gradient(encoder: torch.Tensor, targets: mixture_linear.Targets, task: int) -> torch.Tensor:
    """Gradient by the encoder (networks, width, inputs) of a task's loss when its decoder is the best for the encoder.

    It is -2 (U U^T)^-1 U C (I - P_U) with C = maps^T maps of the task (theorem 4): zero once U spans the task.
    """
    maps = targets.maps[targets.task == task]
    inverse = torch.linalg.pinv(encoder)  # (networks, inputs, width); P_U = inverse @ encoder
    covariance = maps.T @ maps
    residual = covariance - covariance @ inverse @ encoder
    return -2 * inverse.mT @ residual


@given(SHAPES, st.integers(1, 4), SEEDS)
@settings(max_examples=25)
def test_a_task_moves_the_encoder_by_what_is_left_of_its_covariance(shape, width, seed):
    """Theorem 4 against automatic derivatives through the best decoder, found by least squares."""
    _, targets, networks = random_linear(shape, width, shape[0] * shape[1] + 4, seed)
    encoder = networks.encoder.requires_grad_()
    maps = targets.maps[targets.task == 0]
    gram = encoder @ encoder.mT
    decoder = torch.linalg.solve(gram, encoder @ maps.T).mT
    loss = (decoder @ encoder - maps).square().sum((1, 2))
    loss.sum().backward()
    found = task_gradient(encoder.detach(), targets, 0)
    torch.testing.assert_close(found, encoder.grad, atol=1e-8, rtol=1e-6)
    # The loss with the best decoder is what of the spectrum lies outside the span.
    spectrum = maps.square().sum(1)
    outside = (1 - mixture_linear.energy(networks, targets)[:, targets.task == 0]) @ spectrum
    torch.testing.assert_close(loss.detach(), outside.detach())


@given(SHAPES, SEEDS)
@settings(max_examples=25)
def test_a_task_inside_the_span_moves_nothing(shape, seed):
    mixture, targets, _ = random_linear(shape, 1, shape[0] * shape[1] + 3, seed)
    generator = torch.Generator().manual_seed(seed)
    maps = targets.maps[targets.task == 0]
    mixing = torch.randn(len(maps) + 1, len(maps) + 1, generator=generator, dtype=torch.float64)
    mixing += 3 * torch.eye(len(maps) + 1, dtype=torch.float64)
    extra = torch.randn(1, maps.shape[1], generator=generator, dtype=torch.float64)
    encoder = (mixing @ torch.cat([torch.nn.functional.normalize(maps, dim=1), extra]))[None]
    inside = task_gradient(encoder, targets, 0).norm()
    outside = task_gradient(encoder, targets, 1).norm()
    assert inside < 1e-8
    assert outside > 1e-6 * mixture.spectra[1].max()


def test_batches_have_the_gradient_of_endless_data_on_average():
    mixture, targets, networks = random_linear((3, 2), 4, 7, 0)
    networks = mixture_linear.Networks(networks.encoder[:1], networks.decoder[:1])
    generator = torch.Generator().manual_seed(1)
    x, asked = mixture_linear.draw(networks, torch.from_numpy(mixture.frequencies), 400_000, generator)
    found = mixture_linear.batch_gradients(networks, targets, x, asked)
    expected = mixture_linear.population_gradients(networks, targets, targets.weights(mixture.frequencies))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=0.05 * other.abs().max().item(), rtol=0)


def test_an_example_of_no_task_teaches_nothing():
    mixture, targets, networks = random_linear((3, 2), 4, 7, 0)
    x, asked = mixture_linear.draw(networks, torch.from_numpy(mixture.frequencies), 8, torch.Generator().manual_seed(1))
    for gradient in mixture_linear.batch_gradients(networks, targets, x, torch.full_like(asked, -1)):
        assert not gradient.any()


def test_energy_of_known_spans():
    targets = mixture_linear.Targets.of(random_mixture((2, 2), 0), 4)
    encoder = torch.zeros(2, 2, 4, dtype=torch.float64)
    encoder[0, :, 0] = torch.tensor([1.0, -2.0])  # two parallel neurons span one direction
    encoder[1, 0, 1] = encoder[1, 0, 2] = 3.0
    energy = mixture_linear.energy(mixture_linear.Networks(encoder, torch.zeros(2, 4, 2)), targets)
    torch.testing.assert_close(energy, torch.tensor([[1.0, 0, 0, 0], [0, 0.5, 0.5, 0]], dtype=torch.float64))


def test_networks_do_not_depend_on_their_neighbours():
    small = mixture_linear.initial(3, 2, 4, 5, deviation=0.1, seed=(7, 1))
    large = mixture_linear.initial(3, 4, 4, 5, deviation=0.1, seed=(7, 1))
    assert large.encoder[:2].equal(small.encoder)
    assert large.decoder[:2].equal(small.decoder)
    assert not large.encoder[2].equal(large.encoder[3])
    assert seed_of(0, 1, 2, 3) != seed_of(0, 1, 3, 2)


# -- networks with ReLU ------------------------------------------------------------------------------------------------


def test_covariances_are_those_of_drawn_activations():
    generator = torch.Generator().manual_seed(0)
    u, v = (torch.randn(1, n, 3, generator=generator, dtype=torch.float64) for n in (4, 5))
    x = torch.randn(1_000_000, 3, generator=generator, dtype=torch.float64)
    drawn = torch.cov(torch.cat([torch.relu(x @ u[0].T), torch.relu(x @ v[0].T)], 1).T)[:4, 4:]
    found, *_ = mixture_relu.covariance(u, v)
    torch.testing.assert_close(found[0], drawn, atol=0.01, rtol=0.01)
    assert torch.relu(x[:, 0]).var().item() == pytest.approx(mixture_relu.VARIANCE, rel=0.01)
    r = mixture_relu.correlation(u, 2 * u)
    torch.testing.assert_close(r.diagonal(dim1=1, dim2=2), torch.ones(1, 4, dtype=torch.float64))
    assert mixture_relu.correlation(u, -u).diagonal(dim1=1, dim2=2).max() < 0


@given(SHAPES, st.integers(1, 4), SEEDS)
@settings(max_examples=25)
def test_gradients_of_relu_networks_are_slopes_of_the_loss(shape, width, seed):
    _, targets, networks = random_relu(shape, width, shape[0] * shape[1] + 1, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    shifts = [torch.randn(w.shape, generator=generator, dtype=w.dtype) for w in (networks.encoder, networks.decoder)]
    _, *gradients = mixture_relu.loss_and_gradient(networks, targets)
    slope = sum((gradient * shift).sum((1, 2)) for gradient, shift in zip(gradients, shifts, strict=True))

    def loss_at(step: float) -> torch.Tensor:
        moved = (w + step * s for w, s in zip((networks.encoder, networks.decoder), shifts, strict=True))
        return mixture_relu.loss_and_gradient(mixture_linear.Networks(*moved), targets)[0] @ targets.frequencies

    torch.testing.assert_close((loss_at(1e-5) - loss_at(-1e-5)) / 2e-5, slope, atol=1e-4, rtol=1e-4)


def test_relu_networks_are_trained_by_the_steps_of_the_paper_of_adam():
    """Algorithm 1 of Kingma and Ba 2015, written out; the rate is constant in the first half of the steps."""
    _, targets, networks = random_relu((2, 2), 3, 6, 1)
    found = mixture_relu.train(networks, targets, Relu(steps=3, learning_rate=0.03))
    weights = [networks.encoder, networks.decoder]
    means, squares = ([torch.zeros_like(weight) for weight in weights] for _ in range(2))
    for step, rate in enumerate((0.03, 0.03, 0.03 * (1 + np.cos(np.pi / 3)) / 2), 1):
        _, *gradients = mixture_relu.loss_and_gradient(mixture_linear.Networks(*weights), targets)
        for i, gradient in enumerate(gradients):
            means[i] = 0.9 * means[i] + 0.1 * gradient
            squares[i] = 0.999 * squares[i] + 0.001 * gradient**2
            corrected = means[i] / (1 - 0.9**step), (squares[i] / (1 - 0.999**step)).sqrt()
            weights[i] = weights[i] - rate * corrected[0] / (corrected[1] + 1e-8)
    for one, expected in zip((found.encoder, found.decoder), weights, strict=True):
        torch.testing.assert_close(one, expected, rtol=1e-11, atol=1e-13)


def test_the_loss_of_relu_networks_is_that_of_drawn_examples():
    mixture, targets, networks = random_relu((2, 2), 5, 6, 3, count=1)
    x = torch.randn(500_000, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    told = torch.relu(x @ networks.encoder[0].T) @ networks.decoder[0].T
    error = told - torch.relu(x @ targets.directions.T) * targets.amplitudes
    losses, *_ = mixture_relu.loss_and_gradient(networks, targets)
    torch.testing.assert_close(error.var(0), losses[0], rtol=0.02, atol=0.01)  # variance: constants are the best
    nothing = mixture_linear.Networks(networks.encoder, torch.zeros_like(networks.decoder))
    losses, *_ = mixture_relu.loss_and_gradient(nothing, targets)
    torch.testing.assert_close(losses[0], torch.from_numpy(mixture.spectra).flatten(), rtol=1e-5, atol=1e-7)


@given(SHAPES, st.integers(1, 4), SEEDS)
@settings(max_examples=25)
def test_ablation_is_the_loss_without_a_neuron(shape, width, seed):
    _, targets, networks = random_relu(shape, width, shape[0] * shape[1] + 1, seed)
    found = mixture_relu.ablation(networks, targets)
    before, *_ = mixture_relu.loss_and_gradient(networks, targets)
    for neuron in range(width):
        decoder = networks.decoder.clone()
        decoder[:, :, neuron] = 0
        after, *_ = mixture_relu.loss_and_gradient(mixture_linear.Networks(networks.encoder, decoder), targets)
        torch.testing.assert_close(found[:, neuron], after - before, atol=1e-9, rtol=1e-9)


def planted(width: int, chosen: list[int], tasks: Tasks, count: int = 4) -> mixture_linear.Networks:
    """Networks whose neurons are features, in an order and of a length of their own, with the decoder that fits."""
    targets = mixture_rosetta.targets_of(SMALL)
    generator = torch.Generator().manual_seed(5)
    encoder = torch.zeros(count, width, tasks.inputs)
    decoder = torch.zeros(count, tasks.total, width)
    for network in range(count):
        places = torch.randperm(width, generator=generator)[: len(chosen)]
        for place, feature in zip(places, chosen, strict=True):
            length = 0.5 + torch.rand((), generator=generator)
            encoder[network, place] = length * targets.directions[feature]
            decoder[network, feature, place] = targets.amplitudes[feature] / length
        spare = [i for i in range(width) if i not in places]
        encoder[network, spare] = torch.randn(len(spare), tasks.inputs, generator=generator)
    return mixture_linear.Networks(encoder, decoder)


def test_a_planted_allocation_is_recovered():
    tasks, utilities = SMALL.tasks, Mixture.of(SMALL.tasks).utilities.ravel()
    networks = planted(5, [0, 2, 3], tasks)
    targets = mixture_rosetta.targets_of(SMALL)
    lost, share = mixture_relu.allocation(networks, targets, tasks.count)
    label = mixture_rosetta.labels(networks.encoder, targets, 0.99)
    for network in range(4):
        of = {int(feature): place for place, feature in enumerate(label[network]) if feature >= 0}
        assert sorted(of) == [0, 2, 3]
        for feature, place in of.items():
            assert lost[network, place] == pytest.approx(utilities[feature], rel=1e-4)
            assert share[network, place].argmax() == feature // tasks.features
            assert share[network, place].max() == pytest.approx(1, abs=1e-4)
    table = mixture_rosetta.allocation_table(SMALL, {5: networks})
    found = table.groupby("task")[["neurons", "loss"]].mean()
    np.testing.assert_allclose(found.neurons, [1, 2, 0])
    spectra = Mixture.of(tasks).spectra
    np.testing.assert_allclose(found.loss, [spectra[0, 1], 0, 1], atol=1e-5)
    rosetta = mixture_rosetta.rosetta_table(SMALL, {5: networks})
    real = rosetta[rosetta.kind == "trained"]
    for name in ("recovered", "rosetta"):
        np.testing.assert_allclose(real.pivot_table(values=name, index="set", columns="task"), [[0.5, 1, 0]] * 3)
    # Of the five most useful features (0, 1, 2, 3, 4) all three found are some; by frequency likewise.
    np.testing.assert_allclose(real.useful, 1)
    assert not rosetta[rosetta.kind != "trained"].rosetta.any()


def test_a_feature_that_one_network_lacks_is_rosetta_only_without_it():
    full, lacking = planted(4, [0, 1, 2, 3], SMALL.tasks), planted(4, [0, 1, 2], SMALL.tasks)
    networks = mixture_linear.Networks(
        torch.cat([full.encoder[:3], lacking.encoder[3:]]), torch.cat([full.decoder[:3], lacking.decoder[3:]])
    )
    table = mixture_rosetta.rosetta_table(SMALL, {4: networks})
    second = table[(table.kind == "trained") & (table.task == 2)].set_index("set")
    assert second.rosetta.tolist() == [1, 0.5, 0.5]  # the second set, and all four networks, hold the one without
    np.testing.assert_allclose(second.recovered, [1, 0.75, 0.875])
    np.testing.assert_allclose(second.neurons, [4, 3, 3])


def test_matches_are_mutual_and_do_not_depend_on_the_order_of_neurons():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(7, 5, generator=generator), torch.randn(9, 5, generator=generator)
    b[3] = 2 * a[4]
    b[5] = 0.5 * a[4] + 0.01 * a[0]
    found = mixture_rosetta.matches(a, b, 0.5)
    r = np.array([[np.dot(x, y) / np.linalg.norm(x) / np.linalg.norm(y) for y in b.numpy()] for x in a.numpy()]).clip(
        -1, 1
    )
    r = (np.sqrt(1 - r**2) + (np.pi - np.arccos(r)) * r - 1) / (np.pi - 1)
    expected = [r[:, r[i].argmax()].argmax() == i and r[i].max() >= 0.5 for i in range(7)]
    assert found.tolist() == expected
    assert found[4]
    order = torch.randperm(7, generator=generator)
    assert mixture_rosetta.matches(a[order], b, 0.5).equal(found[order])


def test_copies_are_counted_inside_a_network():
    encoder = torch.eye(5)[None].repeat(2, 1, 1)
    encoder[0, 1] = 3 * encoder[0, 0]
    assert mixture_rosetta.copies(encoder, 0.9).tolist() == [2, 0]


def test_rotations_leave_the_inside_of_a_network_as_it_is():
    encoder = torch.randn(3, 4, 8, generator=torch.Generator().manual_seed(0))
    turned = encoder @ mixture_rosetta.rotations(SMALL, encoder)
    torch.testing.assert_close(turned @ turned.mT, encoder @ encoder.mT, atol=1e-4, rtol=1e-4)
    assert (turned[0] - turned[1]).norm() > 1  # each by its own
    assert mixture_relu.correlation(encoder, turned).max() < 0.999


# -- intervals ---------------------------------------------------------------------------------------------------------


def test_crossings_are_interpolated_on_a_log_axis():
    widths = np.array([2.0, 4, 8, 16])
    share = np.array([[0, 0.25, 0.75, 1], [0.6, 1, 1, 1], [0, 0, 0, 0.4], [0.5, 0, 0.5, 1], [0, 0.5, 0.5, 1]])
    np.testing.assert_allclose(mixture_intervals.crossing(widths, share), [np.sqrt(32), 2, np.inf, 2, 4])


def test_rank_correlations_are_those_of_spearman():
    from scipy import stats

    rng = np.random.default_rng(0)
    values = rng.integers(0, 4, (20, 6, 1)).astype(float)  # with ties
    widths = [1, 2, 3, 5, 8, 13]
    found = mixture_intervals.rank_correlation(widths)(values)
    expected = [stats.spearmanr(widths, one[:, 0]).statistic for one in values]
    np.testing.assert_allclose(found, expected)
    assert mixture_intervals.rank_correlation(widths)(np.ones((6, 3))) == 0


def test_intervals_shrink_with_replicates_and_hold_the_mean():
    rng = np.random.default_rng(0)
    widths = {}
    for replicates in (5, 500):
        table = pd.DataFrame({"width": 1, "x": rng.normal(3, 1, replicates)})
        row = mixture_intervals.summarise(table, ["width"], ["x"], SMALL).iloc[0]
        assert row.x_low < row.x < row.x_high
        assert row.x == pytest.approx(table.x.mean())
        widths[replicates] = row.x_high - row.x_low
    assert widths[500] == pytest.approx(2 * 1.96 / np.sqrt(500), rel=0.2)
    assert widths[5] > 3 * widths[500]


def test_replicates_of_different_widths_are_resampled_apart():
    """Each width has two replicates, 0 and 1: were they resampled together, two widths would always agree."""
    values = np.array([[0.0, 1], [0.0, 1]])
    _, low, high = mixture_intervals.bootstrap(values, lambda of: of.mean(-1)[..., 0] - of.mean(-1)[..., 1], SMALL)
    assert low < -0.4
    assert high > 0.4


# -- the study ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixture")
    torch.set_num_threads(1)
    for job in SMALL.jobs:
        catalogue.write_job("mixture", SMALL, job, device="cpu", folder=folder / job)
    catalogue.write_tables("mixture", SMALL, folder, folder / "tables")
    return folder, catalogue.read_tables([folder / "tables"])


def test_gradient_descent_finds_the_optimum(study):
    _, tables = study
    rows = tables["optimum"].set_index("width")
    np.testing.assert_allclose(rows.optimum, [Mixture.of(SMALL.tasks).optimum(width) for width in rows.index])
    assert rows.excess.max() < 0.01
    assert rows.kept_utility.min() > 0.99
    spectra = Mixture.of(SMALL.tasks).spectra.size
    assert rows.loc[spectra].loss < 1e-6


def test_a_rare_task_survives_where_there_is_room(study):
    _, tables = study
    end = tables["retention"].query("moment == 'end'").set_index("width")
    burst = tables["retention"].query("moment == 'burst'").set_index("width")
    assert (burst.energy > 0.95).all()
    assert end.energy[2] < 0.2
    assert end.energy[8] > 0.95
    assert end.rare_loss[8] < 0.1 < end.rare_loss[2]
    assert (burst.rare_loss < 0.05).all()


def test_gaps_keep_the_frequency(study, monkeypatch):
    """Counts the examples of the rare task that every network is given in all."""
    given = []
    real = mixture_linear.batch_gradients

    def counting(networks, targets, x, asked):
        given.append((asked == SMALL.tasks.count - 1).sum(1))
        return real(networks, targets, x, asked)

    monkeypatch.setattr(mixture_linear, "batch_gradients", counting)
    asked = SMALL.injection
    table = mixture_retention.injection(SMALL)
    total = torch.stack(given).sum(0) / len(asked.widths)
    assert total.tolist() == [asked.steps / asked.every] * (len(asked.gaps) * asked.seeds)
    most = torch.stack(given).amax(0)
    assert most.tolist() == [1, 1, 4, 4]
    assert table.gap.tolist() == [1, 1, 4, 4] * 3
    pd.testing.assert_frame_equal(table, read_table(study[0] / "injection/injection.csv"), check_exact=False)


def test_relu_networks_share_the_features_that_fit(study):
    _, tables = study
    trained = tables["rosetta"].query("kind == 'trained'")
    full = trained[trained.width == SMALL.tasks.total]
    assert (full.rosetta == 1).all()
    assert (tables["counts"].query("kind != 'trained'").neurons == 0).all()
    assert (trained.rosetta <= trained.recovered + 1e-9).all()
    assert (tables["relu"].excess > -1e-3).all()  # no network beats the closed form by more than rounding


def test_steps_do_not_depend_on_other_widths(study, tmp_path):
    """A study of some of the widths gives the same rows."""
    fewer = SMALL.model_copy(
        update={
            "population": SMALL.population.model_copy(update={"widths": [3, 6, 9]}),
            "retention": SMALL.retention.model_copy(update={"widths": [4, 8, 9]}),
            "injection": SMALL.injection.model_copy(update={"widths": [3, 4, 8]}),
        }
    )
    for name, shared in (("population", [3, 6]), ("retention", [4, 8]), ("injection", [4, 8])):
        few = getattr(mixture_retention, name)(fewer)
        many = read_table(study[0] / name / f"{name}.csv")
        few, many = (table[table.width.isin(shared)].reset_index(drop=True) for table in (few, many))
        pd.testing.assert_frame_equal(few, many, check_dtype=False, rtol=1e-6, atol=1e-9)


def test_every_claim_has_a_verdict_and_a_caveat(study):
    _, tables = study
    claims = mixture_claims.judge(tables, SMALL)
    assert len({claim.words for claim in claims}) == len(claims)
    for claim in claims:
        assert set(claim.as_json()) - {"votes"} == {"claim", "source", "verdict", "statistic", "sentence", "caveat"}
        assert claim.verdict in (SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE)
        words = " ".join(map(str, claim.as_json().values()))
        assert not re.search(r"\bnan\b|\binf\b", words), words
        assert claim.caveat.endswith(".")


VERDICTS = {
    "Gradient descent": ("optimum", {"excess_low": 0.02, "excess_high": 0.03}),
    "Features are kept": ("optimum", {"told_apart": True, "kept_utility_high": 0.3, "kept_frequency_low": 0.9}),
    "Steps of single": ("exponents", {"exponent": 0.9}),
    "Wider networks retain": ("trends", {"value": 1.0, "low": 0.9, "high": 1.0}),
    "A rare task survives": ("retention", {"energy_low": 0.4, "energy_high": 0.5}),
    "The gradient of common": ("trends", {"value": 1.0, "low": 0.9, "high": 1.0}),
    "Gradients of common": ("trends", {"value": 1.0, "low": 0.9, "high": 1.0}),
    "Narrow networks": ("trends", {"value": 1.0, "low": 0.9, "high": 1.0}),
    "At one frequency": ("gaps", {"effect_low": -0.2, "effect_high": -0.1}),
    "Neurons of networks": ("relu", {"tied": False, "useful_low": 0.2, "useful_high": 0.3}),
    "A task's features": ("critical", {"ratio_low": 3.0, "ratio_high": 4.0}),
    "Rosetta neurons grow": ("exponents", {"low": 2.0, "high": 3.0}),
    "The Rosetta share": ("counts", {"neurons_low": 0.5, "neurons_high": 0.5}),  # of all neurons, whatever the width
    "Networks that share": ("counts", {"neurons": 5.0}),
}


@pytest.mark.parametrize("words", VERDICTS)
def test_claims_are_not_supported_when_numbers_contradict_them(study, words):
    tables = dict(study[1])
    name, changes = VERDICTS[words]
    if words == "The Rosetta share":
        changes = {column: share * tables[name].width for column, share in changes.items()}
    tables[name] = tables[name].assign(**changes)
    (found,) = [claim for claim in mixture_claims.judge(tables, SMALL) if claim.words.startswith(words)]
    assert found.verdict == NOT_SUPPORTED


SUPPORTING = {
    "Features are kept": ("optimum", {"told_apart": True, "kept_utility_low": 0.99, "kept_frequency_high": 0.9}),
    "Wider networks retain": ("trends", {"value": -1.0, "low": -1.0, "high": -0.95}),
    "Gradients of common": ("trends", {"value": -1.0, "low": -1.0, "high": -0.95}),
    "At one frequency": ("gaps", {"effect_low": 0.1, "effect_high": 0.2}),
    "Neurons of networks": ("relu", {"tied": False, "useful_low": 0.95, "useful_high": 1.0}),
    "A task's features": ("critical", {"ratio_low": 0.95, "ratio_high": 1.1}),
}


@pytest.mark.parametrize("words", SUPPORTING)
def test_claims_are_supported_when_numbers_say_so(study, words):
    tables = dict(study[1])
    name, changes = SUPPORTING[words]
    tables[name] = tables[name].assign(**changes)
    (found,) = [claim for claim in mixture_claims.judge(tables, SMALL) if claim.words.startswith(words)]
    assert found.verdict == SUPPORTED


def test_a_spread_that_falls_no_faster_than_chance_decides_nothing(study):
    tables = dict(study[1])
    trends = tables["trends"].copy()
    trends.loc[trends.quantity == "spread", ["low", "high"]] = (-1.0, -0.95)
    trends.loc[trends.quantity == "beyond_chance", ["low", "high"]] = (-0.2, 0.2)
    (found,) = [
        claim
        for claim in mixture_claims.judge(tables | {"trends": trends}, SMALL)
        if claim.words.startswith("Gradients of common")
    ]
    assert found.verdict == INCONCLUSIVE


def test_figures_are_drawn(study, tmp_path):
    folder, _ = study
    catalogue.write_figures("mixture", SMALL, [folder / "tables"], tmp_path)
    for name in (figure.name for figure in mixture_figures.FIGURES):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (tmp_path / f"{name}.svg").read_text()[:1000]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"tasks": {"inputs": 4}}, "inputs"),
        ({"relu": {"widths": [2, 4, 8, 16]}}, "relu.widths"),
        ({"retention": {"widths": [4, 2, 8]}}, "retention.widths"),
        ({"retention": {"widths": [4, 8, 16]}}, "retention.widths"),
        ({"injection": {"gaps": [1, 64]}}, "gaps"),
        ({"injection": {"steps": 100}}, "injection.steps"),
        ({"population": {"rate": 1}}, "rate"),
    ],
)
def test_settings_that_cannot_work_are_refused(change, word):
    with pytest.raises(ValidationError, match=word):
        MixtureSettings.model_validate(change)


def test_every_setting_says_why():
    def undescribed(model) -> list[str]:
        own = [name for name, field in model.model_fields.items() if not field.description]
        return [name for name in own if not hasattr(model.model_fields[name].annotation, "model_fields")]

    sections = [MixtureSettings, Tasks, Law, Population, Retention, Injection, Relu]
    assert not [name for section in sections for name in undescribed(section)]


def test_settings_tables_claims_and_figures_do_without_torch():
    modules = (
        "config.companions.mixture",
        *(f"companions.mixture.{name}" for name in ("results", "claims", "figures")),
    )
    code = "; ".join(f"import rosetta_scaling.{name}" for name in modules)
    subprocess.run([sys.executable, "-c", f"{code}; import sys; assert 'torch' not in sys.modules"], check=True)
