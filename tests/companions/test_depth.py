"""Inverse depth scaling: networks against closed forms, statistics against planted answers, rules of verdicts."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from small_companions import DEPTH as TINY
from tiny_networks import tiny_model

from rosetta_scaling.claims.verdicts import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED
from rosetta_scaling.companions import catalogue
from rosetta_scaling.companions.depth import chinchilla
from rosetta_scaling.companions.depth import results as depth_results
from rosetta_scaling.companions.depth.angles import angle, angle_table, language_angles, layer_angles, read_states
from rosetta_scaling.companions.depth.claims import judge
from rosetta_scaling.companions.depth.figures import FIGURES
from rosetta_scaling.companions.depth.language import language_exponents, loss_table, middle_angles, pair_alignment
from rosetta_scaling.companions.depth.networks import (
    Stack,
    draw_inputs,
    euler_steps,
    imitate,
    learning_rate,
    new_students,
    new_teachers,
    output,
    rms_norm,
    run,
    untrained_students,
)
from rosetta_scaling.companions.depth.real_claims import judge_language, judge_runs
from rosetta_scaling.companions.depth.real_figures import draw_language, draw_runs, language_data
from rosetta_scaling.companions.depth.rosetta import add_layers, alignment, best_partners, kappa, matched_layers
from rosetta_scaling.config.companions.depth import DepthSettings
from rosetta_scaling.numerics import intervals
from rosetta_scaling.points.layers import MatchedLayers
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_table
from rosetta_scaling.store.tensors import read_tensors

pytestmark = pytest.mark.slow(1)


def slope(x, y) -> float:
    return np.polyfit(np.log(x), np.log(y), 1)[0]


# -- networks ----------------------------------------------------------------------------------------------------------


def test_a_run_is_the_formula_of_the_paper_written_out():
    stack, inputs = untrained_students("tied", 2, TINY), draw_inputs(5, TINY, "x")
    states, neurons = run(stack, inputs)
    for network, i in itertools.product(range(stack.up.shape[1]), range(len(inputs))):
        x = inputs[i].double() / inputs[i].double().pow(2).mean().sqrt()
        for layer in range(2):
            up, bias, down = (weights[layer, network].double() for weights in stack)
            hidden = torch.relu(x / x.pow(2).mean().sqrt() @ up + bias[0]) ** 2
            torch.testing.assert_close(neurons[layer][network, i].double(), hidden, atol=1e-5, rtol=1e-5)
            x = x + hidden @ down
            torch.testing.assert_close(states[layer + 1][network, i].double(), x, atol=1e-5, rtol=1e-5)
        made = output(stack, inputs)[network, i].double()
        torch.testing.assert_close(made, x / x.pow(2).mean().sqrt(), atol=1e-5, rtol=1e-5)


def test_networks_of_a_stack_do_not_touch_each_other():
    stack, inputs = untrained_students("independent", 4, TINY), draw_inputs(9, TINY, "x")
    for network in range(stack.up.shape[1]):
        alone = output(stack.one(network), inputs)[0]
        torch.testing.assert_close(output(stack, inputs)[network], alone, atol=1e-6, rtol=1e-6)


def test_tied_teachers_have_one_layer_and_independent_ones_many():
    tied, independent = new_teachers("tied", TINY), new_teachers("independent", TINY)
    assert all((weights == weights[:1]).all() for weights in tied)
    assert all((a != b).any() for weights in independent for a, b in itertools.pairwise(weights))
    assert (tied.up[:, 0] != tied.up[:, 1]).any(), "two teachers are the same"


def test_students_start_as_the_identity_or_as_steps_of_their_teachers():
    teachers, inputs = new_teachers("tied", TINY), draw_inputs(7, TINY, "x")
    made = output(new_students("independent", 4, teachers, TINY), inputs)
    torch.testing.assert_close(made, rms_norm(inputs).expand_as(made))
    whole = new_students("tied_euler", TINY.teacher_depth, teachers, TINY)
    torch.testing.assert_close(output(whole, inputs), output(teachers, inputs))


def flow_errors(depths, time: float, settings: DepthSettings) -> list[float]:
    """Root mean square distance of Euler's steps to a flow over `time`, which 4,096 steps stand for."""
    up, bias, down = (weights.double() for weights in new_teachers("tied", settings))
    layer = Stack(up[:1], bias[:1], down[:1] / down[:1].abs().amax() * time)
    fine = Stack(*(weights.expand(4096, -1, -1, -1) for weights in layer))
    fine, inputs = fine._replace(down=fine.down / 4096), draw_inputs(64, settings, "x").double()
    exact = run(fine, inputs)[0][-1]
    errors = []
    for depth in depths:
        states = run(euler_steps(fine, depth), inputs)[0]
        errors.append((states[-1] - exact).square().mean().sqrt().item())
    return errors


