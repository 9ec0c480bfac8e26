"""Names of the tables of a study, and titles of its companion studies."""

POINT_TABLES = (
    "counts",
    "above_r",
    "planted",
    "lists",
    "decomposition",
    "snapshots",
    "layers",
    "depth",
    "diagonal",
    "isolation",
    "recurrence",
)
POLARIZATION_TABLES = ("polarization", "specialisation", "families", "trends")
STUDY_TABLES = (*POINT_TABLES, *POLARIZATION_TABLES, "judge", "seeds", "models", "training")
THEORY_TABLES = ("theory", "theory_simulation", "theory_exponents")
FIT_TABLES = (
    "fits",
    "estimators",
    "pooled",
    "rivals",
    "influence",
    "uncertainty",
    "coverage",
    "forecast",
    *THEORY_TABLES,
)
READ_FIRST = ("models", "counts", "decomposition", "polarization", "fits", "rivals")
UNMARKED = "none"
MARKS = (UNMARKED, "massive", "start", "massive start")  # of neurons that match anything (see selectivity/marks.py)
REPLICATES = ("half", "bootstrap", "subset", "subset_rotate")
COMPANION_TITLES = {
    "lottery": "Lottery-ticket ensembling",
    "depth": "Inverse depth scaling",
    "mixture": "Capacity, interference and rare tasks",
    "filtering": "Can one neuron filter data?",
}
