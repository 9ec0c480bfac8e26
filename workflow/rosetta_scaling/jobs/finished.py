"""What is done when a study has come to its end."""

import shutil

from rosetta_scaling.layout.layout import Layout


def remove_unfinished(layout: Layout) -> None:
    """Delete what jobs kept in case they were killed."""
    for key in layout.model_keys:
        shutil.rmtree(layout.unfinished(key), ignore_errors=True)
    shutil.rmtree(f"{layout.results}/work", ignore_errors=True)
