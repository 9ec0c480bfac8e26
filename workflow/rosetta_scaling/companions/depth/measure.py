"""One job of the toy study: train the students of one kind for one length at every depth, and measure them."""

import itertools
import logging
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import torch

from rosetta_scaling.companions.depth.angles import angle_table, layer_angles
from rosetta_scaling.companions.depth.networks import (
    Stack,
    draw_inputs,
    imitate,
    new_students,
    new_teachers,
    output,
    rms_norm,
    run,
    seeds_of,
    untrained_students,
)
from rosetta_scaling.companions.depth.rosetta import BETWEEN, INSIDE, best_partners
from rosetta_scaling.config.companions.depth import REGIMES, DepthSettings
from rosetta_scaling.schemas.tables.depth import JOB_TABLES as SCHEMAS
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.store.tensors import write_tensors

log = logging.getLogger(__name__)

JOB_TABLES = ("losses", "angles", "matches")


def run_job(settings: DepthSettings, regime: str, steps: int, device: torch.device, folder: Path) -> None:
    """Write losses, angles and matches (.parquet, see `measure`) and students.safetensors of one of `settings.jobs`.

    Tables have the columns regime and steps; tensors are named depthN.up, depthN.bias, depthN.down (see depth.Stack).
    """
    teachers = new_teachers(REGIMES[regime], settings).to(device)
    pool, fresh = (
        rms_norm(draw_inputs(count, settings, name)).to(device)
        for count, name in ((settings.pool, "pool"), (settings.inputs, "fresh"))
    )
    with torch.no_grad():
        targets, answers = torch.cat([output(teachers, part) for part in pool.split(4096)], 1), output(teachers, fresh)
    parts, weights = {name: [] for name in JOB_TABLES}, {}
    for depth in settings.depths:
        before = new_students(regime, depth, teachers, settings).to(device)
        after = imitate(before, pool, targets, steps, settings, f"{regime} {steps} {depth}")
        weights |= {f"depth{depth}.{name}": value.cpu() for name, value in after._asdict().items()}
        with torch.no_grad():
            losses = _losses(before, after, fresh, answers, pool[: settings.inputs], targets[:, : settings.inputs])
            networks = {"trained": after, "untrained": untrained_students(regime, depth, settings).to(device)}
            found = {"losses": losses} | _measure(networks, fresh, regime, settings)
        for name, table in found.items():
            parts[name].append(table.assign(regime=regime, steps=steps, depth=depth))
        log.info("%s, %d steps, depth %d: loss %.2e", regime, steps, depth, losses.loss.mean())
    for name, tables in parts.items():
        write_checked_table(folder / f"{name}.parquet", pd.concat(tables, ignore_index=True), SCHEMAS[name])
    write_tensors(folder / "students.safetensors", weights)


def _losses(before: Stack, after: Stack, fresh, answers, seen, seen_answers) -> pd.DataFrame:
    """Mean squares between outputs of students and teachers, per coordinate, a row per student.

    Columns: teacher, seed; loss (on inputs that were not trained on), seen_loss (on inputs of the pool), start_loss
    (before training), identity_loss (of a network that does nothing).
    """
    seeds = after.up.shape[1] // len(answers)

    def loss(made: torch.Tensor, expected: torch.Tensor) -> list[float]:
        return (made - expected.repeat_interleave(seeds, 0)).square().mean((1, 2)).tolist()

    columns = {
        "loss": loss(output(after, fresh), answers),
        "seen_loss": loss(output(after, seen), seen_answers),
        "start_loss": loss(output(before, fresh), answers),
        "identity_loss": loss(fresh, answers),
    }
    return _numbered(pd.DataFrame(columns), seeds)


def _numbered(table: pd.DataFrame, seeds: int) -> pd.DataFrame:
    """Rows that are networks in the order of teachers, then seeds, with these as columns."""
    return table.assign(teacher=table.index // seeds, seed=table.index % seeds)


def _measure(networks: dict[str, Stack], inputs: torch.Tensor, regime: str, settings) -> dict[str, pd.DataFrame]:
    """Tables `angles` (see depth_angles.angle_table; columns teacher, seed) and `matches` of trained networks and of
    the untrained control, which column `network` tells apart.

    `matches` (see depth_rosetta.best_partners) have columns kind (between the students of a teacher, inside a student),
    teacher, seed_a, seed_b.
    """
    angles, matches = [], []
    for name, stack in networks.items():
        for teacher, members in _by_teacher(stack, inputs, seeds_of(regime, settings)):
            for seed, (states, _) in enumerate(members):
                found = angle_table(*layer_angles(states)).assign(network=name, teacher=teacher, seed=seed)
                angles.append(found)
            for (one, (_, a)), (other, (_, b)) in itertools.combinations_with_replacement(enumerate(members), 2):
                kind = INSIDE if one == other else BETWEEN
                pair = {"network": name, "kind": kind, "teacher": teacher, "seed_a": one, "seed_b": other}
                matches.append(best_partners(a, b, settings.hidden, kind == INSIDE).assign(**pair))
    return {"angles": pd.concat(angles, ignore_index=True), "matches": pd.concat(matches, ignore_index=True)}


def _by_teacher(stack: Stack, inputs: torch.Tensor, seeds: int) -> Iterator[tuple[int, list]]:
    """Of every teacher's students: states [(inputs, width)] and activations (neurons, inputs), layer by layer."""
    for teacher in range(stack.up.shape[1] // seeds):
        members = []
        for network in range(teacher * seeds, (teacher + 1) * seeds):
            states, neurons = run(stack.one(network), inputs)
            members.append(([state[0] for state in states], torch.cat([layer[0].T for layer in neurons])))
        yield teacher, members
