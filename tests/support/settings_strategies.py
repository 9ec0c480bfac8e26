"""Values of the configuration for hypothesis, derived from the typed model: legal ones, and values that are not.

Fields, bounds, choices and sections are read from the model, so a new key is fuzzed as soon as it exists. Only what the
model checks between keys is built by hand: names that must be known, heads that divide a width.
"""

import math
import types
import typing
from collections.abc import Iterator

import annotated_types
import yaml
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from rosetta_scaling import WORKFLOW
from rosetta_scaling.config.families import Family
from rosetta_scaling.config.ladder import Ladder, Size
from rosetta_scaling.config.parsing import load
from rosetta_scaling.config.study import Study

FAR = 10**6  # beyond a bound; now and then much further
FURTHEST = (2**31, 2**63, 10**19)
NAMES = ("a", "b2", "c_c", "0", "study")
NOT_NUMBERS = (math.inf, -math.inf, math.nan)  # nothing in a study may be endless
ANYTHING = st.recursive(
    st.sampled_from(NOT_NUMBERS) | st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=6,
)  # what a YAML file may hold


# -- one value -------------------------------------------------------------------------------------------------------


def legal(annotation, metadata: tuple = ()) -> st.SearchStrategy:
    """Plain values that one annotation with its bounds accepts, those at the bounds and far from them among them."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        inner, *more = arguments
        return legal(inner, (*metadata, *_unfolded(more)))
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([legal(one, metadata) for one in arguments])
    if origin in (list, tuple):
        return _sequences(arguments, metadata)
    if origin is dict:
        return st.dictionaries(legal(arguments[0]), legal(arguments[1]), max_size=4)
    if annotation is type(None):
        return st.none()
    if annotation is bool:
        return st.booleans()
    if annotation is int:
        return _integers(metadata)
    if annotation is float:
        return _floats(metadata)
    if annotation is str:
        return _texts(metadata)
    return section(annotation)


def of_field(field: FieldInfo) -> st.SearchStrategy:
    return legal(field.annotation, tuple(field.metadata))


@st.composite
def section(draw, model: type[BaseModel]) -> dict:
    """Values of a section: all required keys, and a few of the others; what is not named has its default."""
    required = [name for name, field in model.model_fields.items() if field.is_required()]
    others = [name for name in model.model_fields if name not in required]
    few = draw(st.lists(st.sampled_from(others), unique=True, max_size=3)) if others else []
    return {name: draw(of_field(model.model_fields[name])) for name in (*required, *few)}


def _unfolded(metadata) -> list:
    return [one for part in metadata for one in (part.metadata if isinstance(part, FieldInfo) else [part])]


def _bound(metadata, *names: str):
    """The value of the first of these constraints, if there is one."""
    found = (getattr(one, name) for one in metadata for name in names if getattr(one, name, None) is not None)
    return next(found, None)


def _integers(metadata) -> st.SearchStrategy[int]:
    step = _bound(metadata, "multiple_of") or 1
    low, above = _bound(metadata, "ge"), _bound(metadata, "gt")
    low = low if above is None else above + 1
    high = _bound(metadata, "le")
    bottom = -FAR if low is None else low
    top = bottom + FAR if high is None else high
    near = st.integers(math.ceil(bottom / step), min(math.ceil(bottom / step) + 40, top // step))
    choices = [near, near, st.integers(math.ceil(bottom / step), top // step)]
    if high is None:
        choices.append(st.sampled_from([number // step for number in FURTHEST]))
    return st.one_of(choices).map(lambda number: number * step)


def _floats(metadata) -> st.SearchStrategy[float]:
    low, above = _bound(metadata, "ge"), _bound(metadata, "gt")
    high, below = _bound(metadata, "le"), _bound(metadata, "lt")
    return st.floats(
        low if above is None else above,
        high if below is None else below,
        exclude_min=above is not None,
        exclude_max=below is not None,
        allow_nan=False,
        allow_infinity=False,
    )


def _texts(metadata) -> st.SearchStrategy[str]:
    pattern = _bound(metadata, "pattern")
    return st.from_regex(pattern, fullmatch=True) if pattern else st.text(max_size=12)


def _sequences(arguments: tuple, metadata: tuple) -> st.SearchStrategy[list]:
    if len(arguments) == 1 or arguments[-1] is Ellipsis:
        least = max((one.min_length for one in metadata if isinstance(one, annotated_types.MinLen)), default=0)
        return st.lists(legal(arguments[0]), min_size=least, max_size=least + 4)
    return st.tuples(*map(legal, arguments)).map(list)


# -- a whole study ---------------------------------------------------------------------------------------------------


@st.composite
def studies(draw) -> dict:
    """A study whose names are known to each other; up to three of its other sections are not the default ones.

    Mostly its networks differ and budgets are ample, so that it can be planned.
    """
    rungs = draw(st.dictionaries(st.sampled_from(NAMES), sizes(), min_size=1, max_size=4))
    named = draw(st.lists(st.sampled_from(NAMES), min_size=2, max_size=4, unique=True))
    families: dict[str, dict] = {}
    for name in named:
        trained = [one for one in families if families[one]["source"] != "untrained"]
        families[name] = draw(family(list(rungs), trained, len(families)))
    members = st.lists(st.sampled_from(named), min_size=2, max_size=3, unique=True)
    values = {
        "study": draw(of_field(Study.model_fields["study"])),
        "families": families,
        "ladder": draw(section(Ladder)) | {"rungs": rungs},
        "curves": draw(st.dictionaries(of_key("curves"), members, min_size=1, max_size=3)),
    }
    others = [name for name in Study.model_fields if name not in values]
    for name in draw(st.lists(st.sampled_from(others), unique=True, max_size=3)):
        values[name] = draw(of_field(Study.model_fields[name]))
    if draw(st.integers(0, 7)):
        values.setdefault("units", {})["max_tokens"] = min(128, values["ladder"].get("context", 128))
    if draw(st.integers(0, 3)):
        ample = {
            "memory_mb": draw(st.sampled_from([10**4, 10**6])),
            "scratch_gb": draw(st.sampled_from([1e-3, 1e6, 1e6])),
        }
        values.setdefault("matching", {}).update(ample)
    return values


def of_key(field: str) -> st.SearchStrategy[str]:
    """Names that a dictionary of the study may have as keys."""
    return legal(typing.get_args(Study.model_fields[field].annotation)[0])


@st.composite
def sizes(draw) -> dict:
    """A rung: heads of an even size, mostly few layers."""
    values = draw(section(Size))
    if draw(st.integers(0, 11)):
        values["layers"] = draw(st.integers(1, 8))
    heads = draw(st.integers(1, 8))
    return values | {"heads": heads, "hidden_size": 2 * heads * draw(st.integers(2, 32) | st.sampled_from([10**3]))}


@st.composite
def family(draw, rungs: list[str], trained: list[str], number: int) -> dict:
    """A family of any source but local folders; its networks stand at some of the rungs.

    Families of another `number` mostly have other networks.
    """
    values = draw(section(Family)) | {"modality": "text", "rungs": None, "models": None}
    if draw(st.integers(0, 5)):
        values["seed"] = number
    source = draw(st.sampled_from(["ladder", "ladder", "hub", "package", *(["untrained"] if trained else [])]))
    values |= {"source": source, "of": draw(st.sampled_from(trained)) if source == "untrained" else None}
    if source == "ladder":
        values |= {key: draw(of_field(Family.model_fields[key])) for key in ("architecture", "vocabulary")}
        values["architecture"] = values["architecture"] or "llama"
        if draw(st.integers(0, 11)) or not values["vocabulary"]:
            values["vocabulary"] = 300
        values["rungs"] = draw(st.none() | st.lists(st.sampled_from(rungs), min_size=1, unique=True))
    elif source != "untrained":
        some = draw(st.lists(st.sampled_from(rungs), min_size=1, unique=True))
        values["models"] = {rung: draw(st.sampled_from(PUBLISHED[source][number::4])) for rung in some}
    return values


def _published() -> dict[str, list[str]]:
    """Networks that workflow/models/ knows, by source: nobody is asked for their sizes."""
    hub = yaml.safe_load((WORKFLOW / "models/public.yaml").read_text())
    packages = yaml.safe_load((WORKFLOW / "models/packages.yaml").read_text())
    return {"hub": [f"{known['repository']}@main" for known in hub.values()], "package": list(packages)}


PUBLISHED = _published()


# -- what is wrong ---------------------------------------------------------------------------------------------------

SMOKE = load(WORKFLOW / "studies/smoke.yaml").model_dump(mode="json")


def places(model: type[BaseModel], values: dict, path: tuple = ()) -> Iterator[tuple[tuple, type]]:
    """Every key of `values`, at any depth, as a path, with the annotation of what may stand there."""
    for name, field in model.model_fields.items():
        yield (*path, name), typing.Annotated[field.annotation, field]
        for step, inner, value in _sections_in(field.annotation, values[name]):
            yield from places(inner, value, (*path, name, *step))


def _sections_in(annotation, value) -> Iterator[tuple[tuple, type[BaseModel], dict]]:
    """The sections that a value is or holds: the way to them, their model, their values."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield (), annotation, value
    elif value and typing.get_origin(annotation) in (list, dict):
        inner = typing.get_args(annotation)[-1]
        steps = value.items() if isinstance(value, dict) else enumerate(value)
        for step, one in steps:
            for way, model, values in _sections_in(inner, one):
                yield (step, *way), model, values


PLACES = dict(places(Study, SMOKE))


@st.composite
def wrong_values(draw) -> tuple[tuple, object]:
    """A place in the smoke study, and a value that its annotation does not accept."""
    path = draw(st.sampled_from(list(PLACES)))
    adapter = TypeAdapter(PLACES[path])
    return path, draw(ANYTHING.filter(lambda value: value in NOT_NUMBERS or not accepts(adapter, value)))


def accepts(adapter: TypeAdapter, value: object) -> bool:
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True


def changed(values: dict, path: tuple, new: object) -> dict:
    """A copy of nested values with another one at a path."""
    if not path:
        return new
    copy = values.copy()
    copy[path[0]] = changed(values[path[0]], path[1:], new)
    return copy


def at(values: dict, path: tuple) -> object:
    """What stands at a path of nested values."""
    return at(values[path[0]], path[1:]) if path else values


# Sections whose keys are those of a model; names of families, rungs, curves and forecasts are the user's own.
SECTIONS = [(), *(path[:-1] for path in PLACES if path[:-1])]
