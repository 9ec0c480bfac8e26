"""Output-side selectivity against a plain float64 computation and against what is known of it."""

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from scipy import stats
from tiny_networks import tiny_model

from rosetta_scaling.networks.linear import weight_out
from rosetta_scaling.networks.manifests import describe
from rosetta_scaling.networks.mlps import find_down_projections
from rosetta_scaling.networks.unembedding import measure_final_norm, require_comparable
from rosetta_scaling.selectivity import output_side as vocabulary
from rosetta_scaling.selectivity.output_side import METRICS, output_metrics
from rosetta_scaling.store.errors import StudyError

FOLDED = [f"{name}_folded" for name in METRICS]
NORMS = {"gpt_neox": "final_layer_norm", "bloom": "ln_f", "gpt2": "ln_f", "llama": "norm"}


def last_norm(model) -> torch.nn.Module | None:
    """The final norm by its name in each architecture."""
    if model.config.model_type == "opt":
        return model.model.decoder.final_layer_norm
    return getattr(model.base_model, NORMS[model.config.model_type])


@torch.no_grad()
def make_uneven(model, seed: int = 0):
    """Give a model what would hide a missing step if it were 1 or 0: gains, biases, means of output weights."""
    generator = torch.Generator().manual_seed(seed)
    for module in find_down_projections(model):
        weights = weight_out(module)
        scale = weights.std()
        weights += scale * torch.randn(1, weights.shape[1], generator=generator)
    norm = last_norm(model)
    if norm is not None and norm.weight is not None:
        norm.weight.copy_(torch.rand(norm.weight.shape, generator=generator) + 0.5)
        if getattr(norm, "bias", None) is not None:
            norm.bias.copy_(torch.randn(norm.bias.shape, generator=generator) + 3)
    head = model.get_output_embeddings().weight  # what all tokens share
    head += head.std() * torch.randn(head.shape[1], generator=generator)
    head[1] = 0  # as the row of a token for padding
    return model


def uneven_model(architecture: str, **sizes):
    return make_uneven(tiny_model(architecture, **sizes))


def tiny_opt(**changes):
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "ffn_dim": 40, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 300}
    config = transformers.OPTConfig(**sizes, max_position_embeddings=64, **{"word_embed_proj_dim": 8} | changes)
    return make_uneven(transformers.OPTForCausalLM(config).eval())


def array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def cosines_by_hand(model, folded: bool) -> np.ndarray:
    """The definition in float64, (neurons, vocabulary)."""
    norm, head = last_norm(model), array(model.get_output_embeddings().weight)
    out = np.concatenate([array(weight_out(module)) for module in find_down_projections(model)], 1).T
    gain = np.ones(out.shape[1]) if norm is None or norm.weight is None else array(norm.weight)
    project = array(model.model.decoder.project_out.weight).T if model.config.model_type == "opt" else None
    if folded:
        if isinstance(norm, torch.nn.LayerNorm):
            out = out - out.mean(1, keepdims=True)
        if project is None:
            head = head * gain
        else:
            out = out * gain
        head = head - head.mean(0)
    if project is not None:
        out = out @ project
    norms = np.linalg.norm(head, axis=1, keepdims=True)
    directions = np.divide(head, norms, out=np.zeros_like(head), where=norms > 0)
    return (out / np.linalg.norm(out, axis=1, keepdims=True)) @ directions.T


