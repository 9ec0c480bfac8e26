"""Convolutional networks: the channels that are their neurons, against modules named by hand and numbers in float64."""

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from architecture_cases import CASES
from transformers.models.resnet.modeling_resnet import ResNetConvLayer

from rosetta_scaling.activations.forward import ForwardPass, Reading
from rosetta_scaling.activations.inputs.images import resampling
from rosetta_scaling.activations.inputs.opening import open_inputs
from rosetta_scaling.activations.rotated import PreActivations, RotatedBeforeNonlinearity
from rosetta_scaling.corpora.pixels import encode
from rosetta_scaling.networks.convolutions import mlps_of_maps
from rosetta_scaling.networks.linear import neurons_of
from rosetta_scaling.networks.loading import load_model, untrained_model
from rosetta_scaling.networks.mlps import find_mlps, read_inputs
from rosetta_scaling.networks.model_sizes import folder_size
from rosetta_scaling.networks.preprocessing import Preprocessing
from rosetta_scaling.networks.self_check import check_neurons
from rosetta_scaling.networks.sizes import size_of_model
from rosetta_scaling.networks.towers import grid_of
from rosetta_scaling.store.errors import StudyError

CPU = torch.device("cpu")
SMALL = transformers.EfficientNetConfig(
    image_size=64, width_coefficient=1.0, depth_coefficient=1.0, hidden_dim=1280, hidden_act="relu6",
    kernel_sizes=[3, 3, 5], in_channels=[32, 8, 16], out_channels=[8, 16, 24], strides=[1, 2, 2],
    num_block_repeats=[1, 2, 1], expand_ratios=[1, 6, 6],
)  # fmt: skip
MOBILE = transformers.MobileNetV2Config(image_size=64, depth_multiplier=0.25)
# The convolution that expands, its norm, and the module that its channels enter, by block.
PLACES = {
    "efficientnet": [
        (f"{block}.expansion.expand_conv", f"{block}.expansion.expand_bn", f"{block}.depthwise_conv")
        for block in (f"encoder.blocks.{i}" for i in (1, 2, 3))
    ],
    "mobilenet": [
        (f"{block}.expand_1x1.convolution", f"{block}.expand_1x1.normalization", f"{block}.conv_3x3")
        for block in (f"layer.{i}" for i in range(16))
    ],
}
RESNET = transformers.ResNetConfig(hidden_sizes=[32, 48, 64, 80], depths=[1, 2, 1, 1], embedding_size=8)
STAGES = {"image_size": 64, "hidden_sizes": [8, 16, 24, 32], "depths": [1, 2, 1, 1]}
BLOCKS = [(0, 0), (1, 0), (1, 1), (2, 0), (3, 0)]  # stage, and layer in it
# The linear map up, and the module that its channels enter, by block.
CONVNEXT = {
    "convnext": [
        (f"{block}.pwconv1", f"{block}.pwconv2") for block in (f"encoder.stages.{i}.layers.{j}" for i, j in BLOCKS)
    ],
    "convnextv2": [
        (f"{block}.pwconv1", f"{block}.grn") for block in (f"encoder.stages.{i}.layers.{j}" for i, j in BLOCKS)
    ],
    "dinov3_convnext": [
        (f"{block}.pointwise_conv1", f"{block}.pointwise_conv2")
        for block in (f"model.stages.{i}.layers.{j}" for i, j in BLOCKS)
    ],
}
CONFIGS = {
    "efficientnet": SMALL,
    "mobilenet": MOBILE,
    "resnet": RESNET,
    "regnet": transformers.RegNetConfig(
        hidden_sizes=[32, 48, 64, 80], depths=[1, 2, 1, 1], embedding_size=8, groups_width=16, layer_type="x"
    ),
    "convnext": transformers.ConvNextConfig(**STAGES),
    "convnextv2": transformers.ConvNextV2Config(**STAGES),
    "dinov3_convnext": transformers.DINOv3ConvNextConfig(**STAGES),
}
IMAGES = [np.random.default_rng(i).integers(0, 256, (64, 64, 3)).astype(np.uint8) for i in range(3)]
SIDE = 4
SAMPLES = pd.DataFrame({"passage": range(3), "image": [encode(image) for image in IMAGES], "side": SIDE})


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Networks whose norms, and scales of layers, have learned something."""
    found = {}
    for name, config in CONFIGS.items():
        torch.manual_seed(0)
        model = transformers.AutoModel.from_config(config)
        with torch.no_grad():
            for values in model.parameters() if name in CONVNEXT else ():
                values.normal_(0, 0.5)
            for module in model.modules():
                if isinstance(module, torch.nn.Conv2d):
                    module.weight.normal_(0, (2 / module.weight[0].numel()) ** 0.5)
                if isinstance(module, torch.nn.BatchNorm2d):
                    for values in (module.weight, module.bias, module.running_mean):
                        values.normal_()
                    module.running_var.uniform_(0.5, 2)
        found[name] = tmp_path_factory.mktemp(name)
        model.save_pretrained(found[name])
        Preprocessing(64).save(found[name])
    return found


@pytest.fixture(scope="module")
def models(folders):
    return {name: load_model(folder, CPU, modality="image") for name, folder in folders.items()}


def source(model, kind=ForwardPass, batch: int = 2, **options):
    return kind(model, open_inputs(model, SAMPLES, CPU), Reading(batch, "float32", CPU, chunk=32), **options)


def activations(model, kind=ForwardPass, **options) -> torch.Tensor:
    """(units, neurons)."""
    return torch.cat([rows.clone() for rows in source(model, kind, **options).rows()])


def rotated(model, inputs, reading, **options) -> RotatedBeforeNonlinearity:
    return RotatedBeforeNonlinearity(PreActivations(model, inputs, reading), **options)


def maps_of(model, images: list[np.ndarray]) -> list[torch.Tensor]:
    """Maps (images, rows, columns, channels) of every expansion, as they are read."""
    maps = {}
    with torch.no_grad(), read_inputs({i: mlp.down for i, mlp in enumerate(find_mlps(model))}, maps.__setitem__):
        model(pixel_values=model.preprocessing(images, np.arange(len(images))))
    return list(maps.values())


@pytest.mark.parametrize("name", PLACES)
def test_neurons_are_the_channels_of_expansions_after_their_non_linearity(name, models, folders):
    model, entered = models[name], {}
    mlps, places = find_mlps(model), PLACES[name]
    assert [mlp.down for mlp in mlps] == [model.get_submodule(after) for _, _, after in places]
    for i, (up, _, _) in enumerate(places):
        model.get_submodule(up).register_forward_pre_hook(lambda _, x, i=i: entered.__setitem__(i, x[0].double()))
    for i, (found, (up, norm, _)) in enumerate(zip(maps_of(model, IMAGES), places, strict=True)):
        weight, norm = model.get_submodule(up).weight.double()[:, :, 0, 0], model.get_submodule(norm)
        expanded = torch.einsum("nc,icyx->iyxn", weight, entered[i])
        expanded = (expanded - norm.running_mean.double()) / (norm.running_var.double() + norm.eps).sqrt()
        expected = (expanded * norm.weight.double() + norm.bias.double()).clamp(0, 6)
        assert found.shape[1] == found.shape[2], "what is padded for the convolution behind it is not read"
        assert 0.05 < (expected > 0).float().mean() < 0.95
        torch.testing.assert_close(found.double(), expected, atol=1e-4, rtol=1e-4)
    widths = tuple(neurons_of(mlp.down) for mlp in mlps)
    assert widths == size_of_model(model).widths == folder_size(folders[name], "image").widths
    assert grid_of(folders[name]) == 2, "places of the last map"


@pytest.mark.parametrize(("name", "narrower"), [("resnet", 4), ("regnet", 1)])
def test_neurons_are_the_channels_that_leave_a_bottleneck(name, narrower, models, folders):
    """They enter the convolution of single places with which a block ends, and have seen the places around."""
    model, entered, left = models[name], {}, {}
    blocks = [model.get_submodule(f"encoder.stages.{i}.layers.{j}.layer") for i, j in BLOCKS]
    mlps = find_mlps(model)
    assert [mlp.down for mlp in mlps] == [block[2] for block in blocks]
    for i, block in enumerate(blocks):
        block[1].register_forward_pre_hook(lambda _, x, i=i: entered.__setitem__(i, x[0].double()))
        block[2].convolution.register_forward_pre_hook(lambda _, x, i=i: left.__setitem__(i, x[0].movedim(1, -1)))
    found = maps_of(model, IMAGES)
    for i, block in enumerate(blocks):
        filters, norm = block[1].convolution, block[1].normalization
        stride, groups = filters.stride, filters.groups
        made = torch.nn.functional.conv2d(entered[i], filters.weight.double(), None, stride, 1, 1, groups)
        made = made.movedim(1, -1) - norm.running_mean.double()
        made = made * norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt() + norm.bias.double()
        torch.testing.assert_close(found[i].double(), made.clamp(min=0), atol=1e-4, rtol=1e-4)
        if i in left:  # reading ends before the last
            assert torch.equal(found[i], left[i])
    planned = folder_size(folders[name], "image")
    assert planned == size_of_model(model)
    assert planned.widths == tuple(width // narrower for width in (32, 48, 48, 64, 80))
    assert planned.hidden == planned.widths[-1]
    assert grid_of(folders[name]) == found[-1].shape[1] == 2, "places of the last map"


def test_lengths_of_filters_that_read_the_places_around(models):
    for mlp in find_mlps(models["regnet"]):
        channels = neurons_of(mlp.ups[0])
        ones = torch.eye(9 * channels).view(-1, 3, 3, channels)  # a one at each of nine places, in each channel
        maps = torch.nn.functional.pad(torch.cat([0 * ones[:1], ones]), (0, 0, 1, 1, 1, 1))
        (made,) = mlp.pre_activations(maps)
        middle = made[:, made.shape[1] // 2, made.shape[2] // 2]
        steps = middle[1:] - middle[0]
        torch.testing.assert_close(mlp.lengths(), [steps.norm(dim=0)], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", CONVNEXT)
def test_neurons_are_what_convnext_makes_of_every_place(name, models, folders):
    """They are what enters the response normalisation of the second version, which reads all places of a channel."""
    model, entered = models[name], {}
    mlps, places = find_mlps(model), CONVNEXT[name]
    assert [mlp.down for mlp in mlps] == [model.get_submodule(after) for _, after in places]
    for i, (up, _) in enumerate(places):
        model.get_submodule(up).register_forward_pre_hook(lambda _, x, i=i: entered.__setitem__(i, x[0].double()))
    found = maps_of(model, IMAGES)
    assert [own.shape for own in found] == [(3, 16, 16, 32), *[(3, 8, 8, 64)] * 2, (3, 4, 4, 96), (3, 2, 2, 128)]
    for i, (own, (up, _)) in enumerate(zip(found, places, strict=True)):
        up = model.get_submodule(up)
        expected = torch.nn.functional.gelu(entered[i] @ up.weight.double().T + up.bias.double())
        assert 0.05 < (expected > 0.1).float().mean() < 0.95
        torch.testing.assert_close(own.double(), expected, atol=1e-4, rtol=1e-4)
    planned = folder_size(folders[name], "image")
    assert planned == size_of_model(model)
    assert (planned.widths, planned.hidden) == ((32, 64, 64, 96, 128), 32)
    assert grid_of(folders[name]) == 2, "places of the last map"


def test_a_classifier_s_folder_is_read_without_its_head(tmp_path):
    torch.manual_seed(0)
    whole = transformers.ConvNextV2ForImageClassification(CONFIGS["convnextv2"])
    whole.save_pretrained(tmp_path)
    Preprocessing(64).save(tmp_path)
    model = load_model(tmp_path, CPU, modality="image")
    assert type(model).__name__ == "ConvNextV2Model"
    for name, weight in whole.convnextv2.state_dict().items():
        assert torch.equal(model.state_dict()[name], weight)


def test_what_convnext_s_weights_do_not_make_is_refused(models):
    model = models["convnextv2"]
    handle = model.encoder.stages[1].layers[1].pwconv1.register_forward_hook(lambda _module, _x, y: 1.01 * y)
    with pytest.raises(StudyError, match="the input of the down-projection in layer 2 is not what the weights"):
        check_neurons(model)
    handle.remove()
    check_neurons(model)


def test_the_tower_that_reads_is_read_beside_a_convnext_that_sees():
    seeing = transformers.ConvNextConfig(**STAGES, hidden_size=32)
    config = transformers.LlavaConfig(vision_config=seeing, text_config=CASES["llama"].config())
    model = transformers.AutoModel.from_config(config)
    assert mlps_of_maps(model.vision_tower)
    assert [mlp.down for mlp in find_mlps(model)] == [layer.mlp.down_proj for layer in model.language_model.layers]


@pytest.mark.parametrize(
    ("channels", "groups", "found"), [(8, 8, True), (8, 1, False), (32, 32, False)], ids=["convnext", "full", "mix-ffn"]
)
def test_an_mlp_stands_behind_a_convolution_of_every_channel_that_enters_it(channels, groups, found):
    block = torch.nn.Module()
    block.convolution = torch.nn.Conv2d(channels, channels, 3, groups=groups)
    block.up, block.act, block.down = torch.nn.Linear(8, 32), torch.nn.GELU(), torch.nn.Linear(32, 8)
    assert [mlp.down for mlp in mlps_of_maps(block)] == [block.down] * found
    head, other = torch.nn.Linear(8, 5), torch.nn.Linear(8, 8)
    assert len(mlps_of_maps(torch.nn.Sequential(block, head))) == found
    assert not mlps_of_maps(torch.nn.Sequential(other, block)), "a network that does something else besides"
    assert not mlps_of_maps(torch.nn.Sequential(block, other, head))


def test_what_does_not_add_up_is_refused(models):
    model = models["efficientnet"]
    block = model.get_submodule("encoder.blocks.2.expansion")
    handle = block.expand_bn.register_forward_hook(lambda _module, _x, y: 1.01 * y)
    with pytest.raises(StudyError, match="the input of the down-projection in layer 1 is not what the weights"):
        check_neurons(model)
    handle.remove()
    check_neurons(model)
    basic = transformers.ResNetConfig(depths=[1], hidden_sizes=[8], layer_type="basic")
    with pytest.raises(StudyError, match=r"ResNetModel: found no linear map, .* and no bottleneck that ends"):
        find_mlps(transformers.AutoModel.from_config(basic))


def test_a_bottleneck_ends_without_a_non_linearity():
    filters, back = ResNetConvLayer(8, 8), ResNetConvLayer(8, 32, kernel_size=1, activation=None)
    assert [mlp.down for mlp in mlps_of_maps(torch.nn.Sequential(filters, back))] == [back]
    of_channels = ResNetConvLayer(8, 8)
    of_channels.convolution = torch.nn.Conv2d(8, 8, 3, groups=8)
    for others in (
        (filters, ResNetConvLayer(8, 32, kernel_size=1)),  # with a non-linearity
        (of_channels, back),  # which read every channel by itself
        (ResNetConvLayer(8, 8, activation=None), back),  # without a non-linearity
    ):
        with pytest.raises(StudyError, match="found no linear map"):
            mlps_of_maps(torch.nn.Sequential(*others))


@pytest.mark.parametrize("name", ["efficientnet", "convnextv2"])
def test_maps_of_every_size_come_to_the_common_grid(name, models):
    model = models[name]
    found = activations(model)
    torch.testing.assert_close(activations(model, batch=3), found)
    start, sides = 0, []
    for own in maps_of(model, IMAGES):
        sides.append(own.shape[1])
        if own.shape[1] >= SIDE:  # 32 and 16 places on 4 patches: plain means
            step = own.shape[1] // SIDE
            expected = own.reshape(3, SIDE, step, SIDE, step, -1).mean((2, 4)).flatten(0, 2)
            torch.testing.assert_close(found[:, start : start + own.shape[-1]], expected, atol=1e-4, rtol=1e-4)
        start += own.shape[-1]
    assert sides == {"efficientnet": [32, 16, 16], "convnextv2": [16, 8, 8, 4, 2]}[name]


def test_moments_are_taken_from_places_all_over_a_large_map(models):
    batch = open_inputs(models["efficientnet"], SAMPLES, CPU).batch(np.arange(2))
    for side, rows in ((7, 7), (28, 28), (112, 28)):
        values = torch.arange(2 * side**2).float().reshape(2, side, side, 1)
        assert torch.equal(batch.inside(values), values[:, :: side // rows, :: side // rows].flatten(0, 2))


@pytest.mark.parametrize("own", [1, 7, 9, 14, 28, 33, 56, 65, 112])
@pytest.mark.parametrize("side", [1, 7, 14, 16])
def test_what_is_linear_over_a_map_comes_out_exactly(own, side):
    middles, wanted = (np.arange(own) + 0.5) / own, (np.arange(side) + 0.5) / side
    found = resampling(own, side, is_map=True).double() @ torch.from_numpy(3 * middles - 1)
    if own > 1:
        np.testing.assert_allclose(found, 3 * wanted - 1, atol=1e-5)
    torch.testing.assert_close(resampling(own, side, is_map=True).sum(1), torch.ones(side))


def test_patches_of_transformers_are_points_on_any_grid():
    assert (resampling(16, 4, is_map=False) != 0).sum(1).tolist() == [2] * 4
    assert (resampling(16, 4, is_map=True) != 0).sum(1).tolist() == [4] * 4


@pytest.mark.parametrize(
    ("name", "least", "most"), [("efficientnet", 0, 6), ("resnet", 0, np.inf), ("convnextv2", -0.2, np.inf)]
)
def test_random_neurons_have_the_moments_of_a_layer(name, least, most, models):
    model = models[name]
    plain = activations(model)
    same = activations(model, rotated, seed=1, rotation=lambda _size, _random: lambda x: x)
    torch.testing.assert_close(same, plain, atol=1e-4, rtol=1e-4)
    turned = activations(model, rotated, seed=1)
    fine = sum(own.shape[-1] for own in maps_of(model, IMAGES) if own.shape[1] >= SIDE)  # others are extrapolated
    assert turned[:, :fine].min() >= least
    assert turned[:, :fine].max() <= most
    alive = (plain.std(0) > 0) & (turned.std(0) > 0)
    assert alive.float().mean() > 0.5
    r = np.corrcoef(plain[:, alive].T, turned[:, alive].T)[: alive.sum(), alive.sum() :]
    assert np.abs(np.diag(r)).mean() < 0.7, "the neurons themselves are gone"
    for mlp in find_mlps(model):
        if name == "resnet":  # whose filters read the places around
            continue
        inputs = torch.eye(neurons_of(mlp.ups[0]))
        with torch.no_grad():
            (of_each,), (of_none,) = mlp.pre_activations(inputs), mlp.pre_activations(torch.zeros(1, len(inputs)))
        torch.testing.assert_close(mlp.lengths(), [(of_each - of_none).norm(dim=0)], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", CONFIGS)
def test_maps_of_an_untrained_network_do_not_fade(name, folders):
    model = untrained_model(folders[name], 1, CPU, modality="image")
    assert torch.equal(activations(model), activations(untrained_model(folders[name], 1, CPU, modality="image")))
    least = 0.02 if name in CONVNEXT else 0.05  # weights of ConvNeXt are drawn with a deviation of 0.02
    for own in maps_of(model, IMAGES):
        assert least < own.std() < 6
        assert (own.flatten(0, 2).std(0) > 0.01).float().mean() > 0.5
