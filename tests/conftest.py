"""Every test runs on one thread, with shape types checked by the hook named in pyproject.toml."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Small tensors run faster on one thread, and sums come out in one order everywhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def generator() -> torch.Generator:
    """A seeded source of randomness, the same for every test."""
    return torch.Generator().manual_seed(0)
