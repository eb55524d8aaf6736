"""`make gallery` shows every verb on held-out footage in one page."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from kineograph import arrays, tasks
from kineograph.answer import Sampling, translated
from kineograph.answer.tiles import sized
from kineograph.data import damaged, degrade, footage, shots
from kineograph.data.clips import rng_for
from kineograph.evaluate import metrics
from kineograph.evaluate.ours import together
from kineograph.evaluate.sheet import contact_sheet, to_image_frames
from kineograph.models import eulerian, weights
from kineograph.models.window import Predictor
from kineograph.train import transfer as pairs
from kineograph.video.levels import frames_of, to_8_bits

Film = Float[Tensor, "t 3 h w"]
HEIGHT, WIDTH = 144, 256
NUM_FRAMES = 16
JPEG_QUALITY = 88
MINUTES_OF_PAIRS = 2.0
SHOTS = (5, 0, 2, 9, 12, 15)
"""Which of the held-out shots are shown, in turn."""


@dataclass(frozen=True, eq=False)
class Shown:
    """Rows of frames, one of them the truth where there is one, and what is said of them."""

    said: str
    rows: Mapping[str, Film]
    columns: tuple[int, ...] = (2, 6, 10, 14)
    scored: Bool[Tensor, "t 1 h w"] | None = None


def main(page: Path = Path("docs/gallery.md"), model_name: str = weights.SHIPPED) -> None:
    """Writes the page and its pictures beside it."""
    model = weights.load(model_name)
    folder = page.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    lines = [HEAD.format(sha=weights.digest(model_name)[:12])]
    for name, make in VERBS.items():
        shown = make(model)
        picture = folder / f"{name.replace(' ', '-')}.jpg"
        _save(shown, picture)
        lines += [f"## {name}", "", shown.said, "", *_scores(shown)]
        lines += [f"![{name}]({folder.name}/{picture.name})", ""]
        page.write_text("\n".join([*lines, SEEN]))
        print(f"{name}: {picture}", flush=True)


HEAD = """# Gallery

