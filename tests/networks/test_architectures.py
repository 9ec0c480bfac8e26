"""Every type of text network of transformers that can be made tiny: it is read, whatever its batches, or refused."""

import re
import time

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from tiny_networks import TOKENS, text_types, tiny_config

from rosetta_scaling.activations.forward import ForwardPass, Reading
from rosetta_scaling.activations.inputs.text import TextInputs
from rosetta_scaling.networks.manifests import describe
from rosetta_scaling.networks.model_sizes import config_size, require_planned
from rosetta_scaling.networks.self_check import check_neurons
from rosetta_scaling.networks.sizes import size_of_config
from rosetta_scaling.networks.towers import model_class
from rosetta_scaling.networks.unembedding import require_comparable
from rosetta_scaling.selectivity.output_side import output_metrics
from rosetta_scaling.store.errors import StudyError

pytestmark = pytest.mark.slow(1.5)

CPU = torch.device("cpu")
MOST = 2_000_000  # parameters of a tiny network
LENGTHS = (30, 4, 21, 11, 2)


def passages() -> pd.DataFrame:
    """Passages of random tokens, each of which is a unit."""
    passage = np.repeat(range(len(LENGTHS)), LENGTHS)
    position = np.concatenate([np.arange(length) for length in LENGTHS])
    token = np.random.default_rng(0).integers(5, TOKENS, len(passage))
    return pd.DataFrame({"passage": passage, "position": position, "token": token, "unit": range(len(passage))})


def neurons(source: ForwardPass) -> torch.Tensor:
    return torch.cat([chunk.clone() for chunk in source.chunks()], 1)


def make(config) -> torch.nn.Module:
    torch.manual_seed(0)
    model = model_class(config).from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3)
    return model


def read(config) -> str:
    """What is found of a network that is read; raises StudyError for one that is refused."""
    size = size_of_config(config)
    if size.parameters > MOST:
        return "too large"
    model = make(config)
    check_neurons(model)
    about = describe(model)
    require_comparable(model)
    output_metrics(model, top=2)
    source = ForwardPass(model, TextInputs(model, passages(), CPU), Reading(5, "float32", CPU))
    together, alone = (
        neurons(source),
        neurons(ForwardPass(model, TextInputs(model, passages(), CPU), Reading(1, "float32", CPU))),
    )
    assert float((together - alone).abs().max() / alone.abs().max()) < 1e-4, "the neurons depend on the batch"
    assert about["neurons"] == source.widths == list(size.widths)
    require_planned(config.model_type, sum(source.widths), config_size(config.to_dict(), config.model_type).neurons)
    return "read with a mask" if source.inputs.masked else "read"


@pytest.fixture(scope="module")
def found() -> dict[str, str]:
    """What became of every type: read, read with a mask, refused: why; or that it could not be tried."""
    transformers.logging.set_verbosity_error()
    results = {}
    for model_type in text_types():
        config, began = tiny_config(model_type), time.perf_counter()
        try:
            results[model_type] = "no tiny configuration" if config is None else read(config)
        except StudyError as error:
            results[model_type] = f"refused: {error}"
        except Exception as error:
            results[model_type] = f"FAILED: {error!r}"
        print(f"{model_type}: {results[model_type]} [{time.perf_counter() - began:.1f} s]", flush=True)
    return results


def test_every_type_is_read_or_refused(found):
    failed = [f"{model_type}: {result}" for model_type, result in found.items() if "FAILED" in result]
    assert not failed
    refused = [result for result in found.values() if result.startswith("refused")]
    assert all("\n" not in result and re.search("choose|not supported", result) for result in refused)


def test_most_types_are_read(found):
    read = [result for result in found.values() if result.startswith("read")]
    assert len(read) > 0.5 * len(found)


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ("gpt_neox bloom llama gpt2 opt qwen3", "read"),
        ("bert distilbert xlm marian prophetnet bert-generation longformer", "read with a mask"),
        ("whisper", "refused: WhisperModel reads input_features;"),
        ("trocr", "refused: TrOCRForCausalLM is a decoder that attends to an encoder"),
        ("xlnet fsmt", "the MLPs hand the neurons of 3 passages of 30 tokens over in the shape (30, 3, 60)"),
        ("clip siglip", "does not read tokens alone"),
        ("mixtral", "is a mixture of experts"),
        ("xmod", "has adapters in its blocks (block 0.output.adapter_modules)"),
        ("moshi", "has 60 neurons, but its configuration made the plan expect 120"),
    ],
)
def test_what_becomes_of(found, types, expected):
    for model_type in types.split():
        result = found[model_type]
        assert result == expected if expected.startswith("read") else expected in result