def test_euler_steps_of_a_smooth_flow_have_a_global_error_of_first_order():
    depths = [32, 64, 128]
    errors = flow_errors(depths, 0.5, TINY)
    assert slope(depths, errors) == pytest.approx(-1, abs=0.06)
    assert slope(depths, np.square(errors)) == pytest.approx(-2, abs=0.12)


def test_euler_steps_of_a_teacher_approach_it_as_its_own_steps_do():
    """Both are first order, so they differ by 1 / depth less 1 / depth of the teacher, times the same vector."""
    depths, fine = [32, 64, 128, 256], 512
    settings = TINY.model_copy(update={"teacher_depth": fine})
    teachers, inputs = new_teachers("tied", settings), draw_inputs(64, settings, "x")
    teachers = teachers._replace(down=teachers.down / 20)  # a short time, so that the shortest student is accurate
    exact = run(teachers, inputs)[0][-1].double()
    errors = [(run(euler_steps(teachers, d), inputs)[0][-1].double() - exact).norm().item() for d in depths]
    assert slope(1 / np.array(depths) - 1 / fine, errors) == pytest.approx(1, abs=0.03)
    assert slope(depths, errors) < -1.2, "the bias of the finite teacher should show"


def test_the_learning_rate_is_flat_and_then_falls_to_its_end():
    rates = [learning_rate(step, 101, 4, TINY) for step in range(101)]
    assert rates[0] == rates[60] == TINY.learning_rate / 2
    assert rates[80] == pytest.approx(TINY.learning_rate / 2 * 0.51)
    assert rates[100] == pytest.approx(TINY.learning_rate / 2 * TINY.final_rate)


def test_training_imitates_and_every_student_has_its_own_teacher():
    settings = TINY.model_copy(update={"pool": 1024, "batch": 64})
    teachers, pool = new_teachers("independent", settings), draw_inputs(1024, settings, "pool")
    targets = output(teachers, pool)
    before = new_students("independent", 4, teachers, settings)
    after = imitate(before, pool, targets, 300, settings=settings, name="test")
    fresh = draw_inputs(512, settings, "fresh")
    answers, made = output(teachers, fresh), output(after, fresh)
    loss = (made[:, None] - answers[None]).square().mean((2, 3))  # (students, teachers)
    start = (output(before, fresh)[:, None] - answers[None]).square().mean((2, 3))
    own = torch.tensor([0, 0, 1, 1])
    assert (loss.argmin(1) == own).all()
    assert (loss[range(4), own] < 0.2 * start[range(4), own]).all()
    assert (before.down == 0).all(), "training must not change the students it was given"


def test_training_depends_on_its_name_and_seed_alone():
    teachers, pool = new_teachers("tied", TINY), draw_inputs(256, TINY, "pool")
    students, targets = new_students("tied", 2, teachers, TINY), output(teachers, pool)
    one, again, other = (imitate(students, pool, targets, 5, settings=TINY, name=name) for name in ("a", "a", "b"))
    assert all(x.equal(y) for x, y in zip(one, again, strict=True))
    assert not one.down.equal(other.down)


# -- angles ------------------------------------------------------------------------------------------------------------


def test_an_angle_is_right_where_a_cosine_has_no_digits_left():
    for expected in (1e-6, 1e-3, 0.7, np.pi / 2, np.pi - 1e-3):
        a, b = torch.tensor([1.0, 0.0]), torch.tensor([np.cos(expected), np.sin(expected)], dtype=torch.float32)
        assert angle(3 * a, 0.1 * b).item() == pytest.approx(expected, rel=1e-3)
    assert angle(torch.zeros(2), torch.ones(2)).isnan()


def test_angles_of_a_circle_and_of_a_line():
    turn = 0.3
    circle = [torch.tensor([[np.cos(turn * i), np.sin(turn * i)]]) for i in range(6)]
    steps, updates = layer_angles(circle)
    np.testing.assert_allclose(steps[:, 0], turn, rtol=1e-5)
    np.testing.assert_allclose(updates[:, 0], turn, rtol=1e-4)  # tangents of a circle turn with it
    line = [torch.tensor([[1.0, float(i)]]) for i in range(4)]
    steps, updates = layer_angles(line)
    np.testing.assert_allclose(steps[:, 0], np.diff(np.arctan(range(4))), rtol=1e-5)
    np.testing.assert_allclose(updates[:, 0], 0, atol=1e-6)


def test_random_updates_are_orthogonal_and_turn_the_state_by_the_root_of_the_depth():
    means = []
    for depth in (4, 16, 64):
        random = torch.Generator().manual_seed(depth)
        updates = torch.randn(depth, 64, 2048, generator=random) / depth**0.5 / 4
        states = torch.cat([torch.randn(1, 64, 2048, generator=random), updates]).cumsum(0)
        steps, between = layer_angles(list(states))
        assert between.mean().item() == pytest.approx(np.pi / 2, abs=0.01)
        means.append(steps.mean().item())
    assert slope([4, 16, 64], means) == pytest.approx(-0.5, abs=0.05)


