"""Base models: a hub id, a folder, or the embedded default ``smollm2-135m``."""
