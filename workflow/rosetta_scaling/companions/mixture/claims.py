"""Claims of the companion study of mixtures: each with its verdict, by thresholds in the settings, and its caveat.

Here are those about closed forms and linear networks; those about networks with ReLU are in rosetta_claims.py.
"""

import numpy as np
import pandas as pd

from rosetta_scaling.claims.verdicts import (
    INCONCLUSIVE,
    NOT_SUPPORTED,
    SUPPORTED,
    Claim,
    cell,
    combine,
    inside,
    span,
    vote,
    votes_inside,
    withhold,
)
from rosetta_scaling.companions.mixture.networks import matching_share
from rosetta_scaling.companions.mixture.rosetta_claims import FORM, PAPER, judge_rosetta
from rosetta_scaling.config.companions.mixture import MixtureSettings

NEGLIGIBLE = 1e-3  # of a loss that is 1 where nothing is learned


def judge(tables: dict[str, pd.DataFrame], settings: MixtureSettings) -> list[Claim]:
    """All claims, each with a caveat, from the tables of results.py."""
    return [
        _optimum(tables["optimum"], settings),
        _utility(tables["optimum"], settings),
        _law(tables["exponents"], settings),
        _data_scaling(tables["exponents"], settings),
        _retention(tables["retention"], tables["trends"], settings),
        _survives(tables["retention"], settings),
        _gradient(tables["retention"], tables["trends"], settings),
        _interference(tables["injection"], tables["trends"], settings),
        _learn_and_forget(tables["injection"], tables["trends"], settings),
        _gap(tables["gaps"], settings),
        *judge_rosetta(tables, settings),
    ]


def trend(row: pd.Series, direction: int, settings: MixtureSettings) -> str:
    """Does a rank correlation surely lie beyond the threshold on one side, or surely not on that side of zero?"""
    low, high = sorted(direction * end for end in (row.low, row.high))
    return vote(low >= settings.trend, high <= 0)


def _optimum(rows: pd.DataFrame, settings: MixtureSettings) -> Claim:
    votes = votes_inside(rows, -np.inf, settings.population.tolerance, low="excess_low", high="excess_high")
    worst = rows.loc[rows.excess.idxmax()]
    return Claim(
        words="Gradient descent leaves the sum of the utilities that do not fit",
        source=f"{PAPER}, theorem 3",
        verdict=combine(votes),
        votes=len(votes),
        statistic=f"excess over L*(N): at most {cell(worst, 'excess', FORM)}, at width {worst.width:.0f}",
        sentence=f"The loss comes within {settings.population.tolerance:.0%} of the closed form at "
        f"{votes.count(SUPPORTED)} of {len(votes)} widths, and surely does not at {votes.count(NOT_SUPPORTED)}.",
        caveat="The networks are linear and the loss is the one over endless data. What is tested is that gradient "
        "descent finds the optimum in the steps it has; that this is the optimum is algebra.",
    )


def _utility(rows: pd.DataFrame, settings: MixtureSettings) -> Claim:
    apart = rows[rows.told_apart]
    ahead = (apart.kept_utility_low >= settings.population.kept) & (apart.kept_utility_low > apart.kept_frequency_high)
    behind = apart.kept_utility_high <= apart.kept_frequency_low
    votes = [vote(*pair) for pair in zip(ahead, behind, strict=True)]
    return Claim(
        words="Features are kept in order of utility, not of the frequency of their task",
        source=f"{PAPER}, theorem 3",
        verdict=combine(votes),
        votes=len(votes),
        statistic=f"energy kept of the most useful features: {span(apart.kept_utility)}; of those of the most "
        f"frequent tasks: {span(apart.kept_frequency)}",
        sentence=f"At {votes.count(SUPPORTED)} of {len(votes)} widths at least {settings.population.kept:.0%} of the "
        "energy of the N most useful features is kept, and less of the N features that frequency would choose.",
        caveat=f"Judged where the two orders name different features and no utilities tie: {len(apart)} of {len(rows)} "
        "widths. Simple and complex tasks alternate so that the orders differ.",
    )


def _law(rows: pd.DataFrame, settings: MixtureSettings) -> Claim:
    rows = rows[rows.of == "mixture"]
    off = (rows.exponent - rows.expected).abs()
    votes = [SUPPORTED if one <= settings.law.tolerance else NOT_SUPPORTED for one in off]
    cells = [f"a {row.a:g}, b {row.b:g}: {row.exponent:.3f} for {row.expected:.3f}" for row in rows.itertuples()]
    low, high = settings.law.window
    return Claim(
        words="Steps of single tasks add up to a power law with exponent min(a, b) - 1",
        source=f"{PAPER}, theorem 3, for frequencies k^-a and spectra j^-b",
        verdict=combine(votes),
        votes=len(votes),
        statistic="; ".join(cells),
        sentence=f"Fitted to the closed form at widths {low:g} to {high:g}, the exponent is within "
        f"{settings.law.tolerance:g} of it for {votes.count(SUPPORTED)} of {len(votes)} mixtures.",
        caveat="This is arithmetic, not training. The nearer a and b are to each other, the later the power law sets "
        "in; at a = b there is a logarithm on top.",
    )


