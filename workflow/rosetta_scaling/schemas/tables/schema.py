"""What a table is: its columns with type, unit and meaning, and the check that it passes before it is written."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pandas as pd
from pandas.api.types import is_bool_dtype, is_integer_dtype, is_numeric_dtype

from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import write_table

Kind = Literal["text", "whole number", "number", "true or false", "bytes"]
EXPECTED = {kind: kind for kind in ("text", "true or false", "bytes")}
EXPECTED |= {"whole number": "a whole number", "number": "a number"}


@dataclass(frozen=True)
class Column:
    """One column, or every column whose name fits `pattern`.

    name      as it is written; capitals in the name of a pattern stand for what the study calls something
    kind      of its values; a number may always be missing (NaN), other values only with `missing`
    meaning   in plain words, as docs/outputs.md shows it
    unit      of its values, empty where they have none
    optional  some tables do not have it
    missing   some rows may have no value
    pattern   regular expression that names fit, where there may be several columns
    """

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    optional: bool = False
    missing: bool = False
    pattern: str | None = None

    def fits(self, name: str) -> bool:
        return bool(re.fullmatch(self.pattern, name)) if self.pattern else name == self.name

    def problem(self, values: pd.Series) -> str:
        """What is wrong with the values, or nothing; an empty column has no type."""
        known = values.dropna()
        if self.kind != "number" and not self.missing and len(known) < len(values):
            return "has rows without a value"
        if not len(known) or self._has_kind(known):
            return ""
        return f"holds {known.dtype} ({known.iloc[0]!r})"

    def _has_kind(self, known: pd.Series) -> bool:
        if self.kind == "text":
            return all(isinstance(value, str) for value in known.unique())
        if self.kind == "bytes":
            return all(isinstance(value, bytes) for value in known)
        if self.kind == "true or false":
            return is_bool_dtype(known.infer_objects()) or set(known.unique()) <= {0, 1}
        known = known.infer_objects()
        if not is_numeric_dtype(known) or is_bool_dtype(known):
            return False
        return self.kind == "number" or is_integer_dtype(known) or bool((known % 1 == 0).all())


def text(name: str, meaning: str, **more) -> Column:
    return Column(name, "text", meaning, **more)


def whole(name: str, meaning: str, unit: str = "", **more) -> Column:
    return Column(name, "whole number", meaning, unit, **more)


def number(name: str, meaning: str, unit: str = "", **more) -> Column:
    return Column(name, "number", meaning, unit, **more)


def truth(name: str, meaning: str, **more) -> Column:
    return Column(name, "true or false", meaning, **more)


def binary(name: str, meaning: str, **more) -> Column:
    return Column(name, "bytes", meaning, **more)


def bounds(of: str, low: str = "low", high: str = "high", unit: str = "") -> tuple[Column, Column]:
    """The two ends of an interval."""
    return number(low, f"lower end of the interval of {of}", unit), number(high, "upper end of the same", unit)


@dataclass(frozen=True)
class TableSchema:
    """One table.

    name     of the table, for people
    file     where it is, below results/STUDY/; capitals stand for names of the study
    rule     that writes it
    rows     what one row is
    columns  in the order in which they are written
    """

    name: str
    file: str
    rule: str
    rows: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """Names of the columns that every such table has."""
        return [column.name for column in self.columns if not column.optional and not column.pattern]

    def empty(self) -> pd.DataFrame:
        return pd.DataFrame(columns=self.names)

    def after(self, *first: Column, file: str, rule: str, rows: str) -> "TableSchema":
        """The same table with some columns before it, written to another file."""
        return replace(self, file=file, rule=rule, rows=rows, columns=(*first, *self.columns))

    def check(self, table: pd.DataFrame) -> None:
        """Raise StudyError when a table lacks a column, has one that is not described, or holds other values."""
        if missing := [name for name in self.names if name not in table]:
            raise StudyError(
                f"{self.file}: the column {missing[0]!r} is missing; mend what the rule {self.rule} writes."
            )
        for name in table:
            column = next((one for one in self.columns if one.fits(name)), None)
            if column is None:
                raise StudyError(
                    f"{self.file}: the column {name!r} is not described; describe it in schemas/tables, or mend what "
                    f"the rule {self.rule} writes."
                )
            if problem := column.problem(table[name]):
                raise StudyError(
                    f"{self.file}: the column {name!r} {problem}, but {EXPECTED[column.kind]} was expected; mend what "
                    f"the rule {self.rule} writes."
                )


def by_name(schemas: Iterable[TableSchema]) -> dict[str, TableSchema]:
    return {schema.name: schema for schema in schemas}


def write_checked_table(path: str | Path, table: pd.DataFrame, schema: TableSchema) -> None:
    """Write a table that passes its schema, as parquet or csv by the suffix of `path`."""
    schema.check(table)
    write_table(path, table)
