"""One step of training after the other: on a processor as it stands, on a GPU in bfloat16, recorded once and replayed.

A step of a small network is hundreds of short kernels, and starting them one by one takes longer than their work. So a
GPU records them as a CUDA graph (torch.cuda.CUDAGraph). Products are made in bfloat16 (torch.autocast); weights,
gradients and the state of the optimiser stay float32.
"""

import logging
import os
from collections.abc import Callable

import torch

from rosetta_scaling.config.ladder import Ladder
from rosetta_scaling.networks.training.architectures import attend_without_looking
from rosetta_scaling.numerics import devices

log = logging.getLogger(__name__)
WARM_UP = 3  # passes before a recording, in which libraries take their memory
Parameters = dict[str, torch.nn.Parameter]
Loss = Callable[..., torch.Tensor]  # of the parts of a batch, which lie where the network is


def new_steps(model: torch.nn.Module, loss: Loss, settings: Ladder, device: torch.device) -> "Steps":
    """Steps of a network that lies on this device."""
    return (CardSteps if devices.is_card(device) else Steps)(model, loss, settings, device)


class Steps:
    """Forward pass, backward pass and update, one operation after the other, in float32."""

    arithmetic = "float32"

    def __init__(self, model: torch.nn.Module, loss: Loss, settings: Ladder, device: torch.device):
        self.model, self.loss, self.device = model, loss, device
        self.parameters: Parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        matrices = [p for p in self.parameters.values() if p.ndim >= 2]
        vectors = [p for p in self.parameters.values() if p.ndim < 2]
        groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.95), fused=True)

    def __call__(self, batch: tuple[torch.Tensor, ...], rate: float) -> torch.Tensor:
        """One step at a learning rate, on a batch in main memory; the loss before it, where the network lies."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        return self._step([part.to(self.device) for part in batch])

    def _passes(self, batch: list[torch.Tensor]) -> torch.Tensor:
        self.model.train()
        loss = self.loss(*batch)
        loss.backward()
        return loss.detach()

    def _step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        loss = self._passes(batch)
        torch.nn.utils.clip_grad_norm_(self.parameters.values(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        return loss


class CardSteps(Steps):
    """The same on a GPU, which is never waited for: whoever reads a loss waits."""

    arithmetic = "products in bfloat16, weights in float32"

    def __init__(self, model: torch.nn.Module, loss: Loss, settings: Ladder, device: torch.device):
        super().__init__(model, loss, settings, device)
        attend_without_looking(model)
        if device.type == "cuda":
            _repeat_exactly()
        # What a recording reads anew in every step has to lie on the GPU, and to be there before.
        self.rate = torch.zeros((), device=device)
        for group in self.optimiser.param_groups:
            group |= {"lr": self.rate, "capturable": True}
        for p in self.parameters.values():
            moments = {name: torch.zeros_like(p) for name in ("exp_avg", "exp_avg_sq")}
            self.optimiser.state[p] = {"step": torch.zeros((), device=device), **moments}
        self.batch: list[torch.Tensor] = []
        self.replay: Callable[[], torch.Tensor] | None = None

    def __call__(self, batch: tuple[torch.Tensor, ...], rate: float) -> torch.Tensor:
        self.rate.fill_(rate)
        if self.replay is None:
            self.batch = [part.to(self.device) for part in batch]
            self.replay = self._recorded()
        for place, part in zip(self.batch, batch, strict=True):
            place.copy_(part.pin_memory() if place.is_cuda else part, non_blocking=True)
        return self.replay()

    def _passes(self, batch: list[torch.Tensor]) -> torch.Tensor:
        with torch.autocast(self.device.type, torch.bfloat16):
            self.model.train()
            loss = self.loss(*batch)
        loss.backward()
        return loss.detach()

    def _recorded(self) -> Callable[[], torch.Tensor]:
        """What repeats a step on `self.batch`: its recording, or the step itself where it cannot be recorded."""

        def step() -> torch.Tensor:
            return self._step(self.batch)

        def warm_up() -> None:
            self._passes(self.batch)
            self.optimiser.zero_grad()

        try:
            return record(step, warm_up, self.device)
        except RuntimeError as error:
            log.warning("steps are not recorded, which is slower: %s", error)
            self.optimiser.zero_grad()
            return step


def record(
    step: Callable[[], torch.Tensor], warm_up: Callable[[], None], device: torch.device
) -> Callable[[], torch.Tensor]:
    """Record a step as a CUDA graph without doing it; what is returned does it, and gives the same tensor every time.

    Raises RuntimeError where a step waits for the GPU or sends something to it. On a processor, which stands for a GPU
    in tests, the step itself is returned.
    """
    if device.type != "cuda":
        return step
    with torch.cuda.device(device):
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                warm_up()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            loss = step()

    def replay() -> torch.Tensor:
        graph.replay()
        return loss

    return replay


def _repeat_exactly() -> None:
    """Let this process take kernels that give the same result every time, so that a resumed run ends as any other."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
