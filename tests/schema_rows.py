"""Rows that fit the schema of a table, for tests that care about some of its columns only."""

import pandas as pd

from rosetta_scaling.schemas.tables.schema import TableSchema

SAMPLES = {"text": "word", "whole number": 7, "number": 0.5, "true or false": True}


def rows_of(schema: TableSchema, rows: int, **values) -> pd.DataFrame:
    """A table with every column that the schema asks for: `values` where they are given, else a sample of its kind."""
    samples = {column.name: SAMPLES[column.kind] for column in schema.columns if column.name in schema.names}
    return pd.DataFrame(samples | values, index=range(rows))