def test_the_table_of_angles_leaves_out_what_has_no_angle():
    steps = torch.tensor([[1.0, 3.0], [torch.nan, 2.0]])
    table = angle_table(steps, torch.tensor([[torch.nan, 0.5]]))
    assert table.step_angle.tolist() == [2.0, 2.0]
    assert table.update_angle[0] == 0.5
    assert np.isnan(table.update_angle[1])
    single = angle_table(steps[:1], steps[:0])
    assert single.shape == (1, 3)
    assert np.isnan(single.update_angle[0])


def test_states_of_a_language_model_are_those_between_its_blocks(architecture):
    model = tiny_model(architecture, layers=3)
    ids = torch.randint(0, 300, (2, 11), generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), read_states(model) as states:
        known = model(input_ids=ids, output_hidden_states=True).hidden_states
    assert len(states) == 4
    for ours, theirs in zip(states[:-1], known[:-1], strict=True):  # the last of transformers' is normalised
        torch.testing.assert_close(ours, theirs)
    assert not torch.allclose(states[-1], known[-1])
    model(input_ids=ids)
    assert len(states) == 4, "the hooks were left behind"


def test_angles_of_a_checkpoint_and_its_control(tmp_path):
    model = tiny_model("gpt_neox", layers=3)
    model.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    tokens = np.random.default_rng(0).integers(0, 300, 1000).astype(np.uint16)
    table = language_angles(tmp_path, tokens, context=16, sequences=40, seed=0, device=torch.device("cpu"))
    assert table.groupby("network").layer.agg(list).to_dict() == {"trained": [0, 1, 2], "untrained": [0, 1, 2]}
    assert (table.layers == 3).all()
    ids = torch.from_numpy(tokens[: 40 * 16].astype(np.int64)).view(40, 16)
    with torch.no_grad(), read_states(model) as states:
        model(input_ids=ids)
    state, after = states[1][:, 1:].double(), states[2][:, 1:].double()
    cosine = (state * after).sum(-1) / state.norm(dim=-1) / after.norm(dim=-1)
    assert table.step_angle[1] == pytest.approx(cosine.arccos().mean().item(), rel=1e-4)
    trained, untrained = (table[table.network == name].step_angle.to_numpy() for name in ("trained", "untrained"))
    assert not np.allclose(trained, untrained), "the control is the network itself"
    with pytest.raises(StudyError, match="angles were asked of 10 tokens"):
        language_angles(tmp_path, tokens[:10], context=16, sequences=40, seed=0, device=torch.device("cpu"))


# -- partners and matrices ---------------------------------------------------------------------------------------------


def planted(layers: int, hidden: int, inputs: int = 400, seed: int = 0) -> torch.Tensor:
    return torch.randn(layers * hidden, inputs, generator=torch.Generator().manual_seed(seed))


