"""What a paper would say of how a study was made: a paragraph of its configuration, with references."""

from rosetta_scaling.config.matching import Criterion
from rosetta_scaling.formatting import data_size, number
from rosetta_scaling.schemas.nulls import CENTRAL, NULLS

REFERENCES = (
    "Dravid, Bahri, Efros, Gandelsman (2026): Neuron populations exhibit divergent selectivity with scale. "
    "arXiv 2606.03990.",
    "Dravid, Gandelsman, Efros, Shocher (2023): Rosetta neurons: mining the common units in a model zoo. ICCV.",
    "Barber, Candès (2015): Controlling the false discovery rate via knockoffs. Annals of Statistics 43, 2055-2085.",
    "Knapp, Hartung (2003): Improved tests for a random effects meta-regression with a single covariate. Statistics in "
    "Medicine 22, 2693-2710.",
    "Mölder et al. (2021): Sustainable data analysis with Snakemake. F1000Research 10, 33.",
)


def methods_paragraph(provenance: dict) -> str:
    """How the study of a provenance.json was made, in sentences for the methods section of a paper."""
    study = provenance["configuration"]
    return " ".join(
        [
            _networks(study),
            _units(provenance),
            _matches(study),
            _nulls(study["nulls"]),
            _inference(study),
            _software(provenance),
        ]
    )


def _networks(study: dict) -> str:
    families = study["families"]
    trained = [
        f"{name} ({family['architecture']})" for name, family in families.items() if family["source"] == "ladder"
    ]
    others = [f"{name} ({_origin(family)})" for name, family in families.items() if family["source"] != "ladder"]
    sentences = []
    if trained:
        sizes = ", ".join(f"{size['layers']} x {size['hidden_size']}" for size in study["ladder"]["rungs"].values())
        sentences.append(
            f"Networks of the families {', '.join(trained)} were trained with layers x width of {sizes}, each on "
            f"{_trained_on(study)}."
        )
    if others:
        sentences.append(f"{'Further networks' if trained else 'Networks'}: {', '.join(others)}.")
    return " ".join(sentences)


def _origin(family: dict) -> str:
    if family["source"] == "continued":
        return f"{family['of']}, trained further on {family['tokens']:,} tokens of {family['domain'] or 'all text'}"
    return f"from a {family['source']}"


def _trained_on(study: dict) -> str:
    ladder = study["ladder"]
    if any(family["modality"] == "image" for family in study["families"].values()):
        return f"{ladder['tokens'] // ladder['context']:,} images with its own seed and order of images"
    return f"{ladder['tokens']:,} tokens with its own tokenizer, seed and order of text"


def _units(provenance: dict) -> str:
    corpus, units = provenance["corpus"], provenance["units"]
    if "grid" in units:
        return (
            f"The corpus held {corpus['documents']:,} images of {len(corpus['domains'])} classes. Activations are the "
            f"inputs of the MLPs' down-projections on {units['count']:,} patches of held-out images, on a common grid "
            f"of {units['grid']}."
        )
    return (
        f"The corpus held {data_size(corpus['bytes'])} of text in {len(corpus['domains'])} domains "
        f"({', '.join(corpus['domains'])}). Activations are the inputs of the MLPs' down-projections, averaged over "
        f"{units['count']:,} spans of held-out text ({units['mean_bytes']:.1f} bytes on average) between token "
        "boundaries that all networks share."
    )


def _matches(study: dict) -> str:
    primary = Criterion(**study["matching"]["criteria"][0])
    others = len(study["matching"]["criteria"]) - 1
    best = "the best partner" if primary.k == 1 else f"among the {primary.k} best partners"
    who = "each is" if primary.mutual else "the second is"
    least = f", with r of at least {primary.min_r}" if primary.min_r else ""
    return (
        f"Two neurons match when {who} {best} of the other by Pearson correlation{least}; {others} other criteria are "
        "reported beside it. A Rosetta neuron is matched in every other network of its point."
    )


def _nulls(nulls: dict) -> str:
    drawn = [(null.label, draws) for null in NULLS.values() if (draws := nulls.get(f"{null.name}_draws"))]
    listed = "; ".join(f"{label} ({draws} draw{'s' * (draws > 1)})" for label, draws in drawn)
    return (
        f"Every count was repeated under {len(drawn)} nulls: {listed}. Matches were calibrated by competition with the "
        f"decoys of {NULLS[CENTRAL].label} (as knockoffs do; Barber and Candès 2015)."
    )


def _inference(study: dict) -> str:
    return (
        f"Intervals of counts are about {study['stability']['bootstrap']} resamples of whole documents. Growth with "
        "size was estimated by one model of all points with crossed effects of networks, and effects by one "
        "meta-regression with errors after Knapp and Hartung (2003); main claims were corrected for their number by "
        "Holm, the others by Benjamini and Hochberg."
    )


def _software(provenance: dict) -> str:
    versions, machine = provenance["versions"], provenance["machine"]
    return (
        f"Everything was computed by rosetta-scaling (commit {provenance['code']['commit']}) with Snakemake "
        f"{versions['snakemake']} (Mölder et al. 2021), torch {versions['torch']} and transformers "
        f"{versions['transformers']} on {number(machine['cores'])} cores of {machine['processor']}."
    )
