# Reads and checks the configuration, and answers the questions that rules ask. No rules here.
#
# What stands under `params` is what a result depends on beyond its input files, as plain values, because Snakemake does
# not record others: jobs run again when they change. What does not change a result (device, memory, batch size) a job
# takes from the study itself, and what the KEY in a path already stands for is not repeated.
from pathlib import Path

from rosetta_scaling.config import study as configuration
from rosetta_scaling.jobs import job as jobs
from rosetta_scaling import versions
from rosetta_scaling.schemas.nulls import NULLS, decoys, displaced_nulls
from rosetta_scaling.schemas.names import FIT_TABLES, POINT_TABLES, POLARIZATION_TABLES, REPLICATES, STUDY_TABLES
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.networks.folders import model_files

jobs.share_library()

try:
    study = configuration.parse(
        {key: value for key, value in config.items() if key != jobs.CORPUS_KEY}
    )
    layout = Layout(study)
    config[jobs.CORPUS_KEY] = layout.corpus_key
except StudyError as error:
    raise WorkflowError(str(error))


criteria = study.deciding()["matching"]["criteria"]

NAME = r"[a-z0-9][a-z0-9_]*"


def keys(source):
    """The keys of all networks from a source, as a pattern; of none, what never matches."""
    return "|".join(layout.keys_of(source)) or "(?!)"


wildcard_constraints:
    # The keys of this study only: a local folder may well lie in the cache of another one.
    key="|".join([layout.corpus_key, *layout.tokenizer_keys, *layout.model_keys]),
    hub_key=keys("hub"),
    package_key=keys("package"),
    untrained_key=keys("untrained"),
    companion="|".join(layout.companion_keys) or "(?!)",
    companion_key="|".join(layout.companion_keys.values()) or "(?!)",
    job=r"[a-z0-9_-]+",
    model=rf"{NAME}-{NAME}",
    tokenizer=rf"{NAME}(-{NAME})?",
    scope=rf"study|{NAME}-{NAME}--{NAME}-{NAME}",
    pair=rf"{NAME}-{NAME}--{NAME}-{NAME}",
    curve="|".join(layout.study.curves),
    rung=NAME,
    variant=rf"real|half[01]|({'|'.join(NULLS)})\d+",
    tile=r"\d{5}",
    group="|".join(layout.groups),
    stage="describe|detect",
    beta=r"[0-9.]+",


def cached(files):
    """Outputs in the cache, whose path names their content: a job replaces them whole, and nobody deletes them before.

    So a second study that runs at the same time on the same cache never misses what the first one has just read.
    """
    return update(files)


def text_of_model(wildcards):
    """Tokenizer and token streams that a model is trained on."""
    folder = layout.tokenizer_dir(layout.family(layout.model_keys[wildcards.key]))
    return multiext(f"{folder}/", "tokenizer.json", "tokens.npy", "held_out.npy")


def training_priority(wildcards):
    """Largest networks first, so that small jobs fill the end of the run."""
    size = study.ladder.rungs[layout.rung(layout.model_keys[wildcards.key])]
    return size.layers * size.hidden_size**2


def files_of_model(wildcards):
    """What a local folder holds: when a file changes, all that was measured on the model is measured again."""
    folder = layout.checkpoint(wildcards.model)
    local = layout.source(wildcards.model) == "local"
    return model_files(folder) if local else f"{folder}/manifest.json"


def manifest_of_original(wildcards):
    """Manifest of the network that an untrained one is made after."""
    model = layout.keys_of("untrained")[wildcards.untrained_key]
    return layout.checkpoint_manifest(layout.original(model))


def source_of_model(wildcards):
    return layout.source(wildcards.model)


def folder_of_model(wildcards):
    return layout.checkpoint(wildcards.model)


def modality_of_model(wildcards):
    return study.families[layout.family(wildcards.model)].modality


def tokenizers_of_scope(wildcards):
    return list(layout.tokenizer_files(wildcards.scope).values())


def tokenizer_names_of_scope(wildcards):
    return list(layout.tokenizer_files(wildcards.scope))


def tokenizer_file(wildcards):
    return layout.tokenizer_files(wildcards.scope)[wildcards.tokenizer]


def manifest_of_model(wildcards):
    return layout.checkpoint_manifest(wildcards.model)


def held_out_of_model(wildcards):
    """Text of a network that is trained here, which it was not trained on."""
    return f"{layout.tokenizer_dir(layout.family(wildcards.model))}/held_out.npy"


def tokens_of_model(wildcards):
    return layout.tokens(wildcards.scope, wildcards.model)


def sides(pair):
    """Scope and models of a pair."""
    a, b = layout.pairs[pair]
    return layout.scope(a, b), a, b


def source_files(scope, model, draw=None):
    """What the activations of a model, or of a fresh initialisation of it, are read or computed from.

    Nothing is matched before the audit has passed; a new audit of the same networks changes nothing.
    """
    audited = [ancient(layout.audit)]
    if layout.stores_activations:
        name = model if draw is None else f"{model}.untrained{draw}"
        return [f"{layout.activations(scope, name)}/summary.json", *audited]
    return [
        layout.checkpoint_manifest(model),
        layout.tokens(scope, model),
        *audited,
    ]


def sources_of_variant(pair, variant):
    """Files behind both models of a pair, and the units by which one is displaced."""
    scope, *models = sides(pair)
    draw = (
        int(variant.removeprefix("untrained"))
        if variant.startswith("untrained")
        else None
    )
    units = (
        [layout.units(scope)]
        if variant.startswith((*displaced_nulls(), "half"))
        else []
    )
    return [
        file for model in models for file in source_files(scope, model, draw)
    ] + units


