"""Weights in formats other than safetensors, written as a `save_pretrained` folder. Parsed as data, never executed."""

from pathlib import Path
from typing import Any

import torch

from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import write_json
from rosetta_scaling.store.tensors import write_tensors


def convert_onnx(raw: bytes, module: str, config: dict, zeros: tuple[str, ...], *, folder: Path) -> None:
    """Write config.json and model.safetensors of the network `module` inside an exported one.

    `config` is that of the transformers class; `zeros` names its weights that are not in the file. Raises StudyError
    unless names and shapes are exactly those of the class.
    """
    from transformers import AutoConfig, AutoModel

    write_json(folder / "config.json", config)
    weights = onnx_weights(raw, module)
    with torch.device("meta"):
        network = AutoModel.from_config(AutoConfig.from_pretrained(folder))
    expected = {name: tensor.shape for name, tensor in network.state_dict().items()}
    weights |= {name: torch.zeros(expected[name]) for name in zeros if name not in weights}
    found = {name: tensor.shape for name, tensor in weights.items()}
    if wrong := sorted(name for name in expected | found if expected.get(name) != found.get(name)):
        raise StudyError(
            f"the ONNX file and {type(network).__name__} disagree on {len(wrong)} weights (first: {wrong[0]}, found "
            f"{found.get(wrong[0])}, expected {expected.get(wrong[0])}); correct the config of this package"
        )
    write_tensors(folder / "model.safetensors", weights, {"format": "pt"})


def onnx_weights(raw: bytes, module: str) -> dict[str, torch.Tensor]:
    """Weights of an ONNX file that PyTorch exported, by the names they have in `module`.

    The export keeps the names of all weights but the matrices of linear maps, which it transposes and calls
    onnx::MatMul_N: those are found by the name of the node that multiplies by them.
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
    return weights


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
