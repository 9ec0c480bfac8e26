"""MLPs of every architecture against module paths written by hand and neurons recomputed in float64, and what is
refused. All networks are tiny, with random weights."""

import pytest
import torch
import transformers
from architecture_cases import CASES, GPT, GROUPED, HIDDEN, IMAGE, SIZES, TEXT, WIDTH, Case, make, tanh_gelu
from transformers.pytorch_utils import Conv1D

from rosetta_scaling.networks import self_check
from rosetta_scaling.networks.linear import neurons_of, weight_out
from rosetta_scaling.networks.loading import load_model
from rosetta_scaling.networks.mlps import find_blocks, find_down_projections, find_mlps, read_inputs
from rosetta_scaling.networks.model_sizes import config_size, public_models
from rosetta_scaling.networks.self_check import check_neurons
from rosetta_scaling.networks.sizes import size_of_config
from rosetta_scaling.store.errors import StudyError

IMAGE_ONLY = {"image_size", "encoder"}  # nor are encoders with decoders of another size planned
GATED = ("llama", "t5_gated", "dinov3_gated")


def batch(model, seed: int = 1) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    if model.main_input_name == "pixel_values":
        return {"pixel_values": torch.randn(2, 3, 16, 16, generator=generator)}
    return {"input_ids": torch.randint(5, 100, (2, 9), generator=generator)}


def module_of(model, path: str, layer: int) -> torch.nn.Module:
    return model.base_model.get_submodule(path.format(layer))