def sources_of_tile(wildcards):
    return sources_of_variant(wildcards.pair, wildcards.variant)


def tiles_of_pair(wildcards):
    """Where the tile of a job is: another plan numbers them otherwise."""
    return str(layout.plan.tiles[wildcards.pair])


def source_of_sketch(wildcards):
    return source_files(wildcards.scope, wildcards.model)


def sketches_of_pair(wildcards):
    scope, *models = sides(wildcards.pair)
    return [layout.sketch(scope, model) for model in models]


def inputs_of_group(wildcards):
    """Candidates of every pair of a group, and sketches and activations of its models."""
    files = []
    for pair in layout.groups[wildcards.group]:
        scope, *models = sides(pair)
        files.append(layout.candidates(pair))
        for model in models:
            files += [layout.sketch(scope, model), *source_files(scope, model)]
    return sorted(set(files))


def inputs_of_match(wildcards):
    """What was found by jobs before, or else what a pair of one tile is matched from."""
    units = [layout.units(sides(wildcards.pair)[0])]
    if layout.plan.engine == "sketch":
        return [layout.rescored(wildcards.pair), *units]
    return (
        layout.found(wildcards.pair, "real")
        or sources_of_variant(wildcards.pair, "real")
    ) + units


def inputs_of_variants(pair, variants, tiled=True):
    """What several variants of a pair are matched from."""
    found = []
    for variant in variants:
        tiles = layout.tiles(pair, variant) if tiled else []
        found += tiles or sources_of_variant(pair, variant)
    return sorted(set(found))


def inputs_of_nulls(wildcards):
    """What all nulls are matched from, and the models themselves, which are matched with themselves too."""
    variants = [variant for null in NULLS for variant in layout.variants(null)]
    found = inputs_of_variants(wildcards.pair, variants, study.nulls.rows is None)
    return sorted({*found, *models_of_pair(wildcards.pair)})


def models_of_pair(pair):
    """Activations of both models and their units."""
    return [*sources_of_variant(pair, "real"), layout.units(sides(pair)[0])]


def inputs_of_stability(wildcards):
    """Both halves of the text, and the models themselves."""
    halves = inputs_of_variants(wildcards.pair, ["half0", "half1"])
    return sorted({*halves, *models_of_pair(wildcards.pair)})


def pairs_of_point(wildcards):
    """Matches, nulls and stability of every pair of a point, and the sizes of its models."""
    files = layout.summaries(wildcards.curve, wildcards.rung)
    for pair in layout.pairs_of_point(wildcards.curve, wildcards.rung):
        files += [layout.matches(*pair), layout.snapshots(*pair)]
        files += [layout.null(null, *pair) for null in (*NULLS, "own")]
        files += [layout.replicate(kind, *pair) for kind in REPLICATES]
    return files


def anchor_of_point(wildcards):
    """What the anchor of a point fires on, and its activations."""
    model = layout.points[wildcards.curve, wildcards.rung][0]
    scope = layout.scope_of_member(wildcards.curve, wildcards.rung, 0)
    contexts = f"{layout.activations(scope, model)}/contexts.parquet"
    return [contexts, layout.units(scope), *source_files(scope, model)]


def answers_by_hand(wildcards):
    """Answers that a user has put there; when there are none yet, the job says where they are expected."""
    if not study.judge.answers or study.judge.endpoint:
        return []
    path = layout.answers(wildcards.curve, wildcards.rung, wildcards.stage)
    return [path] if os.path.exists(path) else []


def files_of_embedding():
    """What a local embedding consists of."""
    folder = study.selectivity.embedding
    return [str(path) for path in sorted(Path(folder).rglob("*")) if path.is_file()]


def units_tables():
    """The unit table of every scope."""
    return sorted({layout.units(layout.scope(*pair)) for pair in layout.pairs.values()})


def tokenizer_of_model(wildcards):
    return layout.tokenizer_file(wildcards.model)


def rosetta_of_curve(wildcards):
    rungs = study.points_of(wildcards.curve)
    return [layout.rosetta(wildcards.curve, rung) for rung in rungs]


def neurons_of_curve(wildcards):
    """Selectivity of every model of a curve, on the units on which its points compare them."""
    needed = set()
    for rung in study.points_of(wildcards.curve):
        for member, model in enumerate(layout.points[wildcards.curve, rung]):
            scope = layout.scope_of_member(wildcards.curve, rung, member)
            needed.add(layout.selectivity(scope, model))
    return sorted(needed)


def pages_of_companions(wildcards):
    if not layout.companion_pages:
        raise WorkflowError(
            "this study has no companions: companions.studies is empty; name lottery, depth or mixture"
        )
    return layout.companion_pages


def companion_settings(wildcards):
    """All settings of a companion study, as plain values."""
    settings = layout.companion_settings(wildcards.companion)
    return settings.model_dump(mode="json", exclude={"elements"})


def jobs_of_companion(wildcards):
    """What its jobs have trained, and the table of published runs; when that is missing, the job says so."""
    name = wildcards.companion
    jobs = layout.companion_settings(name).jobs
    files = [f"{layout.companion_jobs(name)}/{job}/manifest.json" for job in jobs]
    runs = study.companions.depth.chinchilla if name == "depth" else None
    return files + ([runs] if runs and os.path.exists(runs) else [])


def tables_of_companion(wildcards):
    """Its own tables, and those of the depth ladder."""
    return layout.companion_tables(wildcards.companion)
