"""Tests of the export to plain LoRA."""