def _data_scaling(rows: pd.DataFrame, settings: MixtureSettings) -> Claim:
    """The paper's own step from two exponents to what small models cannot learn, taken literally."""
    law = settings.law
    slopes = rows.set_index("of").exponent
    gap = slopes["endless data"] - slopes["compute-optimal"]
    verdict = SUPPORTED if gap > law.tolerance else NOT_SUPPORTED
    return Claim(
        words="With endless data loss falls with a larger exponent of size than along the compute-optimal path",
        source=f"{PAPER}, section 2",
        verdict=verdict,
        statistic=f"exponents {slopes['endless data']:.3f} and {slopes['compute-optimal']:.3f}; the paper's "
        f"{law.alpha:g} and {law.gamma:g}",
        sentence="In a law that is a sum of powers of size and of data both exponents are the same. Larger means by "
        f"more than {law.tolerance:g}. What remains is a constant: with endless data a network matches a "
        f"compute-optimal one only from {matching_share(law.alpha, law.beta):.2f} of its size on.",
        caveat="The paper's exponents are of measured losses; the verdict is about what its own formula implies. Its "
        "conclusion, that no amount of data replaces size, stands on the constant.",
    )


def _retention(rows: pd.DataFrame, trends: pd.DataFrame, settings: MixtureSettings) -> Claim:
    row = trends[trends.quantity == "rare_loss"].iloc[0]
    end, probe = (rows[rows.moment == moment] for moment in ("end", "probe"))
    worst = end.loc[end.rare_loss.idxmax()]
    return Claim(
        words="Wider networks retain more of a rare task through training on common ones",
        source=f"{PAPER}, section 3 and figure 8",
        verdict=trend(row, -1, settings),
        statistic=f"rank correlation of the rare loss with width {cell(row, form=FORM)}",
        sentence=f"{settings.retention.again:,} steps after the burst the loss of the rare task is "
        f"{end.rare_loss.iloc[0]:.2f} at width {end.width.iloc[0]}, at most {worst.rare_loss:.2f} (at width "
        f"{worst.width}), and {end.rare_loss.iloc[-1]:.2f} at width {end.width.iloc[-1]}; "
        f"{settings.retention.probe} steps after the burst it is at most {probe.rare_loss.max():.2f} (at width "
        f"{probe.loc[probe.rare_loss.idxmax()].width:.0f}).",
        caveat="The burst forces every network to learn the rare task first, which all that have a neuron for each of "
        "its features do; none is told to keep it. Its decoder is that of "
        "the burst: once common tasks have taken its neurons over it reads what is theirs, the more of it the more "
        "neurons there are, so among narrow networks the loss rises above 1 and with width. The energy that is left "
        "tells forgetting apart from that.",
    )


def _survives(rows: pd.DataFrame, settings: MixtureSettings) -> Claim:
    """When the rare task is not drawn any more, its features come after all others: it needs neurons to spare."""
    tasks = settings.tasks
    common, total = tasks.total - tasks.features, tasks.total
    end = rows[rows.moment == "end"]
    wide, narrow = end[end.width >= total], end[end.width <= common]
    kept = settings.retention.kept
    votes = votes_inside(wide, kept, np.inf, low="energy_low", high="energy_high")
    votes += votes_inside(narrow, -np.inf, 1 - kept, low="energy_low", high="energy_high")
    between = end[(end.width > common) & (end.width < total)]
    return Claim(
        words="A rare task survives exactly where neurons are left for it",
        source=f"{PAPER}, proposition 6, for a task that is drawn no more",
        verdict=combine(votes),
        votes=len(votes),
        statistic=f"energy of its features left: {span(narrow.energy)} at widths up to {common}, "
        f"{span(between.energy)} between, {span(wide.energy)} from {total} on",
        sentence=f"Common tasks have {common} features and all tasks {total}. At {votes.count(SUPPORTED)} of "
        f"{len(votes)} widths outside of these the energy left is below {1 - kept:.0%} or above {kept:.0%} as "
        f"predicted; at {votes.count(NOT_SUPPORTED)} it surely is not.",
        caveat="Energy is what the best decoder could still use, so it may be there while the decoder of the burst "
        f"fails: the loss at width {total} is {end[end.width >= total].rare_loss.iloc[0]:.2f}.",
    )


