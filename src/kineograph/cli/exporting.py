"""The verb that writes a world for other programs."""

from rich.console import Console

from kineograph.answer import exported
from kineograph.cli.game_commands import Export
from kineograph.cli.games import luck_of
from kineograph.models import weights


def export(asked: Export, console: Console) -> None:
    """Writes the file, and says how large it is."""
    world, card = weights.load_world(asked.world), weights.card(asked.world)
    for path in exported.export(world, card, asked.out, asked.int8, luck_of(card)):
        size = path.stat().st_size / 1e6
        console.print(f"{path}: {size:.1f} MB", highlight=False, soft_wrap=True)
