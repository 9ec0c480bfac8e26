"""Output-side selectivity against a plain float64 computation and against what is known of it."""

import numpy as np
import pytest
import torch
from conftest import tiny_model
from scipy import stats

from rosetta_scaling.hooks import final_norm_gain, find_blocks, find_down_projections, weight_out
from rosetta_scaling.selectivity import output_metrics, vocab_kurtosis


def last_norm(model) -> torch.nn.Module:
    """The final norm by its name in each architecture."""
    names = {"gpt_neox": "final_layer_norm", "bloom": "ln_f", "gpt2": "ln_f", "llama": "norm"}
    return getattr(model.base_model, names[model.config.model_type])


def by_hand(model, folded: bool) -> np.ndarray:
    head = model.get_output_embeddings().weight.detach().double().numpy()
    if folded:
        head = head * last_norm(model).weight.detach().double().numpy()
        head = head - head.mean(0)
    out = np.concatenate([weight_out(m).detach().double().numpy() for m in find_down_projections(model)], 1)
    cosine = (head / np.linalg.norm(head, axis=1, keepdims=True)) @ (out / np.linalg.norm(out, axis=0))
    return stats.kurtosis(cosine, axis=0)


def test_both_readings_equal_the_definition(architecture):
    model = tiny_model(architecture)
    gain = torch.rand(12, generator=torch.Generator().manual_seed(1)) + 0.5  # a gain of one would hide a missing fold
    with torch.no_grad():
        last_norm(model).weight.copy_(gain)
        if getattr(last_norm(model), "bias", None) is not None:
            last_norm(model).bias.fill_(0.7)
        torch.testing.assert_close(final_norm_gain(model), gain, atol=1e-4, rtol=1e-4)
    table = output_metrics(model)
    np.testing.assert_allclose(table.vocab_kurtosis, by_hand(model, folded=False), atol=1e-4)
    np.testing.assert_allclose(table.vocab_kurtosis_folded, by_hand(model, folded=True), atol=1e-4)


def test_a_head_that_reads_another_space_gives_no_number():
    model = tiny_model("llama")
    model.lm_head = torch.nn.Linear(8, 300, bias=False)
    assert output_metrics(model).isna().all(axis=None)
    assert len(find_blocks(model)) == 2


def test_a_neuron_that_writes_one_token_stands_out():
    generator = torch.Generator().manual_seed(0)
    vocabulary = torch.randn(2000, 64, generator=generator)
    outputs = torch.randn(64, 50, generator=generator)
    outputs[:, 7] = vocabulary[0] + 0.2 * outputs[:, 7]
    kurtosis = vocab_kurtosis(outputs, vocabulary)
    assert kurtosis.argmax() == 7
    assert abs(np.median(kurtosis)) < 0.3, "random directions are close to normal"


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_chunks_do_not_matter(chunk):
    generator = torch.Generator().manual_seed(0)
    vocabulary, outputs = torch.randn(300, 16, generator=generator), torch.randn(16, 40, generator=generator)
    np.testing.assert_allclose(
        vocab_kurtosis(outputs, vocabulary, chunk), vocab_kurtosis(outputs, vocabulary), atol=1e-6
    )
