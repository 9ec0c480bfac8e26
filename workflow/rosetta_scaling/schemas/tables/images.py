"""Tables of studies of images: they take the place of those of text (see sources.py) under the same names of files."""

from rosetta_scaling.schemas.tables.schema import TableSchema, binary, by_name, text, whole

IMAGE = whole("passage", "number of the image among those that are compared, from 0")
DOC = whole("doc", "number of the image, in random order")
DOMAIN = text("domain", "class of the image")
FILE = binary("image", "the image, as a file of its own format")

IMAGE_DOCUMENTS = TableSchema(
    name="image documents",
    file="CACHE/corpora/KEY/documents.parquet",
    rule="corpus",
    rows="an image of the corpus",
    columns=(
        DOC,
        DOMAIN,
        text("split", "train, or probe: the images on which networks are compared"),
        FILE,
        text("source", "where it comes from"),
        whole("bytes", "size of its file", "bytes"),
        text("sha256", "of the file"),
        text(
            "objects", "what it was drawn with: a JSON list of colour, texture, shape, x, y and radius, back to front"
        ),
    ),
)
PATCHES = TableSchema(
    name="patches",
    file="units/SCOPE/units.parquet",
    rule="align_units",
    rows="a patch of the grid on which networks are compared",
    columns=(
        whole("unit", "number of the unit, from 0"),
        IMAGE,
        whole("row", "place in the grid, from the top, from 0"),
        whole("column", "place in the grid, from the left, from 0"),
        text("content", "colour, texture and shape of the object that covers most of it, ground, or unknown"),
        binary("view", "8 x 8 pixels (RGB, one byte each) of the patch and of what lies around it"),
        DOC,
        DOMAIN,
    ),
)
SAMPLES = TableSchema(
    name="samples",
    file="units/SCOPE/tokens-images.parquet",
    rule="index_tokens",
    rows="an image that networks read",
    columns=(
        IMAGE,
        FILE,
        whole("side", "patches along a side of the grid on which networks are compared", "patches"),
    ),
)
OF_IMAGES = by_name((IMAGE_DOCUMENTS, PATCHES, SAMPLES))