@torch.no_grad()
def in_float64(module: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    weight = module.weight.double()
    out = x.double() @ (weight if isinstance(module, Conv1D) else weight.T)
    return out if module.bias is None else out + module.bias.double()


def by_hand(model, case: Case, layer: int, x: torch.Tensor) -> torch.Tensor:
    ups = [in_float64(module_of(model, path, layer), x) for path in case.ups]
    if case.kind == "Phi3":
        ups = [ups[0][..., : ups[0].shape[-1] // 2], ups[0][..., ups[0].shape[-1] // 2 :]]
    return case.act(ups[0]) * (ups[1] if len(ups) == 2 else 1)


def assert_reads_neurons(model, case: Case) -> None:
    """One down-projection per block, the one named by hand, with the neurons recomputed; and the check agrees."""
    found = find_down_projections(model)
    assert len(found) == len(find_blocks(model)) == 2
    for layer, module in enumerate(found):
        assert module is module_of(model, case.down, layer)
        assert find_mlps(model)[layer].ups == tuple(module_of(model, path, layer) for path in case.ups)
    inputs, read = {}, {}
    handles = [
        module_of(model, case.ups[0], layer).register_forward_pre_hook(
            lambda _m, x, at=layer: inputs.update({at: x[0]})
        )
        for layer in range(2)
    ]
    with torch.no_grad(), read_inputs(dict(enumerate(found)), read.__setitem__):
        model(**batch(model))
        pytest.fail("the pass ends once the last module has been read")
    for handle in handles:
        handle.remove()
    for layer, module in enumerate(found):
        assert neurons_of(module) == read[layer].shape[-1]
        assert weight_out(module).shape == (HIDDEN, neurons_of(module))
        expected = by_hand(model, case, layer, inputs[layer])
        torch.testing.assert_close(read[layer].double(), expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
    check_neurons(model)
    check_neurons(model, batch(model))


# -- architectures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_reads_the_neurons_of(name):
    case = CASES[name]
    model = make(case.config())
    assert_reads_neurons(model, case)
    if name not in ("bloom", "dinov2", "dinov2_swiglu"):  # these choose their own width
        assert [neurons_of(module) for module in find_down_projections(model)] == [WIDTH, WIDTH]


@pytest.mark.parametrize("name", CASES)
def test_low_precision_is_no_reason_to_refuse(name):
    check_neurons(make(CASES[name].config()).to(torch.bfloat16))


# Names of the width, and of the number of heads of keys and values, to 4 of queries. With 1, 2 and 4, fused projections
# are 1.5, 2 and 3 times as wide as the network.
COINCIDING = {
    "gpt_neox": ("intermediate_size", None),
    "gpt2": ("n_inner", None),
    "opt": ("ffn_dim", None),
    "llama": ("intermediate_size", "num_key_value_heads"),
    "phi3": ("intermediate_size", "num_key_value_heads"),
    "falcon_new": ("ffn_hidden_size", "num_kv_heads"),
    "bert": ("intermediate_size", None),
    "t5": ("d_ff", None),
    "t5_gated": ("d_ff", None),
}


@pytest.mark.parametrize(
    ("name", "heads"),
    [(name, heads) for name, names in COINCIDING.items() for heads in ((1, 2, 4) if names[1] else (4,))],
)
@pytest.mark.parametrize("width", [HIDDEN // 2, HIDDEN, 2 * HIDDEN, 3 * HIDDEN, 4 * HIDDEN])
def test_widths_that_coincide_with_those_of_attention(name, heads, width):
    width_name, heads_name = COINCIDING[name]
    changes = {width_name: width} | ({heads_name: heads} if heads_name else {})
    assert_reads_neurons(make(CASES[name].config(**changes)), CASES[name])


@pytest.mark.parametrize(
    ("auto", "name"),
    [
        (transformers.AutoModelForCausalLM, "gpt_neox"),
        (transformers.AutoModelForCausalLM, "opt_350m"),
        (transformers.AutoModelForCausalLM, "gemma3"),
        (transformers.AutoModelForCausalLM, "phi3"),
        (transformers.BertForMaskedLM, "bert"),
        (transformers.T5EncoderModel, "t5"),
        (transformers.T5ForConditionalGeneration, "t5_gated"),
        (transformers.ViTForImageClassification, "vit"),
    ],
)
def test_heads_and_decoders_do_not_matter(auto, name):
    assert_reads_neurons(make(CASES[name].config(), auto), CASES[name])


def test_a_masked_autoencoder_is_its_encoder():
    case = CASES["vit_mae"]
    decoder = {f"decoder_{key}": case.values[key] for key in SIZES}  # of the very same sizes
    assert_reads_neurons(make(case.config(**decoder), transformers.ViTMAEForPreTraining), case)


def test_a_language_network_is_not_mistaken_for_the_tower_beside_it():
    case = CASES["gemma3"]
    model = make(case.config(vision_config=IMAGE))  # of the very same sizes
    assert_reads_neurons(model, case)


@pytest.mark.parametrize("order", [("up_proj", "gate_proj", "down_proj"), ("down_proj", "gate_proj", "up_proj")])
def test_order_of_registration_does_not_matter(order):
    model = make(CASES["llama"].config())
    for block in model.layers:
        modules = block.mlp._modules
        block.mlp._modules = {name: modules[name] for name in (*order, "act_fn")}
    assert_reads_neurons(model, CASES["llama"])


def test_the_non_linearity_may_be_a_function():
    model = make(CASES["gptj"].config())
    for block in model.h:
        del block.mlp.act
        block.mlp.act = tanh_gelu
    assert_reads_neurons(model, CASES["gptj"])


# -- what is refused -------------------------------------------------------------------------------------------------

MIXTURES = {
    "Mixtral": {"num_local_experts": 4},
    "Qwen2Moe": {"num_experts": 4, "moe_intermediate_size": 20, "shared_expert_intermediate_size": 60},
    "Qwen3Moe": {"num_experts": 4, "moe_intermediate_size": 20, "mlp_only_layers": [0]},  # the first block is dense
    "Olmoe": {"num_experts": 4},
    "GraniteMoe": {"num_local_experts": 4},
    "JetMoe": {"num_local_experts": 4},
    "GptOss": {"num_local_experts": 4},
    "DeepseekV3": {"n_routed_experts": 8, "moe_intermediate_size": 20, "first_k_dense_replace": 1},
}


@pytest.mark.parametrize("kind", MIXTURES)
def test_a_mixture_of_experts_is_refused(kind):
    config = getattr(transformers, f"{kind}Config")(**GROUPED | MIXTURES[kind])
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    for finds in (find_down_projections, find_blocks, check_neurons):
        with pytest.raises(StudyError, match=r"is a mixture of experts .* silent wherever the text is not routed"):
            finds(model)
    with pytest.raises(StudyError, match="mixture of experts"):
        size_of_config(config)


class ParallelExperts(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(4, 7, HIDDEN))


@pytest.mark.parametrize(
    ("name", "module"),
    [("experts", torch.nn.ModuleList([torch.nn.Linear(HIDDEN, 7)] * 2)), ("routed", ParallelExperts())],
)
def test_experts_are_refused_even_beside_an_mlp_for_all(name, module):
    model = make(CASES["llama"].config())
    model.layers[1].add_module(name, module)
    with pytest.raises(StudyError, match=rf"block 1\.{name}"):
        find_blocks(model)


def test_adapters_are_not_taken_for_the_mlp():
    sizes = {"adapter_reduction_factor": 2, "default_language": "en_XX", "languages": ["en_XX"]}
    with pytest.raises(StudyError, match=r"XmodModel has adapters in its blocks \(block 0.output.adapter_modules\)"):
        find_blocks(make(transformers.XmodConfig(**TEXT, **sizes)))


@pytest.mark.parametrize(
    ("auto", "config"),
    [
        (transformers.BertLMHeadModel, transformers.BertConfig(**TEXT, is_decoder=True, add_cross_attention=True)),
        (transformers.GPT2LMHeadModel, transformers.GPT2Config(**GPT, add_cross_attention=True)),
    ],
)
def test_a_decoder_of_another_network_is_refused(auto, config):
    with pytest.raises(
        StudyError, match=rf"{auto.__name__} is a decoder that attends to an encoder \(.*crossattention"
    ):
        find_blocks(make(config, auto))


def test_a_network_that_reads_neither_text_nor_images_is_refused():
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    with pytest.raises(StudyError, match="Wav2Vec2Model reads input_values; expected a network that reads text or"):
        check_neurons(make(transformers.Wav2Vec2Config(**sizes)))


def test_a_block_without_or_with_two_mlps_is_refused():
    model = make(CASES["llama"].config())
    model.layers[1].second = model.layers[0].mlp
    with pytest.raises(StudyError, match=r"found 1 or 2 MLP .* one in each of 2 blocks"):
        find_blocks(model)
    model.layers[1].mlp = model.layers[1].second = torch.nn.Identity()
    with pytest.raises(StudyError, match="found 0 or 1 MLP"):
        find_blocks(model)
    with pytest.raises(StudyError, match="found no stack of blocks"):
        find_blocks(transformers.AutoModel.from_config(transformers.ResNetConfig(depths=[1], hidden_sizes=[8])))


def test_maps_without_a_non_linearity_are_no_mlp():
    model = make(CASES["llama"].config())
    del model.layers[0].mlp.act_fn
    model.layers[0].mlp.activation_dropout = torch.nn.Dropout(0.5)  # is none
    with pytest.raises(StudyError, match="found 0 or 1 MLP"):
        find_blocks(model)


def test_maps_that_do_not_lead_back_are_no_mlp():
    model = make(CASES["llama"].config())
    model.layers[0].mlp.down_proj = torch.nn.Linear(WIDTH, HIDDEN + 1)
    with pytest.raises(StudyError, match="found 0 or 1 MLP"):
        find_blocks(model)


def same_width(name: str):
    """Neurons as many as the network is wide, so that shapes give nothing away."""
    return make(CASES[name].config(intermediate_size=HIDDEN))


def assert_refused(model, match: str) -> None:
    with pytest.raises(StudyError, match=match):
        check_neurons(model)
    assert not any(module._forward_pre_hooks for module in model.modules()), "no hook is left behind"


def test_attention_in_place_of_the_mlp_is_refused(monkeypatch):
    model = same_width("llama")
    mlps, attention = find_mlps(model), [block.self_attn for block in model.layers]
    outputs = [mlp._replace(down=a.o_proj) for mlp, a in zip(mlps, attention, strict=True)]
    monkeypatch.setattr(self_check, "find_mlps", lambda _model: outputs)
    assert_refused(model, "nothing passes through .* in layer 0")
    outputs[:] = [mlp._replace(ups=(a.q_proj,)) for mlp, a in zip(outputs, attention, strict=True)]
    assert_refused(model, "down-projection in layer 0 .* off by")
    outputs[:] = [mlps[0], mlps[1]._replace(down=attention[1].o_proj)]
    assert_refused(model, "in layer 1")
    outputs[:] = [mlps[0]._replace(down=attention[1].o_proj), mlps[1]]
    assert_refused(model, "down-projection in layer 0 .* off by")


def test_another_width_is_refused(monkeypatch):
    model = make(CASES["llama"].config())
    mlps = find_mlps(model)
    mlps[0] = mlps[0]._replace(down=model.layers[1].self_attn.o_proj)
    monkeypatch.setattr(self_check, "find_mlps", lambda _model: mlps)
    assert_refused(model, r"found \(2, 8, 32\), expected \(2, 8, 60\)")


@pytest.mark.parametrize("name", GATED)
def test_exchanged_gates_are_refused(name, monkeypatch):
    model = make(CASES[name].config())
    exchanged = [mlp._replace(ups=mlp.ups[::-1]) for mlp in find_mlps(model)]
    monkeypatch.setattr(self_check, "find_mlps", lambda _model: exchanged)
    assert_refused(model, "layer 0 .* off by .* expected at most 0.0001")


def test_exchanged_halves_are_refused():
    model = make(CASES["phi3"].config())
    mlp = model.layers[1].mlp

    def forward(x):
        up, gate = mlp.gate_up_proj(x).chunk(2, dim=-1)
        return mlp.down_proj(up * mlp.activation_fn(gate))

    mlp.forward = forward
    assert_refused(model, "layer 1")


def test_another_non_linearity_than_the_module_says_is_refused():
    model = make(CASES["dinov3"].config())
    mlp = model.model.layer[0].mlp
    mlp.forward = lambda x: mlp.down_proj(tanh_gelu(mlp.up_proj(x)))  # 0.0005 beside the exact one
    assert_refused(model, "layer 0")


@pytest.mark.parametrize("place", range(2))
def test_weights_that_are_not_used_as_they_are_are_refused(place):
    """As adapters do: they add something to what a map gives."""
    model = make(CASES["qwen2"].config())
    module = find_mlps(model)[1].ups[place]
    module.register_forward_hook(lambda _module, _inputs, output: 1.001 * output)
    assert_refused(model, "layer 1")


def test_a_norm_in_front_of_the_way_back_is_refused():
    assert_refused(make(transformers.BitNetConfig(**GROUPED)), "BitNetModel: .* layer 0")


def test_a_way_back_that_is_not_called_is_refused():
    """BLOOM can multiply slices of the weights by itself, past every hook."""
    assert_refused(make(CASES["bloom"].config(slow_but_exact=True, pretraining_tp=2)), "nothing passes")


def test_damaged_weights_are_refused():
    model = make(CASES["gpt2"].config())
    with torch.no_grad():
        model.h[0].mlp.c_fc.weight[0, 0] = torch.nan
    assert_refused(model, "layer 0")


def test_dropout_between_is_refused_only_in_training():
    model = make(CASES["t5_gated"].config(dropout_rate=0.5))
    check_neurons(model)
    assert_refused(model.train(), "layer 0")


def test_low_precision_is_checked_too():
    model = make(CASES["llama"].config()).bfloat16()
    model.layers[1].mlp.up_proj.register_forward_hook(lambda _module, _inputs, output: 1.1 * output)
    assert_refused(model, "layer 1 .* expected at most 0.03")


def test_what_is_loaded_is_checked(tmp_path):
    make(transformers.BitNetConfig(**GROUPED), transformers.AutoModelForCausalLM).save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(StudyError, match=r"BitNetForCausalLM: .* choose another network"):
        load_model(tmp_path, torch.device("cpu"))


def test_weights_that_wait_elsewhere_are_fetched():
    """As accelerate keeps those that do not fit a GPU; here all of them."""
    from accelerate import cpu_offload

    for name in ("qwen2", "gpt2", "vit"):
        model = make(CASES[name].config())
        offloaded = cpu_offload(model, execution_device=torch.device("cpu"))
        assert all(parameter.is_meta for parameter in offloaded.parameters())
        check_neurons(offloaded)
        assert all(parameter.is_meta for parameter in offloaded.parameters())


def test_a_batch_may_be_given():
    model, seen = make(CASES["bert"].config()), []
    model.embeddings.word_embeddings.register_forward_pre_hook(lambda _module, arguments: seen.append(arguments[0]))
    check_neurons(model, batch(model))
    assert len(seen) == 1
    torch.testing.assert_close(seen[0], batch(model)["input_ids"])


def test_images_need_not_be_square_or_coloured():
    check_neurons(make(CASES["vit"].config(image_size=[16, 24], num_channels=1)))


# -- sizes from configurations ---------------------------------------------------------------------------------------

NEURONS = {
    "pythia": [12_288, 36_864, 98_304, 131_072, 196_608, 327_680, 524_288, 737_280],
    "gpt2": [36_864, 98_304, 184_320, 307_200],
    "opt": [36_864, 98_304, 196_608, 327_680, 524_288, 819_200, 1_376_256],
    "qwen2.5": [116_736, 250_880, 396_288, 530_432, 663_552, 1_769_472],
    "dinov2": [36_864, 98_304, 163_840],
    "pixio": [36_864, 98_304, 163_840, 294_912, 589_824],
    "openclip": [36_864, 98_304, 163_840, 393_216],
}
PARAMETERS = {
    "pythia-70m": (70_426_624, 18_915_328),
    "pythia-160m": (162_322_944, 85_056_000),
    "pythia-410m": (405_334_016, 302_311_424),
    "pythia-1b": (1_011_781_632, 805_736_448),
    "pythia-1.4b": (1_414_647_808, 1_208_602_624),
    "pythia-2.8b": (2_775_208_960, 2_517_652_480),
    "pythia-6.9b": (6_857_302_016, 6_444_163_072),
    "pythia-12b": (11_846_072_320, 11_327_027_200),
    "gpt2": (124_439_808, 124_439_808 - (50_257 + 1024) * 768),
    "gpt2-medium": (354_823_168, None),
    "gpt2-large": (774_030_080, None),
    "gpt2-xl": (1_557_611_200, None),
    "opt-125m": (125_239_296, 125_239_296 - (50_272 + 2050) * 768),
    "opt-350m": (331_196_416, 331_196_416 - 50_272 * 512 - 2050 * 1024),
    "qwen2.5-0.5b": (494_032_768, 494_032_768 - 151_936 * 896),
    "qwen2.5-1.5b": (1_543_714_304, None),
    "qwen2.5-3b": (3_085_938_688, None),
    "qwen2.5-7b": (7_615_616_512, 7_615_616_512 - 2 * 152_064 * 3584),
    "qwen2.5-32b": (32_763_876_352, None),
}


PIXIO = {"vitb16": 85.9, "vitl16": 303.4, "vith16": 631.0, "vit1b16": 1361.5, "vit5b16": 5440.9}  # its repositories


@pytest.mark.slow(0.1)
def test_published_networks_have_the_sizes_that_are_known():
    found = {
        name: size_of_config(transformers.AutoConfig.for_model(**entry["config"]), entry.get("modality", "text"))
        for name, entry in public_models().items()
    }
    for family, neurons in NEURONS.items():
        sizes = [size for name, size in found.items() if name.split("-")[0] == family]
        assert [size.neurons for size in sizes] == neurons
        assert all(len(set(size.widths)) == 1 for size in sizes)
    for name, (parameters, non_embedding) in PARAMETERS.items():
        assert found[name].parameters == parameters
        assert non_embedding in (found[name].non_embedding_parameters, None)
    for name, millions in PIXIO.items():
        assert found[f"pixio-{name}"].parameters / 1e6 == pytest.approx(millions, rel=0.005)
    assert sum(map(len, NEURONS.values())) == len(found)


def test_every_published_network_has_a_repository():
    repositories = [entry["repository"] for entry in public_models().values()]
    assert all(len(repository.split("/")) == 2 for repository in repositories)
    assert len(set(repositories)) == len(repositories)


@pytest.mark.parametrize("name", CASES)
def test_sizes_are_those_of_the_network(name):
    config = CASES[name].config()
    before = config.to_dict()
    size = size_of_config(config)
    assert config.to_dict() == before
    assert list(size.widths) == [neurons_of(down) for down in find_down_projections(make(config))]
    assert size.layers == 2
    assert 0 < size.non_embedding_parameters <= size.parameters


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].values.keys().isdisjoint(IMAGE_ONLY)])
def test_plans_know_the_neurons_of_networks_of_text(name):
    """From the numbers in config.json alone, without transformers."""
    config = CASES[name].config()
    size = config_size(config.to_dict(), name)
    assert size.neurons == size_of_config(config).neurons
    assert size.layers == 2


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [("Bert", 109_482_240), ("Llama", 6_738_415_616), ("Mistral", 7_241_732_096), ("T5", 60_506_624)],
)
def test_default_configurations_are_of_known_networks(kind, parameters):
    """bert-base, without the heads that it was trained with; Llama 7B, Mistral 7B, t5-small."""
    assert size_of_config(getattr(transformers, f"{kind}Config")()).parameters == parameters
