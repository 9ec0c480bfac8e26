"""The lottery study against closed forms, autograd, planted answers, and once from training to figures."""

import itertools
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st
from small_companions import LOTTERY as SMALL

from rosetta_scaling.claims.verdicts import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED
from rosetta_scaling.companions import catalogue
from rosetta_scaling.companions.lottery import links as lottery_links
from rosetta_scaling.companions.lottery import networks as lottery
from rosetta_scaling.companions.lottery import quadratic as lottery_quadratic
from rosetta_scaling.companions.lottery import results as lottery_results
from rosetta_scaling.companions.lottery import study as lottery_study
from rosetta_scaling.companions.lottery.activations import activation_rows, neuron_values
from rosetta_scaling.companions.lottery.claims import judge
from rosetta_scaling.companions.lottery.ensembles import bias_and_variance, ensemble_table
from rosetta_scaling.companions.lottery.links import alike, asymmetry, coordinates, distances, find_modes, over_pairs
from rosetta_scaling.companions.lottery.networks import Networks, initial_values, learning_rates, train, train_square
from rosetta_scaling.companions.lottery.results import Run, best_piecewise_linear, midpoints
from rosetta_scaling.config.companions.lottery import ACTIVATIONS, LotterySettings
from rosetta_scaling.store.tables import read_table
from rosetta_scaling.store.tensors import read_tensors

pytestmark = pytest.mark.slow(1)

CPU = torch.device("cpu")


@pytest.fixture
def protocol() -> LotterySettings:
    return LotterySettings.model_validate(SMALL)


# ---- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"widths": [2, 4, 6]}, "each double the one before"),
        ({"widths": [4, 8, 16]}, "a single pair"),
        ({"widths": [3, 6, 12]}, "multiple of 2"),
        ({"steps": [60, 30]}, "the shorter one first"),
        ({"window": (2, 4)}, "a fit needs three"),
        ({"small_window": (100, 200)}, "a fit needs three"),
        ({"final_learning_rate": 0.1}, "final_learning_rate"),
        ({"epochs": 3}, "Extra inputs"),
    ],
)
def test_a_protocol_that_cannot_be_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        LotterySettings.model_validate(SMALL | change)


def test_every_key_says_why():
    for section in (LotterySettings, LotterySettings.model_fields["quadratic"].annotation):
        assert all(field.description for field in section.model_fields.values())


def test_numbers_of_seeds():
    protocol = LotterySettings(neurons_per_width=64, least_seeds=4, most_seeds=20)
    assert [protocol.seeds(width) for width in (2, 4, 8, 16, 32)] == [20, 16, 8, 4, 4]


def test_tables_claims_and_figures_need_no_torch():
    names = ("results", "ensembles", "links", "activations", "claims", "link_claims", "study")
    modules = ", ".join(f"rosetta_scaling.companions.lottery.{name}" for name in names)
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---- training --------------------------------------------------------------------------------------------------------


def plain_output(values: torch.Tensor, width: int, x: torch.Tensor, activation: str) -> torch.Tensor:
    """Output of one network, written as torch's own layers would."""
    inputs = x.shape[1]
    weight, bias = values[: width * (inputs + 1)].view(width, -1).split([inputs, 1], 1)
    hidden = getattr(torch.nn.functional, activation)(torch.nn.functional.linear(x, weight, bias[:, 0]))
    return hidden @ values[-width - 1 : -1] + values[-1]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("inputs", [1, 3])
def test_the_gradient_is_that_of_autograd(activation, inputs):
    generator = torch.Generator().manual_seed(inputs)
    values = torch.randn(4, 6 * (inputs + 2) + 1, generator=generator, dtype=torch.float64)
    x = torch.randn(11, inputs, generator=generator, dtype=torch.float64)
    y = (x**2).sum(1)
    ones = torch.cat([x, torch.ones(11, 1, dtype=torch.float64)], 1)
    gradient = Networks(torch.full_like(values, torch.nan), 6, activation)
    networks = Networks(values, 6, activation)
    networks.gradient(ones, y, gradient)
    for seed, row in enumerate(values.clone()):
        row.requires_grad_()
        output = plain_output(row, 6, x, activation)
        torch.testing.assert_close(networks(ones)[seed], output.detach())
        ((output - y) ** 2).mean().backward()
        torch.testing.assert_close(gradient.values[seed], row.grad)