def test_partners_between_networks_are_found_through_permutation_scale_and_noise():
    a = planted(3, 5)
    order = torch.randperm(15, generator=torch.Generator().manual_seed(1))
    b = 7 * a[order] + 3 + 0.5 * planted(3, 5, seed=2)
    table = best_partners(a, b, 5)
    assert table.mutual.all()
    assert order.numpy()[table.neuron_b].tolist() == table.neuron_a.tolist()
    assert (table.layer_b == table.neuron_b // 5).all()
    r = np.corrcoef(a.numpy(), b.numpy())[:15, 15:]
    np.testing.assert_allclose(table.r, r[table.neuron_a, table.neuron_b], atol=1e-5)
    assert len(best_partners(torch.cat([a, torch.ones(5, 400)]), b, 5)) == 15, "constant neurons have no partner"


def test_partners_inside_a_network_are_in_other_layers():
    a = planted(3, 4)
    a[8] = a[0] + 0.1 * planted(1, 1, seed=3)[0]  # repeated in another layer
    a[5] = a[4]  # repeated in its own, which does not count
    table = best_partners(a, a, 4, inside=True)
    assert (table.layer_a != table.layer_b).all()
    strong = table[table.r > 0.9]
    assert strong[["neuron_a", "neuron_b"]].values.tolist() == [[0, 8], [8, 0]]
    assert strong.mutual.all()


def matches_of(pairs) -> pd.DataFrame:
    return pd.DataFrame(list(pairs), columns=["layer_a", "layer_b"], dtype=int)


def test_a_diagonal_matrix_has_a_kappa_of_one_and_a_flat_one_of_zero():
    diagonal = matches_of((layer, layer) for layer in range(4) for _ in range(layer + 2))
    found = alignment(matched_layers(diagonal, 4, 4), 300, 0.95, 0)
    assert (found["share"], found["kappa"]) == (1.0, 1.0)
    assert found["null_high"] < 0.6 < found["kappa"]
    flat = matches_of((a, b) for a in range(4) for b in range(4) for _ in range((a + 1) * (b + 2)))
    found = alignment(matched_layers(flat, 4, 4), 300, 0.95, 0)
    assert found["kappa"] == pytest.approx(0, abs=1e-12)
    assert found["null_low"] < 0 < found["null_high"]
    assert kappa(MatchedLayers(np.array([0, 1, 2]), 3, np.array([2, 0, 1]), 3)).kappa < 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_kappa_is_cohens_and_does_not_care_which_side_comes_first(pairs):
    a, b = np.array(pairs).T
    share, expected, found = kappa(MatchedLayers(a, 4, b, 4))
    assert share == pytest.approx(np.mean(a == b))
    assert expected == pytest.approx(sum(np.mean(a == layer) * np.mean(b == layer) for layer in range(4)))
    mirrored = kappa(MatchedLayers(b, 4, a, 4)).kappa
    if len(set(a)) == len(set(b)) == 1 and a[0] == b[0]:
        assert np.isnan(found)
        assert np.isnan(mirrored)
    else:
        assert found == pytest.approx((share - expected) / (1 - expected))
        assert mirrored == pytest.approx(found)


def test_the_null_of_a_flat_matrix_covers_kappa():
    random = np.random.default_rng(0)
    inside = 0
    for draw in range(200):
        found = alignment(matched_layers(matches_of(random.integers(0, 4, (60, 2))), 4, 4), 100, 0.9, draw)
        inside += found["null_low"] <= found["kappa"] <= found["null_high"]
    assert 165 <= inside <= 197  # 90% of 200, three standard deviations


def test_the_matrix_of_layers_counts_and_expects():
    matrix = matched_layers(matches_of([(0, 1), (0, 1), (1, 0), (2, 1)]), 3, 2).matrix()
    assert matrix.matches.tolist() == [0, 2, 1, 0, 0, 1]
    np.testing.assert_allclose(matrix.expected, [0.5, 1.5, 0.25, 0.75, 0.25, 0.75])
    assert matched_layers(matches_of([]), 2, 2).matrix().expected.tolist() == [0] * 4
    nothing = alignment(matched_layers(matches_of([]), 2, 2), 10, 0.95, 0)
    assert nothing["matches"] == 0
    assert np.isnan([nothing["kappa"], nothing["null_low"]]).all()


def test_layers_of_a_nulls_table_come_from_the_number_of_the_neuron():
    table = add_layers(pd.DataFrame({"neuron_a": [0, 3, 4], "neuron_b": [2, 1, 5]}), [4, 2], [2, 2, 2])
    assert table.layer_a.tolist() == [0, 0, 1]
    assert table.layer_b.tolist() == [1, 0, 2]


# -- intervals and tables ----------------------------------------------------------------------------------------------


def test_the_interval_of_few_teachers_covers_where_plain_percentiles_do_not():
    random, teachers, covered, plain = np.random.default_rng(0), 6, 0, 0
    for draw in range(400):
        means = depth_results.resampled_mean(random.standard_normal(teachers), 2000, draw)
        low, high = intervals.of_resamples(means, 0.95, teachers)
        covered += low <= 0 <= high
        low, high = np.quantile(means, [0.025, 0.975])
        plain += low <= 0 <= high
    assert 0.92 <= covered / 400 <= 0.985
    assert plain / 400 < 0.91


def planted_values(alpha: dict, settings: DepthSettings) -> pd.DataFrame:
    rows = [
        {"regime": regime, "steps": steps, "quantity": quantity, "teacher": teacher, "depth": depth,
         "y": -(exponent + 0.01 * (teacher - 0.5)) * np.log(depth)}
        for (regime, length, quantity), exponent in alpha.items()
        for steps in [settings.steps[length]]
        for teacher in range(settings.teachers)
        for depth in settings.depths
    ]  # fmt: skip
    return pd.DataFrame(rows)


PLANTED = {
    ("independent", 0, "loss"): 0.9, ("independent", 1, "loss"): 1.0,
    ("tied", 0, "loss"): 1.5, ("tied", 1, "loss"): 2.5,
    ("tied_euler", 1, "loss"): 2.75, ("tied_euler", 1, "start_loss"): 2.0,
}  # fmt: skip


def test_planted_exponents_and_their_differences_come_back():
    values = planted_values(PLANTED, TINY)
    table = depth_results.exponents_table(values, TINY)
    for (regime, length, quantity), exponent in PLANTED.items():
        chosen = (table.regime == regime) & (table.steps == TINY.steps[length]) & (table.quantity == quantity)
        rows = table[chosen]
        assert rows.points.tolist() == [3, 2, 2]
        np.testing.assert_allclose(rows.value, exponent)
        assert (rows.low < exponent).all()
        assert (exponent < rows.high).all()
    contrasts = depth_results.contrasts_table(values, TINY).set_index("contrast")
    np.testing.assert_allclose(contrasts.value, [1.5, 1.0, 0.1, 0.75])
    paired = contrasts.loc["tied, long less short"]
    assert paired.high - paired.low < 1e-9, "the same teachers must be resampled together"
    apart = contrasts.loc["tied less independent"]
    assert apart.high - apart.low > 5e-3


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Tables of all jobs of a study of seconds, and where its jobs wrote."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("depth")
    for job in TINY.jobs:
        catalogue.write_job("depth", TINY, job, device=torch.device("cpu"), folder=folder / job)
    catalogue.write_tables("depth", TINY, folder, folder / "tables")
    return catalogue.read_tables([folder / "tables"]), folder


def test_the_losses_that_are_written_are_those_of_the_students_that_are_written(measured):
    tables, folder = measured
    weights = read_tensors(folder / "tied-20" / "students.safetensors")
    students = Stack(*(weights[f"depth4.{name}"] for name in Stack._fields))
    fresh = rms_norm(draw_inputs(TINY.inputs, TINY, "fresh"))
    losses = tables["losses"].query("regime == 'tied' and steps == 20 and depth == 4")
    answers = output(new_teachers("tied", TINY), fresh)
    for row in losses.itertuples():
        network = row.teacher * TINY.seeds + row.seed
        made = output(students.one(network), fresh)[0]
        assert row.loss == pytest.approx((made - answers[row.teacher]).square().mean().item(), rel=1e-4)
        assert row.identity_loss == pytest.approx((fresh - answers[row.teacher]).square().mean().item(), rel=1e-4)
    assert len(losses) == TINY.teachers * TINY.seeds


def test_the_tables_have_a_row_for_everything_that_was_planned(measured):
    tables, _ = measured
    jobs = {f"{regime}-{steps}" for regime, steps in tables["losses"][["regime", "steps"]].to_numpy()}
    assert jobs == set(TINY.jobs)
    between = tables["alignments"]
    assert set(between.regime) == {"independent", "tied"}, "students with one start would match trivially"
    assert len(between) == 4 * 3 * 2 * TINY.teachers
    layers = tables["layers"]
    inside = layers[(layers.kind == "inside") & (layers.layer_a == layers.layer_b)]
    assert (inside.matches == 0).all()
    assert tables["rosetta"].value.notna().mean() > 0.9
    starts = tables["exponents"].query("quantity == 'start_loss'")
    assert set(starts.regime) == {"tied_euler"}


def test_the_excess_is_the_difference_to_the_control(measured):
    rosetta = measured[0]["rosetta"]
    wide = rosetta.pivot_table(index=["regime", "steps", "depth", "quantity"], columns="network", values="value")
    np.testing.assert_allclose(wide.excess, wide.trained - wide.untrained, atol=1e-12)


def test_every_figure_is_drawn_from_the_tables(measured, tmp_path):
    catalogue.write_figures("depth", TINY, [measured[1] / "tables"], tmp_path)
    for name in (figure.name for figure in FIGURES):
        assert {path.suffix for path in tmp_path.glob(f"{name}.*")} == {".svg", ".png", ".csv"}
        assert len(read_table(tmp_path / f"{name}.csv")) > 0


# -- verdicts ----------------------------------------------------------------------------------------------------------


def set_rows(table: pd.DataFrame, value: float, half: float = 0.01, **where) -> None:
    """Give the rows that `where` picks a value and an interval."""
    chosen = np.logical_and.reduce([table[name] == wanted for name, wanted in where.items()])
    assert chosen.any(), where
    table.loc[chosen, ["value", "low", "high"]] = value, value - half, value + half


def verdicts(tables: dict[str, pd.DataFrame]) -> list[str]:
    return [one.verdict for one in judge(tables, TINY)]


def paper_tables(measured) -> dict[str, pd.DataFrame]:
    """Tables in which every claim holds."""
    tables = {name: table.copy() for name, table in measured[0].items()}
    exponents, contrasts, turns, rosetta = (tables[name] for name in ("exponents", "contrasts", "turns", "rosetta"))
    for regime, value in (("independent", 1.0), ("tied", 3.0), ("tied_euler", 3.0)):
        set_rows(exponents, value, regime=regime, quantity="loss")
        set_rows(exponents, 1.0, regime=regime, quantity="step_angle")
        set_rows(exponents, 0.5, regime=regime, quantity="untrained_step_angle")
    for name, value in zip(contrasts.contrast, (2.0, 0.5, 0.0, 1.0), strict=True):
        set_rows(contrasts, value, contrast=name)
    for regime, value in (("independent", 0.5), ("tied", 0.2)):
        set_rows(turns, value * np.pi, regime=regime, network="trained", angle="update_angle")
        set_rows(turns, 0.7 * np.pi, regime=regime, network="untrained", angle="update_angle")
        shared = 0.5 if regime == "tied" else 0.0
        for quantity in ("kappa", "rosetta", "inside_rosetta"):
            set_rows(rosetta, shared, regime=regime, quantity=quantity, network="excess")
    return tables


def test_what_the_papers_say_is_supported(measured):
    assert verdicts(paper_tables(measured)) == [SUPPORTED] * 13
    for one in judge(paper_tables(measured), TINY):
        assert set(one.as_json()) - {"votes"} == {"claim", "source", "verdict", "statistic", "sentence", "caveat"}
        assert "nan" not in one.statistic


@pytest.mark.parametrize(
    ("place", "table", "value", "where", "expected"),
    [
        (0, "exponents", 1.6, {"regime": "independent", "quantity": "loss"}, NOT_SUPPORTED),
        (1, "contrasts", 0.1, {"contrast": "tied less independent"}, NOT_SUPPORTED),
        (2, "contrasts", -0.1, {"contrast": "tied, long less short"}, NOT_SUPPORTED),
        (3, "exponents", 1.5, {"regime": "tied", "quantity": "loss"}, INCONCLUSIVE),  # it still rises
        (3, "exponents", 4.5, {"regime": "tied", "quantity": "loss"}, NOT_SUPPORTED),
        (4, "contrasts", -0.1, {"contrast": "Euler's steps, trained less untrained"}, NOT_SUPPORTED),
        (5, "exponents", 0.5, {"regime": "independent", "quantity": "step_angle"}, NOT_SUPPORTED),
        (6, "exponents", 1.0, {"regime": "tied", "quantity": "untrained_step_angle"}, INCONCLUSIVE),
        (
            7,
            "turns",
            0.3 * np.pi,
            {"regime": "independent", "network": "trained", "depth": 4},
            INCONCLUSIVE,
        ),  # one depth
        (7, "turns", 0.3 * np.pi, {"regime": "independent", "network": "trained"}, NOT_SUPPORTED),
        (7, "turns", 0.5 * np.pi, {"regime": "independent", "network": "untrained"}, INCONCLUSIVE),
        (8, "turns", 0.5 * np.pi, {"regime": "tied", "network": "trained", "depth": 8}, INCONCLUSIVE),
        (9, "rosetta", 0.0, {"regime": "tied", "quantity": "kappa", "network": "excess", "depth": 2}, INCONCLUSIVE),
        (10, "rosetta", 0.5, {"regime": "independent", "quantity": "kappa", "network": "excess"}, NOT_SUPPORTED),
        (11, "rosetta", 0.6, {"regime": "independent", "quantity": "rosetta", "network": "excess"}, NOT_SUPPORTED),
        (12, "rosetta", -0.1, {"regime": "tied", "quantity": "inside_rosetta", "network": "excess"}, NOT_SUPPORTED),
    ],
)
def test_one_number_elsewhere_changes_the_verdict_it_decides(measured, place, table, value, where, expected):
    tables = paper_tables(measured)
    set_rows(tables[table], value, **where)
    found = verdicts(tables)
    assert found.pop(place) == expected
    assert found == [SUPPORTED] * 12


def test_a_converged_exponent_below_three_is_refuted(measured):
    tables = paper_tables(measured)
    set_rows(tables["exponents"], 1.5, regime="tied", quantity="loss")
    set_rows(tables["contrasts"], 0.0, contrast="tied, long less short")
    assert verdicts(tables)[3] == NOT_SUPPORTED


# -- published runs ----------------------------------------------------------------------------------------------------


def planted_runs(noise: float, form: str = "width and depth", runs: int = 120) -> pd.DataFrame:
    random = np.random.default_rng(0)
    width, depth, tokens = (np.exp(random.uniform(*np.log(ends), runs)) for ends in ((256, 8192), (4, 80), (1e9, 3e11)))
    parameters = 12 * width**2 * depth
    loss = 1.75 + 900 * tokens**-0.3
    loss += 300 * width**-0.98 + 5 * depth**-1.2 if form == "width and depth" else 400 * parameters**-0.34
    loss *= np.exp(noise * random.standard_normal(runs))
    return pd.DataFrame({"width": width, "depth": depth, "parameters": parameters, "tokens": tokens, "loss": loss})


def test_the_fit_of_published_runs_recovers_planted_numbers():
    fit = chinchilla.fit_loss(planted_runs(0), "width and depth")
    assert fit["rmse"] < 1e-6
    for name, alpha in (("width", 0.98), ("depth", 1.2), ("tokens", 0.3)):
        assert fit[f"alpha_{name}"] == pytest.approx(alpha, abs=1e-3)
    assert fit["floor"] == pytest.approx(1.75, abs=1e-3)
    runs = planted_runs(0)
    best = runs.loc[runs.loss.idxmin()]
    assert fit["share_depth"] == pytest.approx(5 * best.depth**-1.2, rel=1e-2)
    rival = chinchilla.fit_loss(planted_runs(0, "parameters"), "parameters")
    assert rival["alpha_parameters"] == pytest.approx(0.34, abs=1e-3)


def test_the_standard_error_is_that_of_repeated_noise():
    runs, random = planted_runs(0, runs=150), np.random.default_rng(1)
    noisy = [runs.assign(loss=runs.loss * np.exp(0.005 * random.standard_normal(150))) for _ in range(40)]
    fits = [chinchilla.fit_loss(one, "width and depth") for one in noisy]
    for name in ("width", "depth", "tokens"):
        spread = np.std([fit[f"alpha_{name}"] for fit in fits], ddof=1)
        assert np.mean([fit[f"se_{name}"] for fit in fits]) == pytest.approx(spread, rel=0.35)


def test_claims_about_runs_know_which_form_made_them():
    settings = DepthSettings(chinchilla_dropped=(20, 0), chinchilla_bootstrap=20)
    judged = {}
    for form in chinchilla.FORMS:
        runs = planted_runs(0.003, form).sort_values("loss", ignore_index=True)
        table = chinchilla.chinchilla_table(runs, settings)
        assert table.groupby(["form", "dropped"]).size().tolist() == [2, 2, 3, 3]
        assert table.set_index("dropped").runs.to_dict() == {20: 100, 0: 120}
        judged[form] = [one.verdict for one in judge_runs(table, settings)]
        left, right = draw_runs(table).axes
        assert sorted(left.lines[0].get_xdata()) == [0, 20]
        assert [line.get_label() for line in right.lines] == list(chinchilla.FORMS)
    assert judged["width and depth"] == [SUPPORTED, SUPPORTED, SUPPORTED]
    assert judged["parameters"][2] == NOT_SUPPORTED


def test_what_is_left_out_are_the_runs_of_the_highest_loss():
    runs = planted_runs(0).sort_values("loss", ignore_index=True)
    runs.loc[100:, "loss"] *= np.linspace(1.2, 2, 20)  # still the highest, and off the law
    table = chinchilla.chinchilla_table(runs, DepthSettings(chinchilla_dropped=(20,), chinchilla_bootstrap=20))
    assert table[table.of == "depth"].alpha.item() == pytest.approx(1.2, abs=1e-3)


def test_a_missing_table_of_runs_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "runs.csv"
    with pytest.raises(StudyError, match=r"no such file; expected a \.csv with a row per published run"):
        chinchilla.read_runs(path)
    runs = planted_runs(0)
    runs.drop(columns="depth").to_csv(path, index=False)
    with pytest.raises(StudyError, match="lacks the columns depth"):
        chinchilla.read_runs(path)
    runs.assign(loss=["x", *runs.loss[1:]]).to_csv(path, index=False)
    with pytest.raises(StudyError, match="has 1 rows that are not positive numbers"):
        chinchilla.read_runs(path)
    runs.to_csv(path, index=False)
    assert chinchilla.read_runs(path).loss.is_monotonic_increasing
    with pytest.raises(StudyError, match="7 runs are left to fit 7 numbers"):
        chinchilla.fit_loss(runs[:7], "width and depth")


# -- language models ---------------------------------------------------------------------------------------------------


DEPTHS = (3, 4, 8, 16)


def ladder_models() -> pd.DataFrame:
    rows = [
        {"model": f"{family}-d{d}", "family": family, "layers": d, "hidden_size": 32,
         "validation_bits_per_byte": 2 + 1 / d}
        for family in ("neox", "llama") for d in DEPTHS
    ]  # fmt: skip
    return pd.DataFrame(rows)


def ladder_angles(exponent: float = 1.0, update: float = np.pi / 2) -> pd.DataFrame:
    """First and last layers turn by a right angle, those in the middle by depth^-exponent."""
    rows = []
    for model in ladder_models().itertuples():
        for network, alpha, between in (("trained", exponent, update), ("untrained", 0.5, 1.0)):
            for layer in range(model.layers):
                edge = layer in (0, model.layers - 1)
                rows.append(
                    {"model": model.model, "network": network, "layers": model.layers, "layer": layer,
                     "step_angle": np.pi / 2 if edge else model.layers**-alpha,
                     "update_angle": between if 0 < layer < model.layers - 2 else 0.1}
                )  # fmt: skip
    return pd.DataFrame(rows)


def test_a_depth_ladder_has_one_width_and_its_middle_its_own_exponent():
    models = ladder_models()
    assert set(models.family) == {"neox", "llama"}
    middle = middle_angles(ladder_angles())
    assert middle.set_index(["model", "network"]).update_angle["neox-d16", "trained"] == pytest.approx(np.pi / 2)
    assert middle[middle.layers == 3].update_angle.isna().all(), "three layers have one in the middle, and no pair"
    found = language_exponents(models, ladder_angles(), 0.95).set_index(["family", "network"])
    assert found.value["neox", "trained"] == pytest.approx(1)
    assert found.value["neox", "untrained"] == pytest.approx(0.5)
    assert found.points.unique().tolist() == [4]


def test_loss_against_depth_knows_its_form():
    table = loss_table(ladder_models()).set_index(["family", "form"])
    assert table.rmse["neox", "1 / depth"] < 1e-9
    assert table.slope["neox", "1 / depth"] == pytest.approx(1)
    assert table.intercept["neox", "1 / depth"] == pytest.approx(2)
    assert table.rmse["neox", "ln depth"] > 0.01
    assert table.falls.all()


def test_the_middle_of_a_matrix_leaves_out_first_and_last_layers():
    edges = [(0, 0)] * 30 + [(4, 4)] * 30
    flat = [(a, b) for a in (1, 2, 3) for b in (1, 2, 3)] * 5
    found = pair_alignment(matches_of(edges + flat), 5, TINY)
    assert found["kappa"] > 0.4
    assert found["middle_kappa"] == pytest.approx(0, abs=1e-12)
    assert found["middle_matches"] == 45


def language_tables(models, angles, middle_kappa: float) -> dict[str, pd.DataFrame]:
    pairs = pd.DataFrame({"model_a": "a", "model_b": "b", "layers": 8, "kind": ["real", "untrained"],
                          "middle_kappa": [middle_kappa, 0.02], "middle_null_low": -0.1,
                          "middle_null_high": 0.1})  # fmt: skip
    exponents, middle = language_exponents(models, angles, 0.95), middle_angles(angles)
    return {"language_losses": loss_table(models), "language_exponents": exponents, "language_angles": middle,
            "language_pairs": pairs}  # fmt: skip


def test_a_figure_of_language_models_shows_every_number():
    models, middle = ladder_models(), middle_angles(ladder_angles())
    pairs = pd.DataFrame({"model_a": "neox-d8", "model_b": "llama-d8", "layers": 8, "kind": ["real", "untrained"],
                          "kappa": [0.5, 0.1], "middle_kappa": [0.2, 0.0]})  # fmt: skip
    data = language_data(models, middle, pairs)
    kappa = data[data.panel == "kappa"].set_index("kind").value.to_dict()
    assert kappa == {"trained": 0.5, "untrained": 0.1, "middle": 0.2}
    assert set(data.name) == {"neox", "llama", "neox and llama"}
    loss = data[(data.panel == "loss") & (data.name == "neox")]
    np.testing.assert_allclose(loss.value, 2 + 1 / np.array(DEPTHS))
    figure = draw_language(data)
    assert [line.get_label() for line in figure.axes[0].lines] == ["neox", "llama"]
    assert not draw_language(data[:0]).axes, "nothing to draw is said in words"


@pytest.mark.parametrize(
    ("kappa", "expected"), [(0.05, SUPPORTED), (0.09, SUPPORTED), (0.11, INCONCLUSIVE), (0.4, NOT_SUPPORTED)]
)
def test_a_flat_matrix_lies_among_partners_dealt_anew_and_near_the_control(kappa, expected):
    *_, found = judge_language(language_tables(ladder_models(), ladder_angles(), kappa), TINY)
    assert found.verdict == expected


def test_claims_about_language_models():
    models = ladder_models()
    rest = models.assign(validation_bits_per_byte=[2, 1.9, 1.95, 1.8] * 2)
    angles = ladder_angles()
    angles["step_angle"] *= 1 + 1e-3 * np.sin(np.arange(len(angles)))  # an exact fit would have no interval
    found = judge_language(language_tables(models, angles, 0.05), TINY)
    assert [one.verdict for one in found] == [SUPPORTED] * 4
    other = judge_language(language_tables(rest, ladder_angles(0.5, 1.0), 0.4), TINY)
    assert [one.verdict for one in other][0::3] == [NOT_SUPPORTED] * 2
    assert other[2].verdict == NOT_SUPPORTED
    nothing = judge_language(language_tables(models[:0], angles[:0], np.nan), TINY)
    assert [one.verdict for one in nothing] == [INCONCLUSIVE] * 4


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"depths": (2, 4)}, "at least 3 different"),
        ({"depths": (2, 4, 64)}, "half as deep"),
        ({"steps": (100, 100)}, "the shorter first"),
        ({"stepps": (1, 2)}, "Extra inputs"),
    ],
)
def test_settings_refuse_what_cannot_be_measured(wrong, words):
    with pytest.raises(ValidationError, match=words):
        DepthSettings(**wrong)