def assert_by_hand(model, top: int = 7) -> None:
    metrics, tokens = output_metrics(model, top=top)
    for columns, folded in ((METRICS, False), (FOLDED, True)):
        cosine = cosines_by_hand(model, folded)
        expected = [stats.kurtosis(cosine, 1), stats.skew(cosine, 1), np.var(cosine, 1)]
        np.testing.assert_allclose(metrics[list(columns)], np.stack(expected, 1), atol=1e-4)
        np.testing.assert_allclose(metrics[columns[2]], expected[2], rtol=1e-4)  # the variance is small
    ordered = np.sort(cosine, 1)  # of the folded reading
    for side, best in (("promoted", ordered[:, ::-1][:, :top]), ("suppressed", ordered[:, :top])):
        rows = tokens[tokens.side == side]
        np.testing.assert_array_equal(rows.neuron, np.repeat(np.arange(len(cosine)), top))
        np.testing.assert_array_equal(rows["rank"], np.tile(np.arange(1, top + 1), len(cosine)))
        np.testing.assert_allclose(rows.cosine, best.flatten(), atol=1e-5)
        np.testing.assert_allclose(cosine[rows.neuron, rows.token], best.flatten(), atol=1e-5)
    assert list(metrics.columns) == [*METRICS, *FOLDED]
    assert list(tokens.columns) == ["neuron", "side", "rank", "token", "cosine"]
    assert len(tokens) == 2 * top * len(metrics)


def assert_nothing(model) -> None:
    metrics, tokens = output_metrics(model)
    assert len(metrics) == sum(weight_out(module).shape[1] for module in find_down_projections(model))
    assert metrics.isna().all(axis=None)
    assert list(metrics.columns) == [*METRICS, *FOLDED]
    assert list(tokens.columns) == ["neuron", "side", "rank", "token", "cosine"]
    assert len(tokens) == 0


def test_both_readings_equal_the_definition(architecture):
    assert_by_hand(uneven_model(architecture))


@pytest.mark.parametrize(
    "changes",
    [
        {"do_layer_norm_before": False},  # as OPT-350m: no final norm
        {"do_layer_norm_before": True},
        {"do_layer_norm_before": True, "layer_norm_elementwise_affine": False},  # a norm without gain
    ],
)
def test_through_a_projection(changes):
    model = tiny_opt(**changes)
    assert_by_hand(model)
    model.second_way = torch.nn.Linear(16, 8, bias=False)
    assert_nothing(model)


def test_the_final_norm_is_measured(architecture):
    model = uneven_model(architecture)
    gain, subtracts_mean = measure_final_norm(model)
    torch.testing.assert_close(gain, last_norm(model).weight.detach(), atol=1e-4, rtol=1e-4)
    assert subtracts_mean == (architecture != "llama")


def test_a_final_norm_of_odd_width_is_measured():
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(n_embd=15, n_head=3, n_layer=2, vocab_size=300))
    make_uneven(model)
    gain, subtracts_mean = measure_final_norm(model)
    torch.testing.assert_close(gain, model.transformer.ln_f.weight.detach(), atol=1e-4, rtol=1e-4)
    assert subtracts_mean


def test_tied_embeddings():
    sizes = {"n_embd": 12, "n_head": 2, "n_layer": 2, "vocab_size": 300}
    tied, untied = (
        transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, tie_word_embeddings=tie)) for tie in (True, False)
    )
    make_uneven(tied)
    assert tied.lm_head.weight is tied.transformer.wte.weight
    assert_by_hand(tied)
    untied.load_state_dict(tied.state_dict())
    with torch.no_grad():
        untied.transformer.wte.weight.normal_()  # what goes in does not matter
    for one, other in zip(output_metrics(tied), output_metrics(untied), strict=True):
        pd.testing.assert_frame_equal(one, other)


@torch.no_grad()
def test_a_neuron_that_writes_one_token_stands_out(architecture):
    model = uneven_model(architecture, hidden=64)
    writer = weight_out(find_down_projections(model)[1])
    neuron, other = 5, 9
    writer[:, neuron] = model.get_output_embeddings().weight[42] - model.get_output_embeddings().weight.mean(0)
    writer[:, other] = -writer[:, neuron]
    metrics, tokens = output_metrics(model)
    first = weight_out(find_down_projections(model)[0]).shape[1]
    for column in ("vocab_kurtosis", "vocab_kurtosis_folded"):
        assert set(metrics[column].nlargest(2).index) == {first + neuron, first + other}, column
        assert abs(metrics[column].median()) < 0.3, "random directions are close to normal"
    strongest = tokens[tokens["rank"] == 1].set_index(["neuron", "side"])
    assert strongest.token[first + neuron, "promoted"] == 42
    assert strongest.cosine[first + neuron, "promoted"] > 0.8
    assert strongest.token[first + other, "suppressed"] == 42
    assert strongest.cosine[first + other, "suppressed"] < -0.8


