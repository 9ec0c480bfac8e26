"""Numbers for people: with a minus sign, rounded, as percent, as a data size or a duration."""

from collections.abc import Callable, Mapping

import pandas as pd

MINUS = "\N{MINUS SIGN}"


def number(value: float | None, digits: int = 3) -> str:
    """Whole numbers and large ones with thousands separators, others with `digits` significant digits."""
    if value is None or pd.isna(value):
        return "\N{EN DASH}"
    text = f"{value:,.0f}" if value == round(value) or abs(value) >= 1000 else f"{value:.{digits}g}"
    return text.replace("-", MINUS)


def fixed(value: float, decimals: int = 2) -> str:
    return "\N{EN DASH}" if pd.isna(value) else f"{value:z.{decimals}f}".replace("-", MINUS)  # z: no minus before zero


def percent(value: float) -> str:
    return "\N{EN DASH}" if pd.isna(value) else f"{100 * value:.1f}%"


def interval(row: Mapping, name: str, low: str, high: str, *, form: Callable[[float], str] = fixed) -> str:
    """Value and range, `0.71 [0.60, 0.82]`. A missing value says so, because no count may stand without its null."""
    if pd.isna(row[name]):
        return "not measured"
    return f"{form(row[name])} [{form(row[low])}, {form(row[high])}]"


def data_size(count: float) -> str:
    for size, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} bytes"


def duration(seconds: float) -> str:
    if pd.isna(seconds):
        return "\N{EN DASH}"
    if seconds < 60:
        return f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
