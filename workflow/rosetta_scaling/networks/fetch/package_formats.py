"""Weights in formats other than safetensors, written as a `save_pretrained` folder. Parsed as data, never executed."""

import io
from pathlib import Path
from typing import Any

import torch

from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import write_json
from rosetta_scaling.store.tensors import write_tensors


def convert_onnx(
    raw: bytes, module: str, config: dict, *, zeros: tuple[str, ...], joined: dict[str, list[str]], folder: Path
) -> None:
    """Write config.json and model.safetensors of the network `module` inside an exported one.

    `config` is that of the transformers class; `zeros` names its weights that are not in the file, and `joined` those
    that the export has cut into several tensors, with their names. Raises StudyError unless names and shapes are
    exactly those of the class.
    """
    weights = onnx_weights(raw, module, joined)
    for name, shape in _shapes(config).items():
        if name in zeros:
            weights.setdefault(name, torch.zeros(shape))
    _write_network(weights, config, folder)


def _shapes(config: dict) -> dict[str, torch.Size]:
    """Names and shapes of the weights of the network that transformers makes of a configuration."""
    from transformers import AutoConfig, AutoModel

    with torch.device("meta"):
        network = AutoModel.from_config(AutoConfig.for_model(**config))
    return {name: tensor.shape for name, tensor in network.state_dict().items()}


def _write_network(weights: dict[str, torch.Tensor], config: dict, folder: Path) -> None:
    """Write config.json and model.safetensors, and make sure that transformers takes every weight, and misses none.

    It is asked, since it knows weights by older names than those of its modules, too.
    """
    from transformers import AutoModel

    write_json(folder / "config.json", config)
    write_tensors(folder / "model.safetensors", weights, {"format": "pt"})
    load: Any = AutoModel.from_pretrained  # gives a pair when asked for information
    network, loaded = load(folder, output_loading_info=True, ignore_mismatched_sizes=True)
    expected = {name: tensor.shape for name, tensor in network.state_dict().items()}
    found = {name: shape for name, shape, _ in loaded["mismatched_keys"]}
    found |= {name: weights[name].shape for name in loaded["unexpected_keys"]}
    if wrong := sorted({*loaded["missing_keys"], *found}):
        raise StudyError(
            f"the file and {type(network).__name__} disagree on {len(wrong)} weights (first: {wrong[0]}, found "
            f"{found.get(wrong[0])}, expected {expected.get(wrong[0])}); correct the config of this package"
        )


def onnx_weights(raw: bytes, module: str, joined: dict[str, list[str]] | None = None) -> dict[str, torch.Tensor]:
    """Weights of an ONNX file that PyTorch exported, by the names they have in `module`.

    The export keeps the names of all weights but the matrices of linear maps, which it transposes and calls
    onnx::MatMul_N: those are found by the name of the node that multiplies by them. What it has cut into rows
    (batch, rows, columns) stands in `joined`: the name of the whole, and those of its parts.
    """
    import onnx

    graph = onnx.load_model_from_string(raw).graph
    stored = {tensor.name: torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy()) for tensor in graph.initializer}
    inside = f"{module}."
    weights = {name.partition(inside)[2]: tensor for name, tensor in stored.items() if inside in name}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in stored:
            place = node.name.replace("/", ".").partition(inside)[2]
            weights[f"{place.removesuffix('.MatMul')}.weight"] = stored[node.input[1]].T
    return weights | {name: torch.cat([stored[part] for part in parts], 1) for name, parts in (joined or {}).items()}


def convert_efficientnet(raw: bytes, config: dict, folder: Path) -> None:
    """Write the network of an EfficientNet-Lite as transformers' EfficientNet, whose channels nothing excites.

    `raw` is a table of tensors as torch saves it, with another's names, in the same order and with the same shapes;
    the head that names classes (_fc) is left out. EfficientNet weighs every channel by a sigmoid, which the Lite
    networks lack: it is 1, exactly, where the sigmoid is of 30. Raises StudyError when anything does not fit.
    """
    tensors = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
    stored = [(name, tensor) for name, tensor in tensors.items() if not name.startswith("_fc.")]
    shapes, weights = _shapes(config), {}
    excited = [name for name in shapes if ".squeeze_excite." in name]
    wanted = [name for name in shapes if name not in excited]
    for name, (other, tensor) in zip(wanted, stored, strict=True):
        if tensor.shape != shapes[name] or name.rpartition(".")[2] != other.rpartition(".")[2]:
            raise StudyError(
                f"the file has {other} {tuple(tensor.shape)} where {name} {tuple(shapes[name])} was expected; correct "
                "the config of this package"
            )
        weights[name] = tensor
    for name in excited:
        weights[name] = torch.full(shapes[name], 30.0 if name.endswith("expand.bias") else 0.0)
    _write_network(weights, config, folder)


def convert_gguf(file: Path, split_digits: bool, folder: Path) -> None:
    """Write a causal language model and its tokenizer, dequantised. `split_digits`: every digit is a word of its own.

    In float32: a block's values are scale * integer + offset, which 16 bits do not hold (in SmolLM2 float16 would
    change a third of the Q4_1 values and bfloat16 three quarters). Raises StudyError when weights are missing.
    """
    from tokenizers import pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    load: Any = AutoModelForCausalLM.from_pretrained  # gives a pair when asked for information
    model, loaded = load(file.parent, gguf_file=file.name, dtype=torch.float32, output_loading_info=True)
    if absent := sorted(loaded["missing_keys"]):
        raise StudyError(f"{file.name} lacks {len(absent)} weights (first: {absent[0]}); it is not a whole network")
    model.hf_quantizer = None  # transformers refuses to save a network that it believes is quantised still
    vars(model.config).pop("quantization_config", None)
    model.save_pretrained(folder)

    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    if split_digits:  # transformers takes all byte-level tokenizers to split as GPT-2 does
        digits = pre_tokenizers.Digits(individual_digits=True)
        split = [digits, pre_tokenizers.ByteLevel(add_prefix_space=False)]
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(split)
    tokenizer.save_pretrained(folder)
