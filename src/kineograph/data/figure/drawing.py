"""The figure's stage as a picture: hills, a ground, a star to be reached, all of it drawn here."""

import colorsys
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from kineograph.data.figure.moving import STAGE_M, Figure

FINE = 4
"""Pictures are drawn so many times as large, and then brought down, so that edges are smooth."""
GROUND_PART = 0.2
"""How much of the picture is ground."""
FAR_SHADE = 0.72
STAR_M, HEAD_M, BALL_M = 0.2, 0.155, 0.17
HILLS = 0.52, 0.66
"""Where both rows of them are, in parts of the picture from its top."""
STAR, STAR_EDGE, EYE = (255, 214, 40), (168, 110, 0), (30, 30, 40)
SHOE = (0.25, 0.16, 0.1)
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Look:
    """Colours (RGB, 0 to 1) and the shape of the land, which an episode keeps."""

    sky: tuple[tuple[float, float, float], tuple[float, float, float]]
    hills: tuple[tuple[float, float, float], tuple[float, float, float]]
    ground: tuple[float, float, float]
    skin: tuple[float, float, float]
    shirt: tuple[float, float, float]
    trousers: tuple[float, float, float]
    hair: tuple[float, float, float]
    ball: tuple[float, float, float]
    waves: tuple[float, ...]


def dressed(rng: np.random.Generator) -> Look:
    """A look by chance, of colours that stand apart."""
    hue = rng.random()
    day = rng.uniform(0.75, 1.0)

    def coloured(h: float, s: float, v: float) -> tuple[float, float, float]:
        return colorsys.hsv_to_rgb(h % 1, s, v)

    sky = rng.choice((0.55, 0.6, 0.08, 0.72))
    land = rng.choice((0.28, 0.12, 0.45, 0.06))
    return Look(
        (coloured(sky, 0.5, day), coloured(sky + 0.05, 0.15, min(1.0, day + 0.1))),
        (coloured(land, 0.25, 0.72 * day), coloured(land, 0.4, 0.55 * day)),
        coloured(land + 0.02, 0.45, 0.42 * day),
        coloured(0.07, rng.uniform(0.3, 0.6), rng.uniform(0.5, 0.98)),
        coloured(hue, 0.75, 0.9),
        coloured(hue + rng.uniform(0.35, 0.65), 0.65, rng.uniform(0.3, 0.6)),
        coloured(rng.uniform(0.02, 0.12), 0.6, rng.uniform(0.1, 0.7)),
        coloured(hue + 0.5, 0.85, 0.95),
        tuple(rng.uniform(0, 2 * np.pi, 4)),
    )


