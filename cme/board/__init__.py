"""Boards: one YAML file becomes a graph of commands, which an engine runs. All state lies in the folders of the commands."""
