"""Moments for the batch norms of networks that were never trained."""

from typing import Any

import numpy as np
import torch

from rosetta_scaling.corpora.procedural import procedural_images

SIDE, OBJECTS, PER_CLASS = 64, 3, 2  # of the images that are drawn for it


@torch.no_grad()
def settle_norms(model: torch.nn.Module) -> None:
    """Give every batch norm the means and variances that drawn images have there. The network is in eval mode.

    As they are made, norms expect a mean of 0 and a variance of 1 of whatever enters. Nothing has, and transformers
    (5.23) draws their gains around 0 besides, where they should be 1. So the maps of an untrained network would shrink
    from layer to layer until no precision holds them.
    """
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_parameters()  # gains of 1
        norm.momentum = None  # of the whole batch, and nothing of what was there before
        norm.train()
    images = [pixels for _, pixels, _ in procedural_images(SIDE, OBJECTS, PER_CLASS, seed=0)]
    network: Any = model
    model(pixel_values=network.preprocessing(images, np.arange(len(images))).to(network.device, network.dtype))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
