"""A figure of eleven parts and a ball, moved by MuJoCo: told what to do, it walks, jumps and kicks.

It is a puppet: torque holds it upright and draws it along, its limbs follow a gait by springs, and
what it weighs, hits and lands on does the rest.
"""

import importlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

mujoco: Any = importlib.import_module("mujoco")  # its types are not told
FPS, STEPS_A_FRAME = 15, 20
STAGE_M = 2.0
"""How far the ball may be from the middle; the figure stays a little nearer."""
ACTIONS = ("none", "left", "right", "up", "left up", "right up", "down", "space")
WALK_M_S, JUMP_M_S = 1.7, 3.6
SWING, STRIDE_RAD_M = 0.5, 3.1
"""How far a thigh swings, and how far a gait goes on with each metre, in radians."""
REST_KNEE = 0.12
CROUCH_FRAMES = 2
STANDING_M, CROUCH_M = 0.93, 0.3
HEIGHT_KP, HEIGHT_KV = 3500.0, 420.0
HIPS = "hip_near", "hip_far"
SPRINGS = (
    *HIPS,
    "knee_near",
    "knee_far",
    "shoulder_near",
    "shoulder_far",
    "elbow_near",
    "elbow_far",
)


def _limb(side: str) -> tuple[str, str]:
    """A leg and an arm as MuJoCo's XML."""
    leg = f"""
      <body name="thigh_{side}" pos="0 0 -0.02">
        <joint name="hip_{side}" damping="2"/>
        <geom name="thigh_{side}" fromto="0 0 0 0 0 -0.42" size="0.075" contype="0"/>
        <body name="shin_{side}" pos="0 0 -0.42">
          <joint name="knee_{side}" damping="2"/>
          <geom name="shin_{side}" fromto="0 0 0 0 0 -0.4" size="0.06"/>
          <geom name="foot_{side}" type="sphere" pos="0 0 -0.42" size="0.07" friction="0.06"
            priority="1"/>
        </body>
      </body>"""
    arm = f"""
      <body name="arm_{side}" pos="0 0 0.5">
        <joint name="shoulder_{side}" damping="0.6"/>
        <geom name="arm_{side}" fromto="0 0 0 0 0 -0.27" size="0.05" contype="0"/>
        <body name="hand_{side}" pos="0 0 -0.27">
          <joint name="elbow_{side}" damping="0.4"/>
          <geom name="hand_{side}" fromto="0 0 0 0 0 -0.26" size="0.045" contype="0"/>
        </body>
      </body>"""
    return leg, arm


def _xml() -> str:
    near, far = _limb("near"), _limb("far")
    strength = {"hip": (420, 20), "knee": (420, 16), "shoulder": (30, 2.0), "elbow": (20, 1.2)}
    springs = "".join(
        f'<position joint="{name}" kp="{strength[name.split("_")[0]][0]}" '
        f'kv="{strength[name.split("_")[0]][1]}"/>'
        for name in SPRINGS
    )
    return f"""
<mujoco>
  <option timestep="{1 / (FPS * STEPS_A_FRAME)}" integrator="implicitfast"/>
  <default>
    <joint type="hinge" axis="0 -1 0"/>
    <geom type="capsule" density="450" contype="2" conaffinity="0" friction="0.3"/>
  </default>
  <worldbody>
    <geom type="plane" size="10 10 1" contype="0" conaffinity="6" friction="0.6"/>
    <body name="torso" pos="0 0 {STANDING_M}">
      <joint name="x" type="slide" axis="1 0 0" range="-{STAGE_M - 0.25} {STAGE_M - 0.25}"
        limited="true" damping="4"/>
      <joint name="z" type="slide" axis="0 0 1"/>
      <joint name="lean" damping="6"/>
      <geom name="torso" fromto="0 0 0.06 0 0 0.46" size="0.13" contype="0"/>
      <geom name="head" type="sphere" pos="0 0 0.76" size="0.155"/>
      {near[0]}{far[0]}{near[1]}{far[1]}
    </body>
    <body name="ball" pos="0 0 0.17">
      <joint name="ball_x" type="slide" axis="1 0 0" range="-{STAGE_M} {STAGE_M}" limited="true"
        damping="0.08" solreflimit="-800 -2"/>
      <joint name="ball_z" type="slide" axis="0 0 1" damping="0.02"/>
      <joint name="ball_turn" damping="0.004"/>
      <geom name="ball" type="sphere" size="0.17" density="25" contype="4" conaffinity="2"
        solref="-900 -1.2" friction="0.7"/>
    </body>
  </worldbody>
  <actuator>
    <velocity joint="x" kv="220"/>
    <position joint="lean" kp="3000" kv="160"/>
    <position name="height" joint="z" kp="{HEIGHT_KP}" kv="{HEIGHT_KV}"/>
    {springs}
  </actuator>
</mujoco>"""