@torch.no_grad()
def one_hot_model():
    """W_U holds every axis and its opposite, so that its mean row is zero; RMSNorm with a gain of one."""
    model = tiny_model("llama")
    model.lm_head = torch.nn.Linear(12, 24, bias=False)
    model.lm_head.weight.copy_(torch.cat([torch.eye(12), 0 - torch.eye(12)]))
    weight_out(find_down_projections(model)[0])[:, 3] = 5 * torch.eye(12)[7]
    return model


def test_one_hot_neuron_has_the_moments_of_its_token():
    metrics, tokens = output_metrics(one_hot_model())
    cosine = np.concatenate([np.eye(12)[7], -np.eye(12)[7]])
    expected = [stats.kurtosis(cosine), stats.skew(cosine), np.var(cosine)]
    np.testing.assert_allclose(metrics.loc[3, list(METRICS)], expected, atol=1e-4)
    np.testing.assert_allclose(metrics.loc[3, FOLDED], expected, atol=1e-4)
    # All but two cosines are zero: among equals the lower token id comes first.
    rows = tokens[tokens.neuron == 3].set_index("side")
    assert list(rows.token["promoted"]) == [7, 0, 1, 2, 3, 4, 5, 6, 8, 9]
    assert list(rows.token["suppressed"]) == [19, 0, 1, 2, 3, 4, 5, 6, 8, 9]
    np.testing.assert_allclose(rows.cosine["suppressed"], [-1] + [0] * 9, atol=1e-4)


def test_the_identity_as_unembedding():
    model = one_hot_model()
    model.lm_head = torch.nn.Linear(12, 12, bias=False)  # as wide as it is high: not to be taken for a transform
    model.lm_head.weight = torch.nn.Parameter(torch.eye(12))
    metrics, _ = output_metrics(model)
    expected = [stats.kurtosis(np.eye(12)[7]), stats.skew(np.eye(12)[7]), np.var(np.eye(12)[7])]
    np.testing.assert_allclose(metrics.loc[3, list(METRICS)], expected, atol=1e-4)


@torch.no_grad()
def test_padding_is_left_out(architecture):
    model = uneven_model(architecture)
    expected = output_metrics(model)
    garbage = 100 * torch.randn(40, 12, generator=torch.Generator().manual_seed(1)) + 50
    padded = torch.cat([model.lm_head.weight, garbage])
    model.lm_head = torch.nn.Linear(12, 340, bias=False)
    model.lm_head.weight.copy_(padded)
    for one, other in zip(output_metrics(model, vocabulary=300), expected, strict=True):
        pd.testing.assert_frame_equal(one, other, rtol=1e-4, atol=1e-5)
    metrics, tokens = output_metrics(model)
    assert (metrics - expected[0]).abs().median().min() > 1e-4, "padding would have changed every metric"
    assert tokens.token.max() >= 300


def test_more_tokens_than_rows_is_an_error():
    with pytest.raises(StudyError, match=r"300 rows.*301 tokens"):
        output_metrics(tiny_model("llama"), vocabulary=301)


@torch.no_grad()
def test_a_neuron_that_writes_nothing_has_no_number():
    model = uneven_model("gpt_neox")
    weights = weight_out(find_down_projections(model)[0])
    weights[:, 2] = 0
    weights[:, 4] = 0.3  # a LayerNorm removes what is the same in every direction
    metrics, tokens = output_metrics(model)
    assert metrics.loc[2].isna().all()
    assert metrics.loc[4, list(METRICS)].notna().all()
    assert metrics.loc[4, FOLDED].isna().all()
    assert metrics.drop(index=[2, 4]).notna().all(axis=None)
    assert set(range(len(metrics))) - set(tokens.neuron) == {2, 4}


