"""Kineograph: learn from the footage you have; continue it, imagine it, edit it, restore it."""

from kineograph.answer import Sampling
from kineograph.known import Guide, Known
from kineograph.models.net import Kineo
from kineograph.models.weights import load
from kineograph.tasks import Enhancement, enhance, inpaint, interpolate, outpaint, predict, repair
from kineograph.video import Clip, VideoError, Writer, probe, read, read_recipe, stream

__all__ = [
    "Clip",
    "Enhancement",
    "Guide",
    "Kineo",
    "Known",
    "Sampling",
    "VideoError",
    "Writer",
    "enhance",
    "inpaint",
    "interpolate",
    "load",
    "outpaint",
    "predict",
    "probe",
    "read",
    "read_recipe",
    "repair",
    "stream",
]
