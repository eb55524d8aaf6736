"""Scale is applied to a plain model from outside: many processes by torchrun, and compilation."""

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Ranks:
    """Which process this is, of how many; (0, 1) without torchrun."""

    rank: int = 0
    world: int = 1
    local: int = 0

    @property
    def leads(self) -> bool:
        return self.rank == 0


def join(device_type: str = "cpu") -> Ranks:
    """Joins the processes that torchrun started; alone, it does nothing."""
    if "WORLD_SIZE" not in os.environ or int(os.environ["WORLD_SIZE"]) == 1:
        return Ranks()
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device_type == "cuda" else "gloo")
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device_type == "cuda":
        torch.cuda.set_device(local)
    return Ranks(dist.get_rank(), dist.get_world_size(), local)


def leave() -> None:
    """Undoes `join`."""
    if dist.is_initialized():
        dist.destroy_process_group()


def data_parallel(module: nn.Module, ranks: Ranks) -> nn.Module:
    """The module with its gradients averaged over all processes; itself if there is but one.

    Wrap what is called once per step. Gradients meet only through that call.
    """
    if ranks.world == 1:
        return module
    on_gpu = next(module.parameters()).is_cuda
    return DistributedDataParallel(module, device_ids=[ranks.local] if on_gpu else None)


def sharded(module: nn.Module, ranks: Ranks) -> nn.Module:
    """The module with its weights and gradients parted among all processes, averaged like those of
    `data_parallel`; itself if there is but one (FSDP: Zhao et al., arXiv 2304.11277).

    Wrap what is called once per step: the whole is gathered as that call begins, and parted again
    as its gradients are done. Layers aren't gathered one by one, since processes may draw different
    paths through a model. An optimizer that is made afterwards keeps its moments in parts.
    """
    if ranks.world == 1:
        return module
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    for tensor in module.state_dict().values():
        dist.broadcast(tensor, 0)
    for owner in module.modules():
        for name, weight in owner.named_parameters(recurse=False):
            if weight.ndim == 0:  # only what has a dimension can be parted
                setattr(owner, name, nn.Parameter(weight.data.view(1), weight.requires_grad))
    device = next(module.parameters()).device.type
    fully_shard(module, mesh=init_device_mesh(device, (ranks.world,)))
    return module


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor that may be parted, which all processes must ask for; else the tensor."""
    gathered = getattr(tensor, "full_tensor", None)
    return gathered() if gathered else tensor


def part(tensor: Tensor, like: Tensor) -> Tensor:
    """A whole tensor, parted as `like` is; a single number may have one dimension or none."""
    if like.numel() == tensor.numel() == 1:
        tensor = tensor.view(like.shape)
    if not hasattr(like, "full_tensor"):
        return tensor
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(like, DTensor)
    mesh, placements = like.device_mesh, like.placements
    return distribute_tensor(tensor.to(like.device), mesh, placements, src_data_rank=None)


def mean(value: Tensor, ranks: Ranks) -> Tensor:
    """The mean of a number over all processes."""
    if ranks.world == 1:
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total / ranks.world


def any_of(flag: bool, ranks: Ranks, device: torch.device) -> bool:
    """Whether any process says so, so that all of them stop at one step."""
    return bool(mean(torch.tensor(float(flag), device=device), ranks) > 0)


def wait(ranks: Ranks) -> None:
    if ranks.world > 1:
        dist.barrier()


def compiled(model: nn.Module) -> nn.Module:
    """Compiles, in place, the two calls that a model may have: forward and denoise."""
    model.compile()
    if hasattr(model, "denoise"):
        model.denoise = torch.compile(model.denoise)  # type: ignore[method-assign]
    return model
