"""The study of lottery tickets: see catalogue.py for what every companion study has."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from rosetta_scaling.claims.verdicts import Claim
from rosetta_scaling.companions.lottery import claims as lottery_claims
from rosetta_scaling.companions.lottery import links as lottery_links
from rosetta_scaling.companions.lottery import results as lottery_results
from rosetta_scaling.companions.lottery.activations import activation_table
from rosetta_scaling.companions.lottery.ensembles import ensemble_table
from rosetta_scaling.config.companions.lottery import LotterySettings

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure


def run_job(settings: LotterySettings, job: str, device: "torch.device", folder: Path) -> None:
    """Train all widths with one activation, either for one length or on the quadratic form."""
    from rosetta_scaling.companions.lottery.networks import square_job
    from rosetta_scaling.companions.lottery.quadratic import quadratic_job

    path, (kind, what) = folder / lottery_results.NETWORKS, job.split("-")
    if kind == "quadratic":
        quadratic_job(settings, what, device, path)
    else:
        square_job(settings, kind, int(what), device=device, path=path)


def make_tables(settings: LotterySettings, jobs: Path) -> dict[str, pd.DataFrame]:
    """All tables of the study by name, from the folder of its jobs."""
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


def draw(settings: LotterySettings, tables: dict[str, pd.DataFrame]) -> dict[str, tuple["Figure", pd.DataFrame]]:
    """Figures by name, each with the rows that it draws."""
    from rosetta_scaling.companions.lottery import figures, link_figures
    from rosetta_scaling.report.figures.entry import draw_figures

    return draw_figures([*figures.FIGURES, *link_figures.FIGURES], settings, tables)
