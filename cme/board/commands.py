"""The commands of a board as shell lines, for schedulers that run them themselves."""

from cme.board.command import shell_line
from cme.board.state import Survey
from cme.errors import UsageError

__all__ = ["command_lines", "stages"]


def stages(now: Survey) -> list[list[str]]:
    """Group the needed steps into stages. Steps of one stage need only steps of earlier stages, or finished ones."""
    level: dict[str, int] = {}
    for name, step in now.plan.steps.items():
        if name in now.needed:
            level[name] = 1 + max((level[other] for other in step.needs if other in level), default=-1)
    grouped: list[list[str]] = [[] for _ in range(1 + max(level.values(), default=-1))]
    for name, number in level.items():
        grouped[number].append(name)
    return grouped


def command_lines(now: Survey, stage: int | None = None) -> list[str]:
    """Return the commands of the unfinished steps.

    Args:
        now: the board.
        stage: number of a stage, from 1, whose commands are returned without comments. None means all stages.

    Raises:
        UsageError: there is no such stage.
    """
    grouped, steps = stages(now), now.plan.steps
    if stage is not None:
        if not grouped:
            raise UsageError(f"stage {stage} does not exist, because the board is finished.")
        if not 1 <= stage <= len(grouped):
            raise UsageError(f"stage {stage} does not exist. The unfinished steps have the stages 1 to {len(grouped)}.")
        return [_line(steps[name].argv, steps[name].gpus) for name in grouped[stage - 1]]
    lines = []
    for number, names in enumerate(grouped, 1):
        together = [name for name in names if not steps[name].alone]
        alone = [name for name in names if steps[name].alone]
        if together:
            lines.append(f"# stage {number}: {_commands(together)}, in any order")
        lines += [_line(steps[name].argv, steps[name].gpus) for name in together]
        if alone:
            lines.append(f"# stage {number}: {_commands(alone)}, each on a machine that runs nothing else")
        lines += [_line(steps[name].argv, steps[name].gpus) for name in alone]
    return lines


def _commands(names: list[str]) -> str:
    return "1 command" if len(names) == 1 else f"{len(names)} commands"


def _line(argv: tuple[str, ...], gpus: int | None) -> str:
    if gpus is not None and gpus > 1:
        return f"torchrun --standalone --nproc_per_node {gpus} -m {shell_line(argv)}"
    return shell_line(argv)
