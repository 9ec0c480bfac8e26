"""The figures of how the networks were trained: validation loss against size, and training curves."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rosetta_scaling.report.figures import style
from rosetta_scaling.report.figures.data import training_data
from rosetta_scaling.report.figures.entry import FigureEntry
from rosetta_scaling.report.figures.panels import add_words, panels_by


def losses(models: pd.DataFrame) -> pd.DataFrame:
    """Rows of models.csv with a validation loss, in the column `loss`: bits per byte; of images that of the family."""
    return models.assign(loss=models.validation_bits_per_byte.fillna(models.validation_loss)).dropna(subset=["loss"])


def unit_of_loss(models: pd.DataFrame) -> str:
    return "of its own objective" if set(models.modality) == {"image"} else "bits per byte"


@style.styled()
def draw_loss(data: pd.DataFrame) -> Figure:
    """Validation loss in bits per byte (comparable across tokenizers) against parameters; rows of `losses`."""
    if data.empty:
        return style.empty_figure("No validation loss: no model of this study was trained or evaluated here.")
    import seaborn as sns

    figure, (axes,) = style.panels(1, height=3.4)
    families = range(data["family"].nunique())
    shared = {"data": data, "x": "non_embedding_parameters", "y": "loss", "ax": axes}
    shared |= {"hue": "family", "style": "family", "palette": [style.colour(i) for i in families]}
    style.log_axis(axes, "x", data["non_embedding_parameters"])
    sns.lineplot(**shared, dashes=False, errorbar=None, legend=False, lw=1)  # through the mean of equal sizes
    sns.scatterplot(**shared, markers=[style.marker(i) for i in families], s=45)
    axes.set(xlabel="parameters without embeddings", ylabel=f"validation loss ({unit_of_loss(data)})")
    axes.set_title(f"n = {len(data)} models")
    axes.legend(title="family")
    return figure


@style.styled()
def draw_training(data: pd.DataFrame) -> Figure:
    """Training loss against tokens, one panel per family, larger models darker; rows of `training_data`."""
    if data.empty:
        return style.empty_figure("No training curves: no model of this study was trained here.")
    import seaborn as sns

    figure, panels = panels_by(data, "family", height=2.8)
    rungs = list(data.sort_values("non_embedding_parameters")["rung"].unique())
    palette = dict(zip(rungs, sns.color_palette("mako_r", len(rungs) + 1)[1:], strict=True))
    tokens = data["tokens"]
    for axes, family, group in panels:
        style.log_axis(axes, "x", tokens, smallest=tokens[tokens > 0].min())
        lines = {"hue": "rung", "palette": palette, "units": "model", "estimator": None, "lw": 1.2}
        sns.lineplot(data=group, x="tokens", y="loss", ax=axes, legend=False, **lines)
        axes.set_title(f"{family} (n = {group['model'].nunique()} models)")
        axes.set(xlabel="", ylabel="", ylim=(0.95 * data["loss"].min(), 1.03 * data["loss"].max()))
    handles = [Line2D([], [], color=colour, label=f"{rung}") for rung, colour in palette.items()]
    names = "training tokens", "training loss (nats per token)"
    add_words(figure, handles, *names, columns=min(len(rungs), 8), title="rung")
    return figure


FIGURES = (
    FigureEntry(
        name="loss",
        title="Validation loss against size",
        place="index.html: training",
        tables=("models",),
        pick=lambda tables: losses(tables["models"]),
        draw=draw_loss,
    ),
    FigureEntry(
        name="training",
        title="Training curves",
        place="index.html: training",
        tables=("training", "models"),
        pick=lambda tables: training_data(tables["training"], tables["models"]),
        draw=draw_training,
    ),
)