Every verb on shots of Big Buck Bunny that no training saw, at 256x144, made by `make gallery` with
the shipped weights ({sha}). dB are PSNR over the clip, against the film itself.
(c) Blender Foundation, CC-BY 3.0.
"""


SEEN = """## What there is to see
Good: frames between and moving holes cannot be told from the film; noise goes and fur stays;
enlarged edges are clean; what was out of focus is sharp, with hardly a ring; flicker is gone;
imagined films are sharp. Bad: sides that no frame shows are pictures now, but the cloud ends at
an upright seam where the film was cut, and another stands where leaves should be; in a film of 16
frames steady scratches over a still shot stay, and specks on what moves; a little grain stays in
flat skies; colours are a faint tint; after two minutes a learned pair shows a fine grid in the
dark and trails behind what moves; an edit towards an unlike reference is a collage; foretold
limbs stop, and what falls into a film from nowhere leaves it as a ghost.
"""


def clip(number: int, num_frames: int = NUM_FRAMES) -> Film:
    """The middle of a held-out shot."""
    start, end = [s for s in shots.held_out_shots() if s[1] - s[0] >= 40][number]
    first = (start + end - num_frames) // 2
    pictures = footage.fetch("bbb")[first : first + num_frames]
    size = (WIDTH, HEIGHT)
    return frames_of(
        np.stack([cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in pictures])
    )


def predict(model: Predictor) -> Shown:
    film = clip(SHOTS[0], 24)
    known, truth = film[:8], film[8:]
    rows = {
        "film": truth,
        "kineo, mean": tasks.predict(known, 16, model),
        "kineo, sample": tasks.predict(known, 16, model, Sampling(2, 1)),
        "copy": known[-1:].expand(16, -1, -1, -1),
    }
    return Shown("16 frames after 8 known ones: `kineo predict`.", rows, (0, 3, 7, 15))


def precede(model: Predictor) -> Shown:
    film = clip(SHOTS[1], 16)
    made = tasks.precede(film[8:], 8, model)
    rows = {"film": film[:8], "kineo": made, "copy": film[8:9].expand(8, -1, -1, -1)}
    return Shown("8 frames before the first: `kineo predict --before`.", rows, (0, 3, 5, 7))


def generate(_: Predictor) -> Shown:
    like = clip(SHOTS[1], 24)
    made = together(tasks.generate(like, NUM_FRAMES, HEIGHT, WIDTH, loop=True))
    rows = {"given clip": like[:NUM_FRAMES], "imagined, loops": made}
    return Shown("A new film with the statistics of a clip: `kineo generate CLIP --loop`.", rows)


def animate(_: Predictor) -> Shown:
    still = clip(SHOTS[2], 1)[0]
    field = eulerian.zooming(HEIGHT, WIDTH, 0.004)
    made = together(tasks.animate(still, field, 48, loop=False))
    return Shown(
        "A still, into which the camera goes: `kineo animate`.", {"kineo": made}, (0, 15, 31, 47)
    )


def interpolate(model: Predictor) -> Shown:
    film = clip(SHOTS[3], 17)
    timed = [(Fraction(n), frame) for n, frame in enumerate(film[::2])]
    made = together(f for _, f in tasks.interpolate(timed, Fraction(2), model))[1::2]
    blend = (film[:-2:2] + film[2::2]) / 2
    rows = {"film": film[1::2], "blend": blend, "kineo": made}
    return Shown("Every second frame is made: `kineo interpolate --fps`.", rows, (1, 3, 5, 7))


def inpaint(model: Predictor) -> Shown:
    film = clip(SHOTS[4])
    holes = torch.zeros(NUM_FRAMES, 1, HEIGHT, WIDTH, dtype=torch.bool)
    for n, hole in enumerate(holes):
        hole[:, 40:104, 40 + 6 * n : 104 + 6 * n] = True
    given = torch.where(holes, 0.0, film)
    made = together(tasks.inpaint(given, holes, model))
    rows = {"film": film, "given": given, "kineo": made}
    return Shown("A moving hole is filled: `kineo inpaint --region`.", rows, scored=holes)


def outpaint(model: Predictor) -> Shown:
    film = clip(SHOTS[0])
    made = together(tasks.outpaint(film[..., 32:224], HEIGHT, WIDTH, model))
    holes = torch.ones(NUM_FRAMES, 1, HEIGHT, WIDTH, dtype=torch.bool)
    holes[..., 32:224] = False
    rows = {"film": film, "kineo": made}
    said = "From 4:3 back to 16:9, the sides made: `kineo outpaint --aspect 16:9`."
    return Shown(said, rows, scored=holes)


def repair(model: Predictor) -> Shown:
    film = clip(SHOTS[1])
    spoilt = damaged.with_dust(to_image_frames(film), rng_for(1, 0), 12).frames
    spoilt = damaged.scratched(spoilt, rng_for(1, 1)).frames
    given = frames_of(spoilt)
    made = together(frame for frame, _ in tasks.repair(given, model=model))
    rows = {"film": film, "given": given, "kineo": made[: len(film)]}
    return Shown("Dust and scratches are found and filled: `kineo repair`.", rows)


def denoise(model: Predictor) -> Shown:
    film = clip(SHOTS[2])
    given = frames_of(degrade.with_white_noise(to_image_frames(film), 25, rng_for(1, 2)))
    made = together(tasks.enhance(given, tasks.Enhancement(denoise=1.0), model))
    rows = {"film": film, "given": given, "kineo": made}
    return Shown("Noise of 25 levels: `kineo enhance --denoise 1`.", rows)


def upscale(model: Predictor) -> Shown:
    film = clip(SHOTS[3])
    few = to_8_bits(F.avg_pool2d(film, 4))
    made = together(tasks.enhance(few, tasks.Enhancement(scale=4), model))
    plain = torch.stack([sized(frame, HEIGHT, WIDTH) for frame in few])
    rows = {"film": film, "bicubic": plain, "kineo": made}
    return Shown("Four times the pixels a side: `kineo enhance --scale 4`.", rows)


def deblur(model: Predictor) -> Shown:
    film = clip(SHOTS[4])
    soft = np.stack([cv2.GaussianBlur(p, (0, 0), 1.4) for p in to_image_frames(film)])
    made = together(tasks.enhance(frames_of(soft), tasks.Enhancement(deblur=True), model))
    rows = {"film": film, "given": frames_of(soft), "kineo": made}
    return Shown("Out of focus: `kineo enhance --deblur`.", rows)


def deflicker(model: Predictor) -> Shown:
    film = clip(SHOTS[5], 24)
    gains = np.random.default_rng(0).normal(1, 0.12, 24).astype(np.float32)
    given = to_8_bits((film + 1) * torch.from_numpy(gains)[:, None, None, None] - 1)
    made = together(tasks.enhance(given, tasks.Enhancement(deflicker=1.0), model))
    rows = {"film": film, "given": given, "kineo": made}
    return Shown(
        "Light that flickers by 12 %: `kineo enhance --deflicker 1`.", rows, (8, 9, 10, 11)
    )


def colourise(model: Predictor) -> Shown:
    film = clip(SHOTS[0])
    grey = metrics.luma(film).expand(-1, 3, -1, -1)
    made = together(tasks.enhance(grey, tasks.Enhancement(colourise=1.0), model))
    rows = {"film": film, "given": grey, "kineo": made}
    return Shown("Colours for a grey film: `kineo enhance --colourise 1`.", rows)


def transfer(_: Predictor) -> Shown:
    source = to_image_frames(clip(SHOTS[2], 40))
    with TemporaryDirectory() as run:
        learned = pairs.learn(source, night(source), Path(run), minutes=MINUTES_OF_PAIRS)
    film = clip(SHOTS[4])
    rows = {
        "given": film,
        "film": frames_of(night(to_image_frames(film))),
        "kineo": together(translated(learned[0], film)),
    }
    said = (
        f"Day to night, learned in {MINUTES_OF_PAIRS:g} minutes from one pair of 40 frames of "
        "another shot: `kineo transfer FILM --pair DAY NIGHT`."
    )
    return Shown(said, rows)


def night(pictures: UInt8[np.ndarray, "t h w 3"]) -> UInt8[np.ndarray, "t h w 3"]:
    """A grade as cinemas have long made it: dark and blue, bright places glow (day for night)."""
    light = pictures.astype(np.float32) / 255
    glow = np.stack([cv2.GaussianBlur(p, (0, 0), 6) for p in np.maximum(light - 0.6, 0)])
    dark = light**1.8 * np.array([0.28, 0.42, 0.7], np.float32)
    return np.rint(255 * np.clip(dark + 0.8 * glow, 0, 1)).astype(np.uint8)


def edit(_: Predictor) -> Shown:
    film, look = clip(SHOTS[4], 6), clip(SHOTS[2], 6)
    made = together(tasks.edit(film, 0.35, reference=look))
    rows = {"film": film, "reference": look, "edited": made}
    return Shown("The look of another shot: `kineo edit --reference`.", rows, (0, 2, 3, 5))


def forecast(model: Predictor) -> Shown:
    y, x = np.mgrid[0:72, 0:96]
    blobs = [np.exp(-((x - 20 - 3 * t) ** 2 + (y - 36 - t) ** 2) / 120) * 20 + 5 for t in range(16)]
    stack = arrays.from_array(np.stack(blobs[:8]).astype(np.float32))

    def ask(frames: Tensor, num_frames: int, seed: int | None) -> Tensor:
        how = Sampling(1) if seed is None else Sampling(2, seed)
        return tasks.predict(frames, num_frames, model, how)

    found = arrays.forecast(stack, 8, ask)
    film = together(arrays.film(found))
    said = "A made-up temperature (no footage), foretold with its spread: `kineo forecast`."
    return Shown(said, {"forecast": film}, (7, 9, 12, 15))


VERBS: Mapping[str, Callable[[Predictor], Shown]] = {
    "predict": predict,
    "predict before": precede,
    "generate": generate,
    "animate": animate,
    "interpolate": interpolate,
    "inpaint": inpaint,
    "outpaint": outpaint,
    "repair": repair,
    "denoise": denoise,
    "upscale": upscale,
    "deblur": deblur,
    "deflicker": deflicker,
    "colourise": colourise,
    "transfer": transfer,
    "edit": edit,
    "forecast": forecast,
}


def _scores(shown: Shown) -> list[str]:
    """PSNR of each row against the film, in the hole where there is one."""
    truth = shown.rows.get("film")
    if truth is None:
        return []
    told = []
    for name, frames in shown.rows.items():
        if name in ("film", "reference"):
            continue
        error = (to_8_bits(frames) - truth).square().mean(1, keepdim=True)
        if shown.scored is not None:
            error = error[shown.scored]
        told.append(f"{name} {float(metrics.decibels(error.mean())):.2f} dB")
    return ["; ".join(told) + ("" if shown.scored is None else " inside the hole") + ".", ""]


def _save(shown: Shown, path: Path) -> None:
    columns = [(str(n), n) for n in shown.columns]
    picture = cv2.cvtColor(contact_sheet(shown.rows, columns), cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done
    aside = path.with_name(path.name + ".part")
    aside.write_bytes(data.tobytes())
    aside.replace(path)


if __name__ == "__main__":
    import tyro

    tyro.cli(main)
