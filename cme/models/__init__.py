"""Loads base models from the hub, from a folder, or from the embedded model ``smollm2-135m``."""
