"""What several test files share."""

from kineograph.models.net import Shape

TINY_SHAPE = Shape(
    encoder=16, frame_code=8, predictor=64, bottleneck=64, frame_plan=16, decoder=16, painter=16
)