def _gradient(rows: pd.DataFrame, trends: pd.DataFrame, settings: MixtureSettings) -> Claim:
    row = trends[trends.quantity == "gradient"].iloc[0]
    burst = rows[rows.moment == "burst"]
    return Claim(
        words="The gradient of common tasks that meets a rare task weakens with width",
        source=f"{PAPER}, theorem 4 and corollary 5",
        verdict=trend(row, -1, settings),
        statistic=f"rank correlation of its norm after the burst with width {cell(row, form=FORM)}",
        sentence=f"By the encoder, the norm is {burst.gradient.iloc[0]:.2f} at width {burst.width.iloc[0]} and "
        f"{burst.gradient.iloc[-1]:.2f} at width {burst.width.iloc[-1]}.",
        caveat="Part of it is the loss that the burst does to common tasks, which is smaller where neurons are to "
        "spare.",
    )


def _interference(rows: pd.DataFrame, trends: pd.DataFrame, settings: MixtureSettings) -> Claim:
    """Random directions are nearly orthogonal in wide networks, so a spread that falls proves nothing by itself."""
    of = {name: trends[trends.quantity == name].set_index("gap") for name in ("spread", "beyond_chance")}
    votes = []
    for gap in of["spread"].index:
        raw, beyond = (trend(of[name].loc[gap], -1, settings) for name in of)
        votes.append(withhold(raw, beyond != SUPPORTED))
    ratio, peak = rows.beyond_chance, rows.loc[rows.spread.idxmax()]
    return Claim(
        words="Gradients of common examples are more nearly orthogonal to the rare task in wider networks",
        source=f"{PAPER}, section 4.4",
        verdict=combine(votes),
        votes=len(votes),
        statistic="rank correlation with width of the root mean square cosine, and of its ratio to chance: "
        + "; ".join(
            f"gap {gap} {cell(of['spread'].loc[gap], form=FORM)}, {cell(of['beyond_chance'].loc[gap], form=FORM)}"
            for gap in of["spread"].index
        ),
        sentence=f"The root mean square cosine is {span(rows.spread, '.3f')}, which is {span(ratio, '.1f')} times that "
        "of random directions of as many weights. It is "
        f"largest at width {peak.width:.0f}, where the mean cosine is {peak.cosine:.2f}.",
        caveat="Supported takes a fall beyond what more weights alone bring. Narrow networks have given the rare task "
        "up, so their gradients meet it as random ones would; wide ones have learned it, and nothing pulls at it any "
        "more. What opposes it is a network that common tasks just fill.",
    )


def _learn_and_forget(rows: pd.DataFrame, trends: pd.DataFrame, settings: MixtureSettings) -> Claim:
    gap = max(settings.injection.gaps)
    row = trends[(trends.quantity == "swing") & (trends.gap == gap)].iloc[0]
    rows = rows[rows.gap == gap]
    narrow, wide = rows.iloc[0], rows.iloc[-1]
    verdict = withhold(trend(row, -1, settings), not narrow.swing_low > wide.swing_high)
    return Claim(
        words="Narrow networks learn rare examples and forget them, wide ones accumulate them",
        source=f"{PAPER}, figure 4",
        verdict=verdict,
        statistic="rank correlation with width of what an injection teaches and the gap undoes: "
        f"{cell(row, form=FORM)}",
        sentence=f"At a gap of {gap} an injection lowers the rare loss from {narrow.before:.3f} to {narrow.after:.3f} "
        f"at width {narrow.width:.0f}, and from {wide.before:.3f} to {wide.after:.3f} at width {wide.width:.0f}.",
        caveat="One rate of learning and one frequency. A swing is also small where nothing is learned: narrow linear "
        "networks have to grow a direction before they can read it, and an injection is one step.",
    )


def _gap(rows: pd.DataFrame, settings: MixtureSettings) -> Claim:
    votes = [
        INCONCLUSIVE
        if max(abs(row.effect_low), abs(row.effect_high)) < NEGLIGIBLE
        else inside(row.effect_low, row.effect_high, 0, np.inf)
        for row in rows.itertuples()
    ]
    most = rows.loc[rows.effect.idxmax()]
    gaps = settings.injection.gaps
    return Claim(
        words="At one frequency, rare examples that come together teach less than evenly spread ones",
        source=f"{PAPER}, section 4 (matched-frequency injection)",
        verdict=combine(votes),
        votes=len(votes),
        statistic=f"rare loss at gap {max(gaps)} less gap {min(gaps)}: {rows.effect.min():.3f} to "
        f"{rows.effect.max():.3f}, largest at width {most.width:.0f}: {cell(most, 'effect', FORM)}",
        sentence=f"The difference is surely above zero at {votes.count(SUPPORTED)} of {len(votes)} widths and surely "
        f"not at {votes.count(NOT_SUPPORTED)}; less than {NEGLIGIBLE:g} either way decides nothing.",
        caveat="Linear networks show this effect weakly: a common gradient that has died down forgets nothing, however "
        "long the gap.",
    )