@dataclass(eq=False)
class Stage:
    """Where it is drawn: a square of that many pixels."""

    look: Look
    size_px: int

    @property
    def side(self) -> int:
        return self.size_px * FINE

    @property
    def scale(self) -> float:
        """Fine pixels a metre."""
        return self.side / (2 * STAGE_M + 0.5)

    def place(self, x_m: float, z_m: float) -> tuple[int, int]:
        """A place on the stage in fine pixels."""
        ground = self.side * (1 - GROUND_PART)
        return round(self.side / 2 + x_m * self.scale), round(ground - z_m * self.scale)

    @cached_property
    def land(self) -> Image.Image:
        """All that stands still."""
        side, look = self.side, self.look
        down = np.linspace(0, 1, side)[:, None, None]
        sky = (1 - down) * np.array(look.sky[0]) + down * np.array(look.sky[1])
        picture = Image.fromarray(_bytes(np.broadcast_to(sky, (side, side, 3))))
        brush = ImageDraw.Draw(picture)
        for n, (colour, high) in enumerate(zip(look.hills, HILLS, strict=True)):
            brush.polygon(self._hill(n, high), _rgb(colour))
        ground = self.place(0.0, 0.0)[1]
        brush.rectangle((0, ground, side, side), _rgb(look.ground))
        brush.rectangle((0, ground, side, ground + side // 64), _rgb(look.ground, 1.35))
        for n in range(-4, 5):
            x = self.place(n * 0.55, 0.0)[0]
            ends = (x, ground + side // 14, x + n * side // 60, side)
            brush.line(ends, _rgb(look.ground, 0.85), side // 100)
        return picture

    def _hill(self, number: int, high: float) -> list[tuple[float, float]]:
        """The outline of a row of hills; high: where it is, from the top of the picture."""
        across = np.linspace(0, 2 * np.pi, self.side)
        first, second = self.look.waves[2 * number : 2 * number + 2]
        rise = np.sin(across * (1.3 + number) + first) + 0.5 * np.sin(
            across * (2.9 + number) + second
        )
        edge = self.side * (high - 0.06 * rise)
        corners = [(float(self.side), float(self.side)), (0.0, float(self.side))]
        return [*((float(x), y) for x, y in enumerate(edge.tolist())), *corners]

    def drawn(self, figure: Figure, star_m: tuple[float, float]) -> UInt8[np.ndarray, "h w 3"]:
        """The picture as it is now."""
        picture = self.land.copy()
        brush = Brush(ImageDraw.Draw(picture), self, figure)
        brush.star(star_m)
        brush.shadows()
        for side, shade in (("far", FAR_SHADE), ("near", 1.0)):
            if side == "near":
                brush.body()
            brush.leg(side, shade)
            brush.arm(side, shade)
        brush.ball()
        return np.asarray(picture.reduce(FINE))


@dataclass(frozen=True, eq=False)
class Brush:
    """Draws the parts of one picture."""

    on: ImageDraw.ImageDraw
    stage: Stage
    figure: Figure

    def star(self, at_m: tuple[float, float]) -> None:
        turn = np.arange(10) * np.pi / 5 - np.pi / 2
        far = np.where(np.arange(10) % 2, 0.45, 1.0) * STAR_M * self.stage.scale
        outline = self.stage.place(*at_m) + far[:, None] * np.stack([np.cos(turn), np.sin(turn)], 1)
        self.on.polygon([(x, y) for x, y in outline.tolist()], STAR, STAR_EDGE, FINE)

    def shadows(self) -> None:
        for name, wide in (("torso", 0.3), ("ball", 0.16)):
            x = float(self.figure.data.body(name).xpos[0])
            self._oval((x, -0.05), (wide, 0.05), _rgb(self.stage.look.ground, 0.6))

    def body(self) -> None:
        look, way = self.stage.look, self.figure.facing
        self._part("torso", _rgb(look.shirt))
        x, z = _flat(self.figure.data.geom("head").xpos)
        skin = _rgb(look.skin)
        self._oval((x + way * HEAD_M, z - HEAD_M / 6), (HEAD_M / 4, HEAD_M / 4), skin)
        self._oval((x, z), (HEAD_M, HEAD_M), skin)
        start = 140 if way > 0 else 210
        self.on.pieslice(self._box((x, z), (HEAD_M, HEAD_M)), start, start + 190, _rgb(look.hair))
        self._oval((x + way * HEAD_M / 2, z), (HEAD_M / 6, HEAD_M / 6), EYE)

    def leg(self, side: str, shade: float) -> None:
        colour = _rgb(self.stage.look.trousers, shade)
        self._part(f"thigh_{side}", colour)
        self._part(f"shin_{side}", colour)
        x, z = _flat(self.figure.data.geom(f"foot_{side}").xpos)
        self._oval((x + 0.06 * self.figure.facing, z), (0.13, 0.065), _rgb(SHOE, shade))

    def arm(self, side: str, shade: float) -> None:
        look = self.stage.look
        self._part(f"arm_{side}", _rgb(look.shirt, 0.9 * shade))
        end = self._part(f"hand_{side}", _rgb(look.skin, shade))
        self._oval(end, (0.065, 0.065), _rgb(look.skin, shade))

    def ball(self) -> None:
        data, colour = self.figure.data, self.stage.look.ball
        box = self._box(_flat(data.geom("ball").xpos), (BALL_M, BALL_M))
        self.on.ellipse(box, _rgb(colour))
        turn = math.degrees(float(data.joint("ball_turn").qpos[0])) % 360
        for n in range(3):
            self.on.pieslice(box, 120 * n - turn, 120 * n - turn + 60, _rgb(colour, 0.6))

    def _part(self, name: str, colour: Colour) -> tuple[float, float]:
        """Draws a capsule; gives where it ends, in metres."""
        geom, known = self.figure.data.geom(name), self.figure.model.geom(name)
        radius, half = (float(x) for x in known.size[:2])
        along = geom.xmat.reshape(3, 3)[:, 2] * half
        ends = [_flat(geom.xpos - along), _flat(geom.xpos + along)]
        places = [self.stage.place(*end) for end in ends]
        self.on.line(places, colour, round(2 * radius * self.stage.scale))
        for end in ends:
            self._oval(end, (radius, radius), colour)
        joint = np.array(_flat(self.figure.data.xpos[int(known.bodyid[0])]))
        return max(ends, key=lambda end: float(np.linalg.norm(joint - end)))

    def _oval(
        self, at_m: tuple[float, float], radii_m: tuple[float, float], colour: Colour
    ) -> None:
        self.on.ellipse(self._box(at_m, radii_m), colour)

    def _box(
        self, at_m: tuple[float, float], radii_m: tuple[float, float]
    ) -> tuple[float, float, float, float]:
        (x, y), (wide, high) = self.stage.place(*at_m), (self.stage.scale * r for r in radii_m)
        return x - wide, y - high, x + wide, y + high


def _flat(place: Float[np.ndarray, "3"]) -> tuple[float, float]:
    return float(place[0]), float(place[2])


def _rgb(colour: tuple[float, float, float], shade: float = 1.0) -> Colour:
    r, g, b = (round(255 * min(1.0, c * shade)) for c in colour)
    return r, g, b


def _bytes(picture: Float[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    return (255 * picture.clip(0, 1)).round().astype(np.uint8)
