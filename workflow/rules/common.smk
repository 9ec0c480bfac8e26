# Reads and checks the configuration, and says which wildcards there are. No rules here.
#
# Rules take their inputs from the stages (workflow/rosetta_scaling/stages): what a rule declares stands there beside the
# work that opens it. Under `params` a rule lists what its result depends on beyond its input files, as plain values,
# because Snakemake does not record others: jobs run again when they change. What does not change a result (device,
# memory, batch size) a job takes from the study itself, and what the KEY in a path already stands for is not repeated.
import sys

# The library that lies beside these rules, also where another copy of the project is installed, or none.
sys.path.insert(0, str(project / "workflow"))

from rosetta_scaling.config import parsing
from rosetta_scaling.jobs.context import CORPUS_KEY
from rosetta_scaling.jobs.finished import remove_unfinished
from rosetta_scaling.jobs.forks import has_gpu
from rosetta_scaling.jobs.job import share_library
from rosetta_scaling.jobs.outlook import Outlook
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.config.literal_paths import require_literal
from rosetta_scaling.planning import companion_needs, needs
from rosetta_scaling.planning.expected import expected_seconds, rates_here
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.planning.transport import transporting
from rosetta_scaling.schemas.names import READ_FIRST
from rosetta_scaling.schemas.nulls import CENTRAL, NULLS
from rosetta_scaling.schemas.tables.catalogue import STUDY
from rosetta_scaling.stages.corpus import corpus_key
from rosetta_scaling.stages.networks import check_models, check_paths
from rosetta_scaling.store.errors import StudyError

share_library()

try:
    study = parsing.parse(
        {key: value for key, value in config.items() if key != CORPUS_KEY}
    )
    layout = Layout(study, corpus_key(study))
    require_literal("the folder of the project", str(project), "{}")
    check_paths(layout)
    check_models(layout)
    config[CORPUS_KEY] = layout.corpus_key
except StudyError as error:
    raise WorkflowError(str(error))

plan = StudyPlan(layout)

NAME = r"[a-z0-9][a-z0-9_]*"
NEVER = "(?!)"  # a pattern that matches nothing


def any_of(names):
    """A pattern that matches one of these names."""
    return "|".join(names) or NEVER


wildcard_constraints:
    # The keys of this study only: a local folder may well lie in the cache of another one.
    key=any_of([layout.corpus_key, *layout.tokenizer_keys, *layout.model_keys]),
    hub_key=any_of(layout.keys_of("hub")),
    package_key=any_of(layout.keys_of("package")),
    untrained_key=any_of(layout.keys_of("untrained")),
    companion=any_of(study.companions.studies),
    task=any_of(study.companions.filtering.tasks),
    companion_key=any_of(layout.companion_keys.values()),
    job=r"[a-z0-9_-]+",
    model=rf"{NAME}-{NAME}",
    tokenizer=rf"{NAME}(-{NAME})?",
    scope=rf"study|{NAME}-{NAME}--{NAME}-{NAME}",
    pair=rf"{NAME}-{NAME}--{NAME}-{NAME}",
    curve=any_of(study.curves),
    rung=NAME,
    variant=rf"real|half[01]|({any_of(NULLS)})\d+",
    tile=r"\d{5}",
    draws=r"\d+",
    group=any_of(layout.groups),
    stage="describe|detect",
    beta=r"[0-9.]+",


def declared(inputs, *wildcard_names):
    """The inputs that a stage declares for the job with these wildcards; see stages/inputs.py."""

    def of_job(wildcards):
        files = inputs(plan, *(wildcards[name] for name in wildcard_names))
        return files | {"audit": ancient(files["audit"])} if "audit" in files else files

    return unpack(of_job)


def cached(files):
    """Outputs in the cache, whose path names their content: a job replaces them whole, and nobody deletes them before.

    So a second study that runs at the same time on the same cache never misses what the first one has just read.
    """
    return update(files)


def companion_settings(wildcards):
    """All settings of a companion study, as plain values."""
    settings = layout.companion_settings(wildcards.companion)
    return settings.model_dump(mode="json", exclude={"elements"})


def pages_of_companions(wildcards):
    if not layout.companion_pages:
        raise WorkflowError(
            "this study has no companions: companions.studies is empty; name lottery, depth, mixture or filtering"
        )
    return layout.companion_pages


def study_table(name):
    """A table of the study; those that people read first stand in Snakemake's own report, too."""
    path = layout.tables(f"{name}.csv")
    if name not in READ_FIRST:
        return path
    return report(
        path,
        category="Tables",
        labels={"table": name, "one row is": STUDY[name].rows},
        caption="../report/table.rst",
    )