@dataclass(eq=False)
class Figure:
    """The figure and its ball. facing: 1 to the right, -1 to the left; phase: of its gait."""

    model: Any
    data: Any
    facing: int = 1
    phase: float = 0.0
    crouched: int = 0
    in_air: int = 0

    def act(self, action: int) -> None:
        """One frame on, with what ACTIONS calls so."""
        told = ACTIONS[action].split()
        way = ("right" in told) - ("left" in told)
        self.facing = way or self.facing
        self._jump("up" in told)
        self._hold(way, "down" in told, "space" in told)
        mujoco.mj_step(self.model, self.data, STEPS_A_FRAME)
        moved = abs(float(self.data.joint("x").qvel[0])) / FPS
        walks = way and not self.in_air
        self.phase = self.phase + STRIDE_RAD_M * moved if walks else 0.0

    def _jump(self, wished: bool) -> None:
        height, rise = float(self.data.joint("z").qpos[0]), float(self.data.joint("z").qvel[0])
        grounded = height < 0.06 and abs(rise) < 1.0
        if self.crouched == CROUCH_FRAMES:
            self.data.joint("z").qvel[0] = JUMP_M_S
            self.crouched, self.in_air = 0, 1
        elif self.crouched or (wished and grounded and not self.in_air):
            self.crouched += 1
        elif self.in_air:
            self.in_air = 0 if self.in_air > 3 and grounded else self.in_air + 1

    def _hold(self, way: int, low: bool, kick: bool) -> None:
        """Where springs draw the limbs to, mirrored where it faces left."""
        low = low or self.crouched > 0
        held = self._pose(way, low, kick)
        lean = -0.35 if low else -0.14 if way else 0.0
        self.data.ctrl[0] = way * WALK_M_S * (0.35 if low else 1.0)
        self.data.ctrl[1] = self.facing * lean
        self._hold_up(not self.in_air, -CROUCH_M if low else -0.02)
        self.data.ctrl[3:] = self.facing * np.array([held[name] for name in SPRINGS])

    def _hold_up(self, held: bool, height_m: float) -> None:
        """On its feet a spring helps them; in the air nothing does."""
        spring = self.model.actuator("height")
        spring.gainprm[0], spring.biasprm[1:3] = (
            held * HEIGHT_KP,
            (-held * HEIGHT_KP, -held * HEIGHT_KV),
        )
        self.data.ctrl[2] = height_m

    def _pose(self, way: int, low: bool, kick: bool) -> dict[str, float]:
        pose: dict[str, float] = {}
        for side, late in (("near", 0.0), ("far", math.pi)):
            turn = math.sin(self.phase + late) if way else 0.0
            lifts = max(0.0, math.cos(self.phase + late)) if way else 0.0
            pose[f"hip_{side}"] = SWING * turn + 0.06
            pose[f"knee_{side}"] = -REST_KNEE - 1.0 * lifts
            pose[f"shoulder_{side}"] = -0.8 * turn
            pose[f"elbow_{side}"] = 0.25 + (0.5 if way else 0.0)
            if low:
                pose[f"hip_{side}"] = 1.05 + 0.3 * turn
                pose[f"knee_{side}"] = -1.75
                pose[f"shoulder_{side}"] = -0.5
            if self.in_air:
                pose[f"hip_{side}"] = 0.75 if late == 0 else 0.15
                pose[f"knee_{side}"] = -1.1 if late == 0 else -0.7
                pose[f"shoulder_{side}"] = 2.4 if late == 0 else -0.9
        if kick and not low:
            pose |= {"hip_near": 1.35, "knee_near": -0.15, "shoulder_near": -1.2}
            pose["shoulder_far"] = 1.2
        return pose


def standing(rng: np.random.Generator) -> Figure:
    """A figure somewhere on the stage, and its ball elsewhere."""
    model = mujoco.MjModel.from_xml_string(_xml())
    figure = Figure(model, mujoco.MjData(model), facing=int(rng.choice((-1, 1))))
    figure.data.joint("x").qpos[0] = rng.uniform(-1.2, 1.2)
    figure.data.joint("ball_x").qpos[0] = rng.uniform(-1.8, 1.8)
    figure.data.joint("ball_z").qpos[0] = rng.uniform(0, 1.5)
    mujoco.mj_forward(model, figure.data)
    return figure
