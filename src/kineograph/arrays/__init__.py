"""Stacks of numbers over time come in and go out here, and are continued like films.

NumPy (.npy, .npz), Zarr (a folder) and NetCDF (.nc); unknown cells stay unknown.
"""

from kineograph.arrays.files import read, write
from kineograph.arrays.forecasting import Forecast, Predict, forecast
from kineograph.arrays.picture import film, save_film
from kineograph.arrays.scale import Scale
from kineograph.arrays.stack import MAX_BYTES, ArrayError, Stack, from_array

__all__ = [
    "MAX_BYTES",
    "ArrayError",
    "Forecast",
    "Predict",
    "Scale",
    "Stack",
    "film",
    "forecast",
    "from_array",
    "read",
    "save_film",
    "write",
]