def encoder(name: str):
    architecture = name.removesuffix("Model").removesuffix("ForMaskedLM")
    config = getattr(transformers, f"{architecture}Config")(
        hidden_size=16, num_hidden_layers=2, intermediate_size=40, num_attention_heads=2, vocab_size=300, pad_token_id=0
    )
    config.embedding_size = 8  # ELECTRA: the transform of its head leads to another width, as a projection would
    return getattr(transformers, name)(config).eval()


@pytest.mark.parametrize("name", ["BertModel", "BertForMaskedLM", "RobertaForMaskedLM", "ElectraForMaskedLM"])
def test_an_encoder_has_nothing_to_compare_with(name):
    assert_nothing(encoder(name))


@torch.no_grad()
def test_a_network_that_also_sees_is_compared_as_its_text_part_alone():
    """Not by the sizes of the whole, and whatever maps from images to text are as wide as the hidden size."""
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 40, "num_attention_heads": 2}
    text = sizes | {"vocab_size": 300, "num_key_value_heads": 1, "head_dim": 8, "pad_token_id": 0}
    image = sizes | {"image_size": 16, "patch_size": 8}
    config = transformers.Gemma3Config(text_config=text, vision_config=image, mm_tokens_per_image=4)
    model = transformers.Gemma3ForConditionalGeneration(config).eval()
    for parameter in model.parameters():
        parameter.normal_(0, 0.3)
    alone = transformers.Gemma3ForCausalLM(config.text_config).eval()
    alone.model.load_state_dict(model.model.language_model.state_dict())
    alone.lm_head.load_state_dict(model.lm_head.state_dict())
    require_comparable(model)
    about = describe(model)
    assert (about["hidden_size"], about["vocabulary"], about["neurons"]) == (16, 300, [40, 40])
    for one, other in zip(output_metrics(model), output_metrics(alone), strict=True):
        pd.testing.assert_frame_equal(one, other)
    assert output_metrics(model)[0].notna().all(axis=None)


def test_an_encoder_is_not_compared_with_what_reads_its_decoder():
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 40, "num_layers": 2, "num_heads": 2, "vocab_size": 300}
    assert_nothing(transformers.T5ForConditionalGeneration(transformers.T5Config(**sizes)))


def test_a_head_that_reads_another_space_gives_no_number():
    model = tiny_model("llama")
    model.lm_head = torch.nn.Linear(8, 300, bias=False)
    assert_nothing(model)


def test_fewer_tokens_than_asked_for():
    _, tokens = output_metrics(tiny_model("llama"), vocabulary=6, top=10)
    assert set(tokens["rank"]) == set(range(1, 7))
    assert set(tokens.token) == set(range(6))


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_chunks_do_not_matter(chunk):
    model = uneven_model("gpt2")
    for one, other in zip(output_metrics(model, chunk=chunk), output_metrics(model), strict=True):
        pd.testing.assert_frame_equal(one, other, rtol=1e-4, atol=1e-5)


def test_chunks_limit_memory(monkeypatch):
    seen = []
    moments = vocabulary._moments
    monkeypatch.setattr(vocabulary, "_moments", lambda cosine: seen.append(cosine) or moments(cosine))
    output_metrics(uneven_model("gpt2"), chunk=7)
    assert max(cosine.shape[0] for cosine in seen) == 7
    assert {cosine.dtype for cosine in seen} == {torch.float32}


@pytest.mark.parametrize("name", ["gpt_neox", "llama", "opt"])
def test_low_precision_weights(name):
    model = tiny_opt() if name == "opt" else uneven_model(name)
    assert_by_hand(model.bfloat16())
