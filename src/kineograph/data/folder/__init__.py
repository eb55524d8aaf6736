"""A folder of anyone's films becomes training clips: checked, split by shot, kept small, drawn."""

from kineograph.data.folder.checking import Progress, survey
from kineograph.data.folder.drawing import (
    FilmsSource,
    held_out_clips,
    training_source,
    training_stretches,
)
from kineograph.data.folder.found import FilmSurvey, Found, Looking, Survey
from kineograph.data.folder.manifest import survey_as_json, write_json
from kineograph.data.folder.packing import Packed, check_room, prepare, prepared, write_manifest
from kineograph.data.folder.splitting import FilmSplit, Split, split

__all__ = [
    "FilmSplit",
    "FilmSurvey",
    "FilmsSource",
    "Found",
    "Looking",
    "Packed",
    "Progress",
    "Split",
    "Survey",
    "check_room",
    "held_out_clips",
    "prepare",
    "prepared",
    "split",
    "survey",
    "survey_as_json",
    "training_source",
    "training_stretches",
    "write_json",
    "write_manifest",
]
