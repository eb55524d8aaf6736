"""Kineograph: learn from the footage you have; continue it, imagine it, edit it, restore it."""

from kineograph.answer import Sampling
from kineograph.known import Guide, Known
from kineograph.models.net import Kineo
from kineograph.models.weights import load
from kineograph.tasks import predict
from kineograph.video import Clip, VideoError, Writer, probe, read, read_recipe, stream

__all__ = [
    "Clip",
    "Guide",
    "Kineo",
    "Known",
    "Sampling",
    "VideoError",
    "Writer",
    "load",
    "predict",
    "probe",
    "read",
    "read_recipe",
    "stream",
]
