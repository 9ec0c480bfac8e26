"""Tables of what a study is made from: documents, units, networks and their training."""

from rosetta_scaling.schemas.tables.common import MODEL, NEURONS
from rosetta_scaling.schemas.tables.schema import Column, TableSchema, by_name, number, text, truth, whole

FAMILY = text("family", "model family")
RUNG = text("rung", "size step")
PASSAGE = whole("passage", "number of the passage that networks read at once, from 0")
SPAN = (
    whole("start", "first character of the passage", "characters"),
    whole("end", "character after the last", "characters"),
)

DOCUMENTS = TableSchema(
    name="documents",
    file="CACHE/corpora/KEY/documents.parquet",
    rule="corpus",
    rows="a document of the corpus",
    columns=(
        whole("doc", "number of the document, in random order"),
        text("domain", "kind of text"),
        text("split", "train, validation, or probe: the text on which networks are compared"),
        text("text", "the document"),
        text("source", "where it comes from"),
        whole("bytes", "its length", "bytes"),
        text("sha256", "of the text"),
    ),
)
UNITS = TableSchema(
    name="units",
    file="units/SCOPE/units.parquet",
    rule="align_units",
    rows="a span of text between token boundaries that all tokenizers share",
    columns=(
        whole("unit", "number of the unit, from 0"),
        PASSAGE,
        *SPAN,
        text("text", "the span"),
        whole("doc", "document that it lies in"),
        text("domain", "kind of text"),
    ),
)
TOKENS = TableSchema(
    name="tokens",
    file="units/SCOPE/tokens-TOKENIZER.parquet",
    rule="index_tokens",
    rows="a token of the compared text",
    columns=(
        PASSAGE,
        whole("position", "place in the passage, from 0"),
        whole("token", "number of the token"),
        *SPAN,
        truth("special", "was it added by the tokenizer, without any text?"),
        whole("unit", "unit that ends with it; -1: none"),
    ),
)
MODELS = TableSchema(
    name="models",
    file="tables/models.csv",
    rule="tables",
    rows="a network",
    columns=(
        MODEL,
        FAMILY,
        RUNG,
        text("architecture", "class of the network"),
        text("source", "ladder (trained here), local, hub, package or untrained"),
        text("modality", "text or image"),
        whole("parameters", "all parameters", "parameters"),
        whole("non_embedding_parameters", "parameters without embeddings", "parameters"),
        whole("layers", "layers", "layers"),
        whole("hidden_size", "width of the residual stream", "channels"),
        NEURONS,
        whole("vocabulary", "tokens of the vocabulary", "tokens", missing=True),
        whole("seed", "what initial weights were drawn from", missing=True),
        whole("training_tokens", "tokens that it was trained on", "tokens", missing=True),
        number("epochs", "how often it read its training text or images, on average"),
        number(
            "validation_loss",
            "loss on held-out text, or on held-out images by the family's objective",
            "nats per token",
        ),
        number("validation_bits_per_byte", "the same, comparable across tokenizers", "bits per byte"),
        number("accuracy", "share of held-out images whose class is named right", optional=True),
        number("train_seconds", "time that training took", "seconds"),
        text("origin", "what the study calls it, with the commit that this stood for"),
        text("checkpoint", "folder of the weights"),
        text("sha256", "of the weights"),
    ),
)
TRAINING = TableSchema(
    name="training",
    file="tables/training.csv",
    rule="tables",
    rows="a network that was trained here, and a step",
    columns=(
        MODEL,
        FAMILY,
        RUNG,
        whole("step", "step of training"),
        whole("tokens", "tokens until then", "tokens"),
        number("loss", "training loss", "nats per token"),
    ),
)


def cosine(name: str, meaning: str) -> Column:
    return number(name, meaning, "cosine")


AUDIT = TableSchema(
    name="audit",
    file="tables/audit.csv",
    rule="audit",
    rows="a pair of networks",
    columns=(
        text("a", "network"),
        text("b", "network"),
        whole("identical_tensors", "tensors that both have, byte for byte", "tensors"),
        number("identical_share", "their share of the parameters of the smaller network"),
        whole("mlp_tensors", "matrices of the MLPs of one shape at one place", "tensors"),
        cosine("mlp", "of these, mean"),
        cosine("mlp_max", "of these, largest"),
        cosine("anywhere", "of matrices of the MLPs at any two places, largest"),
        cosine("embeddings", "of the embeddings, largest"),
        cosine("chance", "largest that unrelated matrices reach"),
        cosine("reordered", "of the strongest neurons with their best partners, in any order"),
        cosine("reordered_chance", "to be exceeded before networks count as reordered"),
        text(
            "verdict",
            "independent, descended (the study trains one of them further), shared embeddings, same start, shared "
            "weights or identical",
        ),
    ),
)
OF_STUDY = by_name((MODELS, TRAINING))
