"""Live video in, enhanced or foretold or as it is, live out: in bounded memory and bounded time."""

from kineograph.answer.live.filing import Filed
from kineograph.answer.live.foretelling import Recent, beside, foretelling
from kineograph.answer.live.running import Made, Make, Policy, Times, run
from kineograph.answer.live.tally import Figures, Tally, part
from kineograph.answer.live.waiting import Given, Waiting

__all__ = [
    "Figures",
    "Filed",
    "Given",
    "Made",
    "Make",
    "Policy",
    "Recent",
    "Tally",
    "Times",
    "Waiting",
    "beside",
    "foretelling",
    "part",
    "run",
]
