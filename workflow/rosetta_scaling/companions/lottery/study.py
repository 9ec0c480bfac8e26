"""The study of lottery tickets: see catalogue.py for what every companion study has."""

from pathlib import Path

import pandas as pd

from rosetta_scaling.claims.verdicts import Claim
from rosetta_scaling.companions.lottery import claims as lottery_claims
from rosetta_scaling.companions.lottery import links as lottery_links
from rosetta_scaling.companions.lottery import results as lottery_results
from rosetta_scaling.companions.lottery.activations import activation_table
from rosetta_scaling.companions.lottery.ensembles import ensemble_table
from rosetta_scaling.config.companions.lottery import LotterySettings

FITTED = ["activation", "steps", "first", "last", "alpha", "c"]  # what a figure of losses draws of the fits


def run_job(settings: LotterySettings, job: str, device: object, folder: Path) -> None:
    """Train all widths with one activation: for one length, or on the quadratic form."""
    from rosetta_scaling.companions.lottery.networks import square_job
    from rosetta_scaling.companions.lottery.quadratic import quadratic_job

    path, (kind, what) = folder / lottery_results.NETWORKS, job.split("-")
    if kind == "quadratic":
        quadratic_job(settings, what, device, path)
    else:
        square_job(settings, kind, int(what), device, path)


def make_tables(settings: LotterySettings, jobs: Path) -> dict[str, pd.DataFrame]:
    runs = lottery_results.read_runs(settings, jobs)
    tickets = lottery_links.ticket_table(settings, runs)
    return {
        "losses": lottery_results.loss_table(settings, runs),
        "curves": lottery_results.curve_table(settings, runs),
        "slopes": lottery_results.slope_table(settings, runs),
        "fits": lottery_results.fit_table(settings, runs),
        "differences": lottery_results.difference_table(settings, runs),
        "ensembles": ensemble_table(settings, runs),
        "pairs": lottery_links.pair_table(settings, runs),
        "tickets": tickets,
        "modes": lottery_links.mode_table(settings, runs, tickets),
        "neurons": lottery_links.neuron_table(settings, runs),
        "matches": lottery_links.match_table(settings, runs),
        "activations": activation_table(settings, runs, jobs),
    }


def judge(settings: LotterySettings, tables: dict[str, pd.DataFrame]) -> list[Claim]:
    return lottery_claims.judge(tables, settings)


def draw(settings: LotterySettings, tables: dict[str, pd.DataFrame]) -> dict[str, tuple[object, pd.DataFrame]]:
    from rosetta_scaling.companions.lottery import figures, link_figures

    losses = tables["losses"].merge(tables["fits"][FITTED])
    better = tables["ensembles"][tables["ensembles"].group == "good half"]
    tickets = tables["tickets"]
    kept = tickets[tickets.share >= settings.mode_share]
    best = kept[kept["mode"] == kept.groupby(["activation", "steps"])["mode"].transform("min")]
    return {
        "losses": (figures.draw_losses(losses), losses),
        "slopes": (figures.draw_slopes(tables["slopes"], settings.window), tables["slopes"]),
        "curves": (figures.draw_curves(tables["curves"], settings.constant), tables["curves"]),
        "ensembles": (figures.draw_ensembles(better), better),
        "modes": (link_figures.draw_modes(tickets, settings.mode_share), tickets),
        "tickets": (link_figures.draw_tickets(best), best),
        "neurons": (link_figures.draw_neurons(tables["neurons"]), tables["neurons"]),
        "pairs": (link_figures.draw_shares(tables["pairs"], "share of neurons in pairs"), tables["pairs"]),
        "matches": (link_figures.draw_shares(tables["matches"], "share of neurons shared"), tables["matches"]),
        "activations": (link_figures.draw_activations(tables["activations"]), tables["activations"]),
    }
