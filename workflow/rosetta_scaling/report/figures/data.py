"""The rows that each figure draws, picked and joined from the result tables. Counts never come without their nulls."""

import pandas as pd

from rosetta_scaling.schemas.nulls import drawn_nulls, parts_of_decomposition


def decomposed() -> dict[str, str]:
    """Column -> label of what the figure of the decomposition draws, in the order of its legend."""
    shares = {"count": "count", "calibrated_05": "calibrated, FDR 5%", "excess": "excess over the largest null"}
    return shares | parts_of_decomposition()


def primary(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the primary criterion: the first one in the table."""
    return table[table["criterion"] == table["criterion"].iloc[0]] if len(table) else table


def anchor_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the anchors of their points and of the primary set of Rosetta neurons: the first one in the table."""
    return table[table["is_anchor"].astype(bool) & (table["set"] == table["set"].iloc[0])] if len(table) else table


def primary_criterion(counts: pd.DataFrame) -> str:
    """Only the table of counts can say it: the primary criterion may have no fit, and so no row in a table of fits."""
    return counts["criterion"].iloc[0]


def largest_point(counts: pd.DataFrame) -> dict:
    """The row of the largest networks, of the first curve that has them; `counts` are those of one criterion."""
    return counts.loc[counts["neurons"].idxmax()].to_dict()


def answer_data(above_r: pd.DataFrame, counts: pd.DataFrame) -> pd.DataFrame:
    """Rosetta neurons above every correlation at the largest point, in truth and in every null."""
    top = largest_point(primary(counts))
    rows = above_r[(above_r["curve"] == top["curve"]) & (above_r["point"] == top["point"])]
    return rows.assign(models=top["models"], anchor_neurons=top["anchor_neurons"]).reset_index(drop=True)


def counted(table: pd.DataFrame, criterion: str) -> pd.DataFrame:
    """The rows of a table of fits about counts by a criterion."""
    return table[(table["criterion"] == criterion) & (table["quantity"] == "count")].reset_index(drop=True)


def counts_data(counts: pd.DataFrame, fits: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Counts beside the power law fitted against neurons: the primary criterion, and all the others."""
    lines = fits[(fits["quantity"] == "count") & (fits["x"] == "neurons")].drop(columns=["quantity", "x"])
    names = {name: f"fit_{name}" for name in lines if name not in ("curve", "criterion")}
    data = counts.merge(lines.rename(columns=names), on=["curve", "criterion"], how="left")
    main = data["criterion"].isin(primary(data)["criterion"])
    order = {criterion: i for i, criterion in enumerate(data["criterion"].unique())}
    others = data[~main].sort_values("criterion", key=lambda column: column.map(order), kind="stable")
    others = others.assign(largest_null=others["count"] - others["excess"])
    return data[main].reset_index(drop=True), others.reset_index(drop=True)


def decomposition_data(counts: pd.DataFrame, fits: pd.DataFrame) -> pd.DataFrame:
    """One row per curve, point and quantity of the primary criterion: value, range, and the exponent of its fit."""
    rows, lines = primary(counts), fits[fits["x"] == "neurons"].set_index(["curve", "criterion", "quantity"])
    tables = []
    for quantity in decomposed():
        data = rows[["curve", "point", "criterion", "neurons"]].assign(quantity=quantity, value=rows[quantity])
        data["low"], data["high"] = (rows.get(f"{quantity}_{end}", rows[quantity]) for end in ("low", "high"))
        keys = [(curve, criterion, quantity) for curve, criterion in zip(data.curve, data.criterion, strict=True)]
        data["alpha"] = lines["alpha"].reindex(keys).to_numpy()
        tables.append(data)
    return pd.concat(tables, ignore_index=True)


def null_columns() -> list[str]:
    """Columns of counts.csv that figures of counts show of the nulls."""
    return [column for null, _ in drawn_nulls() for column in null.columns]


def fraction_data(counts: pd.DataFrame) -> pd.DataFrame:
    """Counts and nulls of the primary criterion as fractions of the anchor's neurons (columns NAME_fraction)."""
    data = primary(counts).reset_index(drop=True)
    for name in null_columns():
        data[f"{name}_fraction"] = data[name] / data["anchor_neurons"]
    return data


def layers_data(layers: pd.DataFrame, counts: pd.DataFrame) -> pd.DataFrame:
    """Matches per pair of layers at the largest point of each curve of two models, and their ratio to chance."""
    pairs = counts[counts["models"].str.split().str.len() == 2].sort_values("neurons", kind="stable")
    largest = pairs.groupby("curve", sort=False)["point"].last().reset_index()
    data = layers.merge(largest, on=["curve", "point"])
    data["ratio"] = data["matches"] / data["expected"].where(data["expected"] > 0)
    return data


def diagonal_data(diagonal: pd.DataFrame, counts: pd.DataFrame) -> pd.DataFrame:
    """Matches between layers of the same relative depth, with the size of every point."""
    return diagonal.merge(primary(counts)[["curve", "point", "neurons"]])


def training_data(training: pd.DataFrame, models: pd.DataFrame) -> pd.DataFrame:
    """Training curves with the size of each model, smallest first."""
    data = training.merge(models[["model", "non_embedding_parameters"]], on="model")
    return data.sort_values(["family", "non_embedding_parameters", "model", "step"], ignore_index=True)
