"""Steps on a GPU: as close to those of a processor as bfloat16 allows, never waited for, resumed exactly.

There is no GPU here: a processor runs the lines of one, but for the recording of a CUDA graph.
"""

import logging

import numpy as np
import torch
from as_on_a_card import Operators, as_on_a_card

from rosetta_scaling.config.families import Family
from rosetta_scaling.config.ladder import Ladder, Size
from rosetta_scaling.networks.training import steps as training_steps
from rosetta_scaling.networks.training.architectures import attend_without_looking
from rosetta_scaling.networks.training.steps import CardSteps, Steps, new_steps
from rosetta_scaling.networks.training.text import TextTask
from rosetta_scaling.networks.training.trainer import Training

CPU, META = torch.device("cpu"), torch.device("meta")
SIZE = Size(hidden_size=16, layers=2, heads=2, learning_rate=1e-2)
SETTINGS = Ladder(tokens=4_000, context=16, batch_sequences=4)
TOKENS = np.random.default_rng(0).integers(0, 40, 300).astype(np.uint16)  # so few that a network learns them


def training(architecture: str) -> Training:
    family = Family(architecture=architecture, vocabulary=300, seed=3)
    return Training(TextTask(family, SIZE, SETTINGS, None), SETTINGS, CPU)


def weights(run: Training) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in run.steps.parameters.items()}


def losses(run: Training, steps: int) -> list[float]:
    return [run.advance(TOKENS, 5e-3).item() for _ in range(steps)]


def test_a_step_in_bfloat16_learns_what_one_in_float32_learns(architecture):
    exact = training(architecture)
    with as_on_a_card():
        card = training(architecture)
    assert (type(exact.steps), type(card.steps)) == (Steps, CardSteps)
    ours, theirs = losses(card, 40), losses(exact, 40)
    assert theirs[-1] < theirs[0] - 0.5
    np.testing.assert_allclose(ours, theirs, atol=0.05)
    assert ours[0] != theirs[0], "products are rounded, from the first one on"
    assert all(p.dtype == torch.float32 for p in card.steps.parameters.values())
    assert all(
        value.dtype == torch.float32 for state in card.steps.optimiser.state.values() for value in state.values()
    )


def test_a_run_on_a_card_is_resumed_exactly(tmp_path, architecture):
    with as_on_a_card():
        whole, cut, resumed = (training(architecture) for _ in range(3))
    losses(whole, 9)
    losses(cut, 4)
    cut.save(tmp_path / "state.safetensors")
    resumed.restore(tmp_path / "state.safetensors")
    losses(resumed, 5)
    assert all(torch.equal(value, weights(whole)[name]) for name, value in weights(resumed).items())


def test_what_cannot_be_recorded_is_done_step_by_step(monkeypatch, caplog):
    def refuses(step, warm_up, device):
        warm_up()
        raise RuntimeError("operation not permitted when stream is capturing")

    with as_on_a_card():
        plain, refused = training("gpt_neox"), training("gpt_neox")
    losses(plain, 3)
    monkeypatch.setattr(training_steps, "record", refuses)
    with caplog.at_level(logging.WARNING):
        losses(refused, 3)
    assert len(caplog.messages) == 1
    assert "steps are not recorded, which is slower: operation not permitted" in caplog.text
    assert all(torch.equal(value, weights(plain)[name]) for name, value in weights(refused).items())


def test_a_step_neither_waits_for_its_device_nor_sends_it_anything(architecture):
    """Tensors of the device meta have no values: reading one fails, and nothing of a processor can be mixed in."""
    task = TextTask(Family(architecture=architecture, vocabulary=300), SIZE, SETTINGS, None)
    model = task.new_model().to(META)
    with as_on_a_card():
        steps = new_steps(model, lambda *batch: task.loss(model, *batch), SETTINGS, META)
    batch = [torch.zeros(4, 17, dtype=torch.int64, device=META)]
    with Operators() as counted:
        Steps._passes(steps, batch)  # there is no autocast on meta
    assert counted.count["aten.mm.default"] + counted.count["aten.addmm.default"] > 10
    assert counted.reads == 0


def test_attention_without_looking_is_the_same(architecture, tmp_path):
    plain, changed = (training(architecture).model.eval() for _ in range(2))
    attend_without_looking(changed)
    windows = torch.from_numpy(TOKENS.astype(np.int64)[:64]).view(4, 16)
    with torch.no_grad():
        assert torch.equal(changed(input_ids=windows).logits, plain(input_ids=windows).logits)
    for name, model in {"plain": plain, "changed": changed}.items():
        model.save_pretrained(tmp_path / name)
    written = [(tmp_path / name / "config.json").read_bytes() for name in ("plain", "changed")]
    assert written[0] == written[1]
