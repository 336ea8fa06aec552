"""``cme tasks-path``: print the folder of the task YAML files."""

from cme.cli.app import verb

__all__ = ["tasks_path"]


@verb("tasks-path", epilog="Example: lm_eval run --include_path $(cme tasks-path) --tasks cme_qqp …")
def tasks_path() -> None:
    """Print the folder of the lm-eval tasks."""
    import cme

    print(cme.tasks_path())
