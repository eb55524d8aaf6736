"""A world as a file that ONNX Runtime or OpenVINO play without us: one frame for each question."""

from collections.abc import Mapping
from pathlib import Path

from kineograph.answer.dream import questions
from kineograph.models.playable import Playable
from kineograph.models.world import World, WorldShape
from kineograph.runtime import files


def export(
    world: World,
    card: Mapping[str, object],
    path: Path,
    int8: bool = False,
    luck: float = 1.0,
) -> tuple[Path, ...]:
    """Writes an .onnx, or an .xml with its .bin; gives their paths. int8: an .xml in 8 bits,
    calibrated on the world's own dreams, with so much luck.

    ValueError for another kind of file, a missing package, or a world that has no starts to dream
    from.
    """
    files.checked(path, int8)
    playable = Playable(world)
    said = files.Described(card, inputs_of(world.shape), OUTPUTS)
    calibration = questions(world, luck) if int8 else None
    return files.write(playable, playable.example(), path, said, calibration)


def inputs_of(shape: WorldShape) -> dict[str, str]:
    """What each input means, in order."""
    return {
        "past": f"the last {shape.num_past} frames, oldest first: RGB, 0 to 255, channels first",
        "plate": "what stood there all along, such as the median of the frames so far: the same",
        "action": f"one-hot, of {shape.num_actions} actions",
        "noise": "luck: standard normal, times how far from the likeliest it may be",
    }


OUTPUTS = {
    "frame": "the next frame, as the past is",
    "reward": "what the action brought",
    "end": "the chance that the game was over, 0 to 1",
}
