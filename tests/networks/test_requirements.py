"""What a text asks of a network: what is measured on it before the text is read, and what is refused in which words."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from architecture_cases import CASES, make
from tiny_networks import ARCHITECTURES, tiny_model

from rosetta_scaling.activations.extract import Extraction, extract
from rosetta_scaling.activations.forward import ForwardPass, Reading
from rosetta_scaling.activations.inputs.text import TextInputs
from rosetta_scaling.config.activations import Activations
from rosetta_scaling.networks import requirements
from rosetta_scaling.networks.requirements import require_readable
from rosetta_scaling.networks.towers import model_class
from rosetta_scaling.store.errors import StudyError

CPU = torch.device("cpu")
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": 120,
}
TEXT = SIZES | {"max_position_embeddings": 64}
GEMMA = TEXT | {"num_key_value_heads": 2, "head_dim": 8}
TOKENS = np.arange(5, 100)
TEXTS = [name for name, case in CASES.items() if "image_size" not in case.values]


def network(config, scale: float = 0.3) -> torch.nn.Module:
    return make(config, model_class(config), scale)


def passages(*lengths: int) -> pd.DataFrame:
    """Passages of these lengths, every token a unit."""
    rows = [(p, i, 5 + (7 * i + p) % 90) for p, length in enumerate(lengths) for i in range(length)]
    table = pd.DataFrame(rows, columns=["passage", "position", "token"])
    return table.assign(unit=range(len(table)))


def neurons(model, tokens: pd.DataFrame, batch: int, dtype: str = "float32") -> torch.Tensor:
    return torch.cat(
        [
            chunk.clone()
            for chunk in ForwardPass(model, TextInputs(model, tokens, CPU), Reading(batch, dtype, CPU)).chunks()
        ],
        1,
    )


def assert_batches_do_not_matter(model) -> None:
    tokens = passages(3, 20, 9)
    alone, together = neurons(model, tokens, 1), neurons(model, tokens, 3)
    assert float((alone - together).abs().max() / alone.abs().max()) < 1e-5


# -- masks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TEXTS)
def test_batches_do_not_matter(name):
    assert_batches_do_not_matter(network(CASES[name].config()))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_networks_trained_here_are_read_without_a_mask(name):
    model, seen = tiny_model(name), []
    tokens = passages(3, 20, 9)
    source = ForwardPass(model, TextInputs(model, tokens, CPU), Reading(3, "float32", CPU))
    model.register_forward_pre_hook(lambda _m, _a, options: seen.append(set(options)), with_kwargs=True)
    list(source.chunks())
    assert seen == [{"input_ids", "use_cache"}]


@pytest.mark.parametrize(("both_ways", "masked"), [(True, True), (False, False)])
def test_one_type_of_network_looks_one_way_or_both(both_ways, masked):
    """As EmbeddingGemma, which is a gemma3_text."""
    model = network(transformers.Gemma3TextConfig(**GEMMA, use_bidirectional_attention=both_ways))
    assert require_readable(model, TOKENS, 20, CPU) == masked
    assert_batches_do_not_matter(model)


@pytest.mark.parametrize("decoder", [True, False])
def test_an_encoder_may_be_a_decoder(decoder):
    model = network(transformers.BertConfig(**TEXT, is_decoder=decoder))
    assert require_readable(model, TOKENS, 20, CPU) != decoder
    assert_batches_do_not_matter(model)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_changes_neither_masks_nor_what_is_read(dtype):
    for config, masked in (
        (transformers.Gemma3TextConfig(**GEMMA, use_bidirectional_attention=True), True),
        (transformers.LlamaConfig(**TEXT | {"num_hidden_layers": 12}), False),
    ):
        assert require_readable(network(config, 0.1).to(dtype), TOKENS, 40, CPU) == masked


def test_weights_that_wait_elsewhere_are_asked_too():
    from accelerate import cpu_offload

    config = transformers.Gemma3TextConfig(**GEMMA, use_bidirectional_attention=True)
    assert require_readable(cpu_offload(network(config), execution_device=CPU), TOKENS, 20, CPU)


def test_an_influence_of_the_smallest_kind_needs_a_mask():
    """One bit of what stands behind a passage is too much: on other texts it may be more."""
    model = network(transformers.LlamaConfig(**TEXT))
    mlp = model.model.layers[0].mlp
    assert not require_readable(model, TOKENS, 20, CPU)
    mlp.register_forward_pre_hook(lambda _m, arguments: (arguments[0] + 1e-6 * arguments[0].mean(1, keepdim=True),))
    assert require_readable(model, TOKENS, 20, CPU), "too little to be refused"


@pytest.mark.parametrize("kind", ["FNet", "ConvBert", "Nystromformer"])
def test_what_no_mask_helps_is_refused(kind):
    values = TEXT | {"embedding_size": 32, "pad_token_id": 0}
    model = network(getattr(transformers, f"{kind}Config")(**values))
    message = rf"{kind}Model: the neurons of a passage depend on what stands behind it .* choose another network"
    with pytest.raises(StudyError, match=message):
        ForwardPass(model, TextInputs(model, passages(3, 20, 9), CPU), Reading(3, "float32", CPU))


def test_positions_that_stretch_with_the_longest_of_a_batch_are_refused():
    rope = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10_000.0}
    model = network(transformers.LlamaConfig(**TEXT | {"max_position_embeddings": 16}, rope_parameters=rope))
    assert not require_readable(model, TOKENS, 16, CPU)
    message = "whether its batch holds a passage of 40 tokens .* lower units.max_tokens"
    with pytest.raises(StudyError, match=message):
        require_readable(model, TOKENS, 40, CPU)


def test_a_batch_that_is_handed_over_the_other_way_round_is_refused():
    model = network(transformers.XLNetConfig(d_model=32, n_layer=2, n_head=4, d_inner=48, vocab_size=120))
    with pytest.raises(StudyError, match=r"XLNetLMHeadModel: the MLPs hand .* \(20, 3, 48\), expected \(3, 20, 48\)"):
        require_readable(model, TOKENS, 20, CPU)


def test_a_network_that_pads_its_text_itself_is_read_at_the_right_places():
    config = transformers.LongformerConfig(**TEXT, attention_window=8, pad_token_id=0)
    assert_batches_do_not_matter(network(config))


def test_a_network_without_attention_is_refused():
    """MRA gives zeros in its place where its library is missing."""
    model = network(transformers.LlamaConfig(**TEXT))
    for block in model.model.layers:
        block.self_attn.o_proj.weight.data.zero_()
    with pytest.raises(StudyError, match="LlamaForCausalLM reads every token by itself"):
        require_readable(model, TOKENS, 20, CPU)


def test_a_block_with_attention_beside_its_mlp_is_read():
    """Its neurons read every token by itself; what they and attention write together does not."""
    assert not require_readable(network(transformers.GPTNeoXConfig(**TEXT | {"num_hidden_layers": 1})), TOKENS, 20, CPU)


# -- positions and tokens --------------------------------------------------------------------------------------------


def limited(kind: str) -> torch.nn.Module:
    if kind in ("GPT2", "GPTJ"):
        sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "vocab_size": 120}
        more = {"rotary_dim": 4} if kind == "GPTJ" else {}
        return network(getattr(transformers, f"{kind}Config")(**sizes, **more))
    if kind == "OPT":
        return network(transformers.OPTConfig(**TEXT, ffn_dim=48, word_embed_proj_dim=32))
    return network(getattr(transformers, f"{kind}Config")(**TEXT))


@pytest.mark.parametrize(
    ("kind", "most"), [("GPT2", 64), ("GPTJ", 64), ("OPT", 64), ("Bert", 64), ("DistilBert", 64), ("Roberta", 62)]
)
def test_more_tokens_than_positions_are_refused(kind, most):
    """RoBERTa begins to count behind its token for padding."""
    model = limited(kind)
    assert isinstance(require_readable(model, TOKENS, most, CPU), bool)
    for longest in (most + 1, 90):
        message = (
            f"the longest passage has {longest} tokens, but .* reads at most {most}: lower units.max_tokens to {most}"
        )
        with pytest.raises(StudyError, match=message):
            require_readable(model, TOKENS, longest, CPU)


def test_rotary_positions_have_no_end(caplog):
    model = network(transformers.LlamaConfig(**TEXT))
    assert not require_readable(model, TOKENS, 64, CPU)
    assert not caplog.records
    assert not require_readable(model, TOKENS, 90, CPU)
    assert re.search("was made for passages of 64 tokens and reads some of 90", caplog.text)


def test_a_lookup_beyond_a_table_is_noticed_before_it_is_made(monkeypatch):
    """On a GPU the look-up itself would end the process."""
    made = []
    monkeypatch.setattr(torch, "embedding", lambda *arguments: made.append(1))
    table = torch.zeros(4, 3)
    for wrong in (
        lambda: torch.nn.functional.embedding(torch.tensor([1, 4]), table),
        lambda: table[torch.tensor([4])],
        lambda: table[torch.tensor([4]), :],
        lambda: table.gather(0, torch.full((1, 3), 4)),
        lambda: torch.gather(table, 1, torch.full((1, 3), 3)),
        lambda: table.index_select(dim=1, index=torch.tensor([3])),
    ):
        with pytest.raises(IndexError, match=r"row [34] of a table of [34]"), requirements._BoundedLookups():
            wrong()
    assert not made


def test_a_token_without_an_embedding_is_refused():
    model = network(transformers.LlamaConfig(**TEXT))
    require_readable(model, np.array([5, 119]), 20, CPU)
    with pytest.raises(StudyError, match="holds token 120, but LlamaForCausalLM has embeddings of 120 tokens"):
        require_readable(model, np.array([5, 120]), 20, CPU)


def test_a_network_without_a_table_of_embeddings_is_asked_for_the_rest():
    model = network(transformers.CanineConfig(**TEXT))
    with pytest.raises(StudyError, match=r"CanineModel"):
        require_readable(model, TOKENS, 20, CPU)


def test_other_errors_of_a_network_are_one_sentence():
    with pytest.raises(StudyError, match=r"ViTModel does not read tokens alone \(.*\); expected a network that does"):
        require_readable(network(CASES["vit"].config()), TOKENS, 20, CPU)


def test_all_is_asked_before_the_first_batch(tmp_path, monkeypatch):
    """Whatever the summary and the selectivity will need."""
    model, tokens = tiny_model("gpt2"), passages(3, 20, 9)
    units = pd.DataFrame({"unit": range(32), "passage": 0, "doc": 0, "start": 0, "end": 1, "domain": "d", "text": "t"})
    monkeypatch.setattr(ForwardPass, "rows", None)
    model.base_model.ln_f = torch.nn.BatchNorm1d(12)
    job = Extraction("m", Activations(), "w", tmp_path / "out", tmp_path / "work")
    with pytest.raises(StudyError, match=r"GPT2LMHeadModel: its final norm \(BatchNorm1d\) cannot be measured"):
        extract(job, model, tokens, units, device=CPU)
    with pytest.raises(TypeError, match="NoneType"):  # without measures, it comes as far as reading
        extract(replace(job, measure=False), model, tokens, units, device=CPU)
