"""A region says of each frame where the picture is to be filled or edited: True is inside.

It comes from a box, a picture, a film, or a thing that is followed or pointed at. None looks ahead.
"""

from kineograph.regions.boxes import (
    Box,
    Frames,
    Region,
    box,
    grown,
    in_box,
    in_film,
    in_picture,
)
from kineograph.regions.following import Mask, Picture, tracked
from kineograph.regions.naming import FOLLOWED, is_film, named
from kineograph.regions.pointing import MOST_POINTED, POINTED, Pointed, Pointing

__all__ = [
    "FOLLOWED",
    "MOST_POINTED",
    "POINTED",
    "Box",
    "Frames",
    "Mask",
    "Picture",
    "Pointed",
    "Pointing",
    "Region",
    "box",
    "grown",
    "in_box",
    "in_film",
    "in_picture",
    "is_film",
    "named",
    "tracked",
]
