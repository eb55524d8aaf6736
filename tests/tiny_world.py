"""A world so small that tests can play it."""

import torch

from kineograph.models.world import World, WorldShape


def tiny_world(num_starts: int = 2) -> World:
    """A world whose weights and starts are random, so that luck and actions change what comes."""
    generator = torch.Generator().manual_seed(0)
    shape = WorldShape(4, height_px=32, width_px=48, channels=(8, 8, 8), num_starts=num_starts)
    with torch.random.fork_rng(devices=[]):
        world = World(shape).eval().requires_grad_(False)
    for weight in world.parameters():
        weight.copy_(0.3 * torch.randn(weight.shape, generator=generator))
    for kept in (world.starts, world.plates):
        kept.random_(0, 256, generator=generator)
    return world
