"""All tables that a study and its companions write."""

from rosetta_scaling.schemas.tables import (
    continued,
    depth,
    filtering,
    fits,
    images,
    lottery,
    matching,
    mixture,
    points,
    selectivity,
    sources,
    transport,
    viewer,
)
from rosetta_scaling.schemas.tables.schema import TableSchema

STUDY: dict[str, TableSchema] = points.OF_STUDY | selectivity.OF_STUDY | sources.OF_STUDY | fits.FIT_TABLES
STUDY |= {"power": fits.POWER, "settled": fits.SETTLED}
COMPANIONS: dict[str, dict[str, TableSchema]] = {
    "lottery": lottery.TABLES_OF_STUDY,
    "depth": depth.STUDENTS,
    "mixture": mixture.TABLES_OF_STUDY,
    "filtering": filtering.TABLES_OF_STUDY,
}
CHAPTERS: dict[str, tuple[TableSchema, ...]] = {
    "What people read": (*STUDY.values(), continued.CONTINUED, transport.TRANSPORT, sources.AUDIT),
    "Documents, units and contexts": (sources.DOCUMENTS, sources.UNITS, sources.TOKENS, selectivity.CONTEXTS),
    "The same where networks see": tuple(images.OF_IMAGES.values()),
    "Matches": (*matching.TABLES, transport.TRANSPORTED),
    "Points": (points.ROSETTA, *points.OF_POINT.values(), fits.SIMULATED, fits.FEWER_DRAWS),
    "Selectivity": (
        selectivity.NEURON_TABLE,
        selectivity.TOKENS_OF_NEURONS,
        *selectivity.OF_CURVE.values(),
        selectivity.EXAMPLES,
        selectivity.JUDGEMENT,
        selectivity.JUDGED,
    ),
    "Viewer": (viewer.VIEWED,),
    "Companion study: lottery tickets": lottery.TABLES,
    "Companion study: inverse depth scaling": depth.TABLES,
    "Companion study: capacity and rare tasks": mixture.TABLES,
    "Companion study: data filtering": filtering.TABLES,
}