def test_steps_are_those_of_the_paper_of_adam(protocol):
    """Algorithm 1 of Kingma and Ba 2015, written out for all parameters of all seeds."""
    x = torch.linspace(-2, 2, 16, dtype=torch.float64)[:, None]
    x, y = torch.cat([x, torch.ones_like(x)], 1), x[:, 0] ** 2
    values = initial_values(protocol, 4, 1, 3).double()
    networks, gradient = Networks(values.clone(), 4, "silu"), Networks(torch.zeros_like(values), 4, "silu")
    train(networks, itertools.repeat((x, y)), np.array([0.01, 0.02, 0.005]))
    mean, square = torch.zeros_like(values), torch.zeros_like(values)
    for step, rate in enumerate((0.01, 0.02, 0.005), 1):
        Networks(values, 4, "silu").gradient(x, y, gradient)
        mean = 0.9 * mean + 0.1 * gradient.values
        square = 0.999 * square + 0.001 * gradient.values**2
        values = values - rate * (mean / (1 - 0.9**step)) / ((square / (1 - 0.999**step)).sqrt() + 1e-8)
    torch.testing.assert_close(networks.values, values, rtol=1e-12, atol=1e-14)


def test_training_is_that_of_each_network_alone(protocol):
    x, y = torch.linspace(-2, 2, 16)[:, None], torch.linspace(-2, 2, 16) ** 2
    start, rates = initial_values(protocol, 4, 1, 2), learning_rates(protocol, 40)
    networks = Networks(start.clone().double(), 4, "silu")
    ones = torch.cat([x, torch.ones(16, 1)], 1).double()
    watched = train(networks, itertools.repeat((ones, y.double())), rates, [1, 40])
    row = start[1].double().requires_grad_()
    adam, losses = torch.optim.Adam([row]), []
    for rate in rates:
        adam.param_groups[0]["lr"] = rate
        adam.zero_grad()
        loss = ((plain_output(row, 4, x.double(), "silu") - y) ** 2).mean()
        loss.backward()
        losses.append(loss.item())
        adam.step()
    torch.testing.assert_close(networks.values[1], row.detach())
    assert [one[1].item() for one in watched] == pytest.approx([losses[0], losses[39]])


def test_the_learning_rate_is_constant_then_falls_to_its_end():
    protocol = LotterySettings(learning_rate=0.1, final_learning_rate=0.001, constant=0.5)
    rates = learning_rates(protocol, 100)
    assert (rates[:50] == 0.1).all()
    assert rates[74] == pytest.approx(0.01)  # half way down, on a logarithm
    assert rates[-1] == pytest.approx(0.001)
    assert (np.diff(rates[49:]) < 0).all()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_seeds_do_not_depend_on_what_is_trained_with_them(protocol, activation):
    whole = train_square(protocol, activation, 30, 8, device=CPU)
    pieces = train_square(protocol.model_copy(update={"elements": 1024 // 4}), activation, 30, 8, device=CPU)
    fewer = train_square(
        protocol.model_copy(update={"least_seeds": 4, "neurons_per_width": 32}), activation, 30, 8, device=CPU
    )
    for name, value in whole.items():
        torch.testing.assert_close(pieces[name], value)
        torch.testing.assert_close(fewer[name], value[:4])


def test_initial_values_are_those_of_torchs_layers(protocol):
    many = Networks(initial_values(protocol, 16, 4, 400), 16, "relu")
    for part, inputs in ((many.hidden, 4), (many.out, 16), (many.offset, 16)):
        assert part.abs().max() <= inputs**-0.5
        assert part.abs().max() > 0.95 * inputs**-0.5
        assert part.std().item() == pytest.approx((3 * inputs) ** -0.5, rel=0.05)
    assert len(many.values.unique(dim=0)) == 400


def test_training_lowers_the_loss_and_keeps_what_is_read_of_it(protocol):
    found = train_square(protocol, "silu", 60, 8, device=CPU)
    curve = found["curve"]
    assert curve.shape == (8, len(lottery_results.watched_steps(60)))
    assert (found["train"] < curve[:, 0]).all()
    grid = lottery.with_constant(midpoints(64)[:, None])
    values = torch.cat([found["hidden"].flatten(1), found["out"], found["offset"]], 1)
    torch.testing.assert_close(found["outputs"], Networks(values, 8, "silu")(grid))


# ---- closed forms ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("w", [0.02, 0.1])
def test_a_pair_of_silu_neurons_is_the_square(w):
    """silu(z) + silu(-z) = z tanh(z / 2) = z^2 / 2 - z^4 / 24 + ..., so a ticket errs by w^2 x^4 / 12."""
    values = torch.tensor([[w, 0, -w, 0, 2 / w**2, 2 / w**2, 0]], dtype=torch.float64)
    x = midpoints(2000)
    output = Networks(values, 2, "silu")(torch.tensor(np.column_stack([x, np.ones(2000)])))[0].numpy()
    np.testing.assert_allclose(output, 2 / w**2 * (w * x) * np.tanh(w * x / 2), rtol=1e-9)
    assert ((output - x**2) ** 2).mean() == pytest.approx(w**4 / 144 * 2**8 / 9, rel=5 * w**2 + 1e-3)
    assert asymmetry(coordinates(values[:, :4].view(1, 2, 2).numpy(), values[:, 4:6].numpy(), "silu")[0]) == 0


def best_relu(neurons: int) -> torch.Tensor:
    """The network whose kinks part [-2, 2] into equal pieces, half of its neurons looking to either side."""
    piece = 4 / (neurons + 1)
    kinks = piece * (np.arange(neurons // 2) + 0.5)
    hidden = [(side, -kink) for side in (1, -1) for kink in kinks]
    return torch.tensor([[*np.ravel(hidden), *[2 * piece] * neurons, piece**2 / 12]], dtype=torch.float64)


@pytest.mark.parametrize("neurons", [2, 4, 10])
def test_the_best_relu_network_has_the_error_of_theory_and_cannot_be_improved(neurons):
    x = midpoints(10_000 * (neurons + 1))  # kinks lie between them
    ones, y = torch.tensor(np.column_stack([x, np.ones(len(x))])), torch.tensor(x**2)
    network = Networks(best_relu(neurons), neurons, "relu")
    loss = ((network(ones) - y) ** 2).mean().item()
    assert loss == pytest.approx(best_piecewise_linear(neurons), rel=1e-6)
    gradient = Networks(torch.zeros_like(network.values), neurons, "relu")
    network.gradient(ones, y, gradient)
    assert gradient.values.abs().max() < 1e-7
    generator = torch.Generator().manual_seed(neurons)
    for _ in range(20):
        moved = network.values + 0.01 * torch.randn(network.values.shape, generator=generator, dtype=torch.float64)
        assert ((Networks(moved, neurons, "relu")(ones) - y) ** 2).mean() > loss


def test_a_network_without_neurons_has_the_variance():
    assert best_piecewise_linear(0) == pytest.approx(np.var(midpoints(100_000) ** 2))


@given(st.integers(0, 1000), st.integers(3, 7), st.integers(1, 7))
@trials(max_examples=40)
def test_ensembles_lose_their_variance_and_keep_their_bias(seed, networks, k):
    """The mean over all sets of k different networks is bias^2 + variance / k, exactly."""
    k = min(k, networks)
    errors = np.random.default_rng(seed).normal(size=(networks, 5)) + np.arange(5)
    (bias2,), (variance,) = bias_and_variance(errors, np.ones((1, networks)))
    sets = [(errors[list(members)].mean(0) ** 2).mean() for members in itertools.combinations(range(networks), k)]
    assert bias2 + variance / k == pytest.approx(np.mean(sets))
    assert variance == pytest.approx(errors.var(0, ddof=1).mean())


def test_counts_of_a_resample_stand_for_its_rows():
    errors = np.random.default_rng(1).normal(size=(4, 6))
    one = bias_and_variance(errors, np.array([[2.0, 0, 1, 1]]))
    other = bias_and_variance(errors[[0, 0, 2, 3]], np.ones((1, 4)))
    np.testing.assert_allclose(one, other)


# ---- tables of losses ------------------------------------------------------------------------------------------------


def planted(protocol: LotterySettings, law, activation: str = "silu", steps: int = 30, scatter: float = 0.2) -> Run:
    """A run whose losses are law(width), scattered; every network errs alike, up to sign, at all inputs."""
    networks = {}
    for width in protocol.widths:
        seeds, rng = protocol.seeds(width), np.random.default_rng(width)
        loss = law(width) * np.exp(scatter * rng.standard_normal(seeds))
        outputs = midpoints(protocol.evaluation_points) ** 2 + np.sqrt(loss)[:, None]
        networks[width] = {"outputs": outputs, "train": loss / 2}
    return Run(activation, steps, networks)


@pytest.fixture
def precise() -> LotterySettings:
    widths = [2**power for power in range(1, 8)]
    return LotterySettings(widths=widths, neurons_per_width=25_600, least_seeds=200, evaluation_points=64)


@pytest.mark.parametrize("alpha", [-1.0, -2.5])
def test_exponents_and_slopes_are_recovered(precise, alpha):
    run = planted(precise, lambda width: 3 * width**alpha)
    slopes = lottery_results.slope_table(precise, [run])
    assert list(slopes.width) == precise.widths[:-1]
    assert ((slopes.low < alpha) & (alpha < slopes.high)).mean() > 0.7
    np.testing.assert_allclose(slopes.slope, alpha, atol=0.15)
    fit = lottery_results.fit_table(precise, [run]).iloc[0]
    assert fit["low"] < alpha < fit["high"]
    assert fit["alpha"] == pytest.approx(alpha, abs=0.05)
    assert (fit["first"], fit["last"], fit["points"]) == (8, 64, 4)
    losses = lottery_results.loss_table(precise, [run]).set_index("width")
    np.testing.assert_allclose(losses["median"], [3 * width**alpha for width in precise.widths], rtol=0.1)
    np.testing.assert_allclose(losses.train_median, losses["median"] / 2)
    assert ((losses.low <= losses["median"]) & (losses["median"] <= losses.high) & (losses.best < losses.low)).all()


def test_a_curve_that_bends_has_a_wide_interval(precise):
    """Its seeds agree on the slope of the line that fits it, but it is none."""
    straight = lottery_results.fit_table(precise, [planted(precise, lambda w: w**-1.0, scatter=0.01)]).iloc[0]
    bent = lottery_results.fit_table(precise, [planted(precise, lambda w: w**-1.0 + 0.05, scatter=0.01)]).iloc[0]
    assert bent.seeds_high - bent.seeds_low < 0.05
    assert bent.high - bent.low > 10 * (straight.high - straight.low)


def test_differences_of_runs_are_paired(precise):
    silu, relu = ("silu", -1.0), ("relu", -2.0)
    runs = [
        planted(precise, lambda w, p=power, s=steps: w**p / s, activation, steps)
        for activation, power in (silu, relu)
        for steps in precise.steps
    ]
    table = lottery_results.difference_table(precise, runs).set_index(["of", "within", "quantity"]).sort_index()
    steeper = table.loc[("relu less silu", f"{precise.steps[0]} steps", "alpha")]
    assert steeper["value"] == pytest.approx(-1)
    assert steeper.high - steeper.low < 1e-9  # the same scatter on either side: pairs leave none of it
    longer = table.loc[("longer less shorter", "relu")]["value"]
    assert longer["alpha"] == pytest.approx(0, abs=1e-9)
    assert longer["decades"] == pytest.approx(np.log10(precise.steps[0] / precise.steps[1]))


def test_ensembles_are_held_against_wider_networks(precise):
    """Networks that err alike gain nothing from being averaged."""
    table = ensemble_table(precise, [planted(precise, lambda width: 1 / width, scatter=0)])
    row = table[(table.group == "all") & (table.width == 8) & (table.k == 4)].iloc[0]
    assert row.loss == pytest.approx(1 / 8)
    assert row.expected == pytest.approx(1 / 8)
    assert row.bias2 == pytest.approx(1 / 8)
    assert row.variance == pytest.approx(0, abs=1e-12)
    assert row.trained == pytest.approx(1 / 32)
    assert row.ratio == pytest.approx(4)
    assert table[table.width * table.k > 128].trained.isna().all()


def test_the_better_half_is_the_better_half(protocol):
    table = ensemble_table(protocol, [planted(protocol, lambda width: 1 / width, scatter=1)])
    first = table[table.k == 1].pivot_table(index="width", columns="group", values="expected")
    assert (first["good half"] < first["all"]).all()
    networks = table[table.k == 1].pivot_table(index="width", columns="group", values="networks")
    assert (networks["good half"] * 2 == networks["all"]).all()


# ---- pairs and shared neurons ----------------------------------------------------------------------------------------


def test_modes_are_found_whatever_their_order_and_place():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(centre, 0.05, 60) for centre in (-3, -2, 0)])
    modes = find_modes(values, 0.1)
    np.testing.assert_array_equal(modes, np.repeat([0, 1, 2], 60))
    order = rng.permutation(len(values))
    np.testing.assert_array_equal(find_modes(values[order] + 7, 0.1), modes[order])


@given(st.floats(0.1, 10))
@trials(max_examples=20)
def test_relu_neurons_are_compared_whatever_their_scale(scale):
    rng = np.random.default_rng(2)
    hidden, out = rng.normal(size=(3, 4, 2)), rng.normal(size=(3, 4))
    one = coordinates(hidden, out, "relu")
    hidden[1, 2], out[1, 2] = hidden[1, 2] * scale, out[1, 2] / scale
    np.testing.assert_allclose(coordinates(hidden, out, "relu"), one)
    values = coordinates(hidden, out, "silu")
    np.testing.assert_allclose(np.median(np.abs(values), axis=(0, 1)), 1)


def test_a_neuron_is_no_partner_of_itself():
    values = np.array([[0.0, 1, 1], [0.05, 1, 1], [3, 1, 1]])  # the first is nearly its own mirror image
    mirrored = values * lottery_links.MIRROR
    assert distances(mirrored, values)[0].tolist()[0] == 0
    assert distances(mirrored, values, itself=True)[0].tolist()[0] == 1
    assert alike(mirrored, values, 0.1, itself=True).tolist() == [True, True, False]


def wide_run(protocol: LotterySettings, make) -> Run:
    """A run whose networks have the parameters make(rng, seeds, width) gives: (seeds, width, 3) of w, b, v."""
    networks = {}
    for width in protocol.widths:
        rng = np.random.default_rng(width)
        values, before = make(rng, protocol.seeds(width), width), rng.normal(size=(protocol.seeds(width), width, 3))
        networks[width] = {"hidden": values[..., :2], "out": values[..., 2]}
        networks[width] |= {"initial_hidden": before[..., :2], "initial_out": before[..., 2]}
    return Run("silu", 30, networks)


def symmetric(rng: np.random.Generator, seeds: int, width: int) -> np.ndarray:
    half = rng.normal(size=(seeds, width // 2, 3))
    return np.concatenate([half, half * lottery_links.MIRROR], 1)


def unrelated(rng: np.random.Generator, seeds: int, width: int) -> np.ndarray:
    return rng.normal(size=(seeds, width, 3))


def shared(rng: np.random.Generator, seeds: int, width: int) -> np.ndarray:
    """The same neurons in every network, in an order of its own, and half of the networks mirrored."""
    one = rng.normal(size=(width, 3))
    sides = [lottery_links.MIRROR if seed % 2 else np.ones(3) for seed in range(seeds)]
    return np.stack([one[rng.permutation(width)] * side for side in sides])


def test_symmetric_pairs_are_counted_and_their_absence_too(protocol):
    paired = lottery_links.pair_table(protocol, [wide_run(protocol, symmetric)]).set_index("width")
    assert (paired.share == 1).all()
    assert (paired.distance < 1e-9).all()
    assert (paired.excess_low > 0).all()
    assert paired.null_sign[8] == pytest.approx(0.5, abs=0.25)  # it leaves half of the pairs, as it says
    assert paired[["null_other", "null_untrained"]].max(axis=None) < 0.3
    single = lottery_links.pair_table(protocol, [wide_run(protocol, unrelated)])
    assert (single.excess_low <= 0).all()
    # Mirror images in another network are no pairs.
    across = lottery_links.pair_table(protocol, [wide_run(protocol, shared)]).set_index("width")
    assert across.null_other[8] > 0.4
    assert across.share[8] < 0.2


def test_shared_neurons_are_found_in_any_order_and_in_mirrored_networks(protocol):
    same = lottery_links.match_table(protocol, [wide_run(protocol, shared)])
    assert (same.share == 1).all()
    assert same.null_untrained.max() < 0.3
    apart = lottery_links.match_table(protocol, [wide_run(protocol, unrelated)])
    assert (apart.excess_low <= 0).all()
    # Neurons that are symmetric inside a network have no copy there, only a mirror image.
    assert lottery_links.match_table(protocol, [wide_run(protocol, symmetric)]).copies.max() < 0.3


def test_dealing_parameters_anew_keeps_their_distribution_only(protocol):
    """Neurons that differ in one parameter only are as alike when all are dealt anew: there is no excess."""

    def level(rng: np.random.Generator, seeds: int, width: int) -> np.ndarray:
        return np.stack(
            [np.full((seeds, width), 5.0), rng.uniform(1, 1.5, (seeds, width)), np.ones((seeds, width))], -1
        )

    table = lottery_links.match_table(protocol, [wide_run(protocol, level)]).set_index("width")
    assert table.share[8] > 0.4
    assert table.null_shuffled[8] > 0.4
    assert table.excess_low[8] <= 0


@given(st.integers(2, 6), st.integers(0, 100))
@trials(max_examples=30)
def test_means_over_pairs_count_every_pair_of_different_seeds(seeds, draw):
    rng = np.random.default_rng(draw)
    values = rng.random((seeds, seeds))
    values += values.T
    drawn = np.append(rng.integers(seeds, size=seeds), [0, 1])
    pairs = [values[a, b] for a, b in itertools.product(drawn, drawn) if a != b]
    counts = np.bincount(drawn, minlength=seeds)[None].astype(float)
    assert over_pairs(values, counts)[0] == pytest.approx(np.mean(pairs))


def test_tickets_are_told_from_other_minima(protocol):
    """Half of the seeds are one symmetric pair with a small loss, half have equal signs and a large one."""
    seeds = protocol.seeds(2)
    ticket, other = [[1.7, -1.5, 1.8], [-1.7, -1.5, 1.8]], [[1.0, 0.5, 1.0], [2.0, -0.5, 0.3]]
    good = np.arange(seeds) % 2 == 0
    values = np.where(good[:, None, None], ticket, other)
    outputs = midpoints(64) ** 2 + np.where(good, 0.01, 1)[:, None]
    found = {"hidden": values[..., :2], "out": values[..., 2], "offset": np.zeros((seeds, 1)), "outputs": outputs}
    before = np.random.default_rng(0).normal(size=(seeds, 2, 3))
    run = Run("silu", 30, {2: found | {"initial_hidden": before[..., :2], "initial_out": before[..., 2]}})
    tickets = lottery_links.ticket_table(protocol, [run])
    assert (tickets["mode"] == np.where(good, 0, 1)).all()
    assert (tickets.share == 0.5).all()
    assert (tickets[["w1", "b1", "v1"]].to_numpy() == values[:, 0]).all()
    best, worst = lottery_links.mode_table(protocol, [run], tickets).itertuples()
    assert (best.asymmetry, best.same_sign, best.matched_same, best.matched_other) == (0, 0, 1, 0)
    assert (worst.same_sign, worst.matched_same, worst.seeds) == (1, 1, seeds / 2)
    assert worst.asymmetry > 0.5
    assert best.null_untrained > 0.5


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_neurons_are_read_as_the_networks_compute_them(activation):
    rng = np.random.default_rng(5)
    x, hidden = rng.normal(size=(50, 3)), rng.normal(size=(6, 4))
    networks = Networks(torch.tensor(np.concatenate([hidden.ravel(), np.zeros(7)]))[None], 6, activation)
    expected = networks.neurons(torch.tensor(np.column_stack([x, np.ones(50)])))[0][0]
    np.testing.assert_allclose(neuron_values(hidden, x, activation), expected, atol=1e-12)


def test_neurons_that_never_vary_are_left_out_and_counted(protocol):
    rng = np.random.default_rng(6)
    x, hidden = rng.uniform(-1, 1, (100, 2)), rng.normal(size=(4, 6, 3))
    hidden[:, :3] = [0.1, 0.1, -5]  # never reaches zero from below
    assert neuron_values(hidden[0], x, "relu").shape == (3, 100)
    found = activation_rows(protocol, hidden, hidden, x, activation="relu")
    assert found["constant_trained"] >= 0.5


def test_activations_match_networks_that_share_directions(protocol):
    rng = np.random.default_rng(7)
    x, before = rng.normal(size=(500, 8)), rng.normal(size=(4, 6, 9))
    one = rng.normal(size=(6, 9))
    found = activation_rows(
        protocol, np.stack([one[rng.permutation(6)] for _ in range(4)]), before, x, activation="silu"
    )
    assert (found["share"], found["width"], found["seeds"]) == (1, 6, 4)
    assert found["r_trained"] == pytest.approx(1)
    assert found["null_untrained"] < 0.1
    assert found["excess_low"] > 0.9
    assert activation_rows(protocol, before, before, x, activation="silu")["excess"] == 0


# ---- the quadratic form ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("target", "ratio"), [("distinct", 8), ("isotropic", 1)])
def test_the_quadratic_form_has_variance_one_and_its_eigenvalues(target, ratio):
    form = values, vectors = lottery_quadratic.quadratic_form(LotterySettings(), target)
    assert values[0] / values[-1] == pytest.approx(ratio)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(8), atol=1e-12)
    x, y = lottery_quadratic.sampled(form, np.random.default_rng(0), 200_000)
    assert y.mean() == pytest.approx(0, abs=0.02)
    assert y.var() == pytest.approx(1, rel=0.03)
    np.testing.assert_allclose(y, np.einsum("ni,ij,nj->n", x, vectors * values @ vectors.T, x) - values.sum())


def test_every_step_has_new_inputs_and_every_run_the_same(protocol):
    first, second = (lottery_quadratic.batches(protocol, "distinct", 8, CPU) for _ in range(2))
    one, two = next(first), next(first)
    assert not torch.equal(one[0], two[0])
    assert torch.equal(next(second)[0], one[0])
    assert torch.equal(next(lottery_quadratic.batches(protocol, "isotropic", 8, CPU))[0], one[0])


# ---- from training to figures ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Settings and folder of a small study that was run to its end."""
    protocol, folder = LotterySettings.model_validate(SMALL), tmp_path_factory.mktemp("lottery")
    for job in protocol.jobs:
        catalogue.write_job("lottery", protocol, job, device=CPU, folder=folder / job)
    catalogue.write_tables("lottery", protocol, folder, folder / "tables")
    catalogue.write_figures("lottery", protocol, [folder / "tables"], folder / "figures")
    return protocol, folder


def test_every_table_and_figure_is_there(study):
    protocol, folder = study
    for name in lottery_study.make_tables(protocol, folder):
        assert len(read_table(folder / "tables" / f"{name}.csv"))
    for name in lottery_study.draw(protocol, catalogue.read_tables([folder / "tables"])):
        for suffix in ("svg", "png", "csv"):
            assert (folder / "figures" / f"{name}.{suffix}").stat().st_size > 100
    losses = read_table(folder / "tables" / "losses.csv")
    assert len(losses) == 2 * 2 * len(protocol.widths)
    assert losses.isna().sum().sum() == losses.optimum.isna().sum() == len(losses) / 2  # SiLU has no optimum


def test_the_same_study_gives_the_same_bytes(study, tmp_path):
    protocol, folder = study
    path = lottery_results.run_path(tmp_path, "silu", 30)
    lottery.square_job(protocol, "silu", 30, device=CPU, path=path)
    before = read_tensors(lottery_results.run_path(folder, "silu", 30))
    assert all(torch.equal(value, before[name]) for name, value in read_tensors(path).items())
    catalogue.write_tables("lottery", protocol, folder, tmp_path)
    for name in catalogue.read_tables([tmp_path]):
        file = f"{name}.csv"
        assert (tmp_path / file).read_bytes() == (folder / "tables" / file).read_bytes()


def test_losses_of_the_table_are_those_of_the_networks(study):
    protocol, folder = study
    run = lottery_results.read_run(protocol, folder, "relu", 60)
    found = read_tensors(lottery_results.run_path(folder, "relu", 60))
    x = midpoints(protocol.evaluation_points)
    hidden, out, offset = (found[f"8.{name}"].double().numpy() for name in ("hidden", "out", "offset"))
    z = np.maximum(hidden[..., :1] * x + hidden[..., 1:], 0)
    losses = (((out[..., None] * z).sum(1) + offset - x**2) ** 2).mean(1)
    np.testing.assert_allclose(run.losses(8), losses, rtol=1e-4)


WORDS = {
    "near": "about as 1 / width from",
    "start": "from the smallest width on",
    "approximation": "approximation theory",
    "steeper": "more steeply",
    "bends": "bends to 1 / width",
    "lengths": "length of training",
    "ticket": "the best mode is the symmetric pair",
    "variance": "mostly variance",
    "wide": "k times as wide",
    "pairs": "consist of symmetric pairs",
    "shared": "by their parameters",
    "flat": "does not tell trained",
    "directions": "distinct eigenvalues, trained networks share",
    "distinct": "tells directions apart",
}


def verdict(tables: dict[str, pd.DataFrame], protocol: LotterySettings, name: str) -> str:
    (found,) = [one for one in judge(tables, protocol) if WORDS[name] in one.words]
    return found.verdict


def changed(tables: dict[str, pd.DataFrame], name: str, **columns) -> dict[str, pd.DataFrame]:
    return tables | {name: tables[name].assign(**columns)}


def test_every_claim_has_words_numbers_and_a_caveat(study):
    protocol, folder = study
    claims = judge(catalogue.read_tables([folder / "tables"]), protocol)
    assert len(claims) == len(WORDS)
    for one in claims:
        assert one.verdict in (SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE)
        assert all((one.words, one.source, one.statistic, one.sentence, one.caveat))
        assert "nan" not in one.statistic + one.sentence + one.caveat


@pytest.mark.parametrize(
    ("name", "table", "columns", "expected"),
    [
        ("near", "fits", {"low": -1.1, "high": -0.9}, SUPPORTED),
        ("near", "fits", {"low": -1.1, "high": -0.7}, INCONCLUSIVE),
        ("near", "fits", {"low": -0.6, "high": -0.5}, NOT_SUPPORTED),
        ("start", "slopes", {"low": -1.1, "high": -0.9}, SUPPORTED),
        ("start", "slopes", {"low": -4.1, "high": -3.9}, NOT_SUPPORTED),
        ("approximation", "slopes", {"low": -3.1, "high": -3.0, "optimum_slope": -3.3}, SUPPORTED),
        ("approximation", "slopes", {"low": -1.1, "high": -1.0, "optimum_slope": -3.3}, NOT_SUPPORTED),
        ("steeper", "differences", {"low": -2.0, "high": -1.0}, SUPPORTED),
        ("steeper", "differences", {"low": 1.0, "high": 2.0}, NOT_SUPPORTED),
        ("bends", "slopes", {"low": -1.1, "high": -0.9}, SUPPORTED),
        ("bends", "slopes", {"low": -2.1, "high": -1.9}, NOT_SUPPORTED),
        ("lengths", "differences", {"low": -0.1, "high": 0.1}, SUPPORTED),
        ("lengths", "differences", {"low": 0.3, "high": 0.5}, NOT_SUPPORTED),
        ("variance", "ensembles", {"variance_share_low": 0.6, "variance_share_high": 0.8}, SUPPORTED),
        ("variance", "ensembles", {"variance_share_low": 0.1, "variance_share_high": 0.2}, NOT_SUPPORTED),
        ("wide", "ensembles", {"ratio": 1.0, "ratio_low": 0.8, "ratio_high": 1.2}, SUPPORTED),
        ("wide", "ensembles", {"ratio": 9.0, "ratio_low": 8.0, "ratio_high": 12.0}, NOT_SUPPORTED),
        ("pairs", "pairs", {"excess_low": 0.1, "excess_high": 0.2}, SUPPORTED),
        ("pairs", "pairs", {"excess_low": -0.1, "excess_high": 0.2}, INCONCLUSIVE),
        ("pairs", "pairs", {"excess_low": -0.2, "excess_high": -0.1}, NOT_SUPPORTED),
        ("shared", "matches", {"excess_low": 0.1, "excess_high": 0.2}, SUPPORTED),
        ("shared", "matches", {"excess_low": -0.2, "excess_high": 0.0}, NOT_SUPPORTED),
        ("flat", "activations", {"excess_low": -0.05, "excess_high": 0.05}, SUPPORTED),
        ("flat", "activations", {"excess_low": -0.4, "excess_high": -0.2}, NOT_SUPPORTED),
        ("flat", "activations", {"excess_low": 0.2, "excess_high": 0.4}, NOT_SUPPORTED),
        ("directions", "activations", {"excess_low": 0.2, "excess_high": 0.4}, SUPPORTED),
        ("directions", "activations", {"excess_low": -0.2, "excess_high": -0.1}, NOT_SUPPORTED),
    ],
)
def test_verdicts_follow_the_rules(study, name, table, columns, expected):
    protocol, folder = study
    tables = changed(catalogue.read_tables([folder / "tables"]), table, **columns)
    assert verdict(tables, protocol, name) == expected


@pytest.mark.parametrize(
    ("best", "rest", "modes", "expected"),
    [
        (0.05, 1.5, 3, SUPPORTED),
        (0.2, 1.5, 3, NOT_SUPPORTED),
        (0.05, 0.5, 3, NOT_SUPPORTED),
        (0.05, 1.5, 2, NOT_SUPPORTED),
    ],
)
def test_the_ticket_is_the_best_of_several_modes(study, best, rest, modes, expected):
    protocol, folder = study
    tables = catalogue.read_tables([folder / "tables"])
    rows = [{"activation": "silu", "steps": steps, "mode": mode} for steps in protocol.steps for mode in range(modes)]
    of_modes = pd.DataFrame(rows).assign(share=1 / modes, loss=0.1, null_untrained=1.4, same_sign=0.0)
    of_modes["asymmetry"] = np.where(of_modes["mode"] == 0, best, rest)
    tables |= {"modes": of_modes, "tickets": of_modes}
    assert verdict(tables, protocol, "ticket") == expected
    assert verdict(tables | {"modes": of_modes.head(0)}, protocol, "ticket") == NOT_SUPPORTED


def test_directions_count_when_intervals_lie_apart(study):
    protocol, folder = study
    tables = catalogue.read_tables([folder / "tables"])
    named = tables["activations"].target == "distinct"
    for low, high, expected in ((0.5, 0.2, SUPPORTED), (0.1, 0.4, NOT_SUPPORTED), (0.25, 0.25, INCONCLUSIVE)):
        value = np.where(named, low, high)
        rows = tables["activations"].assign(share=value, low=value - 0.04, high=value + 0.04)
        assert verdict(tables | {"activations": rows}, protocol, "distinct") == expected
