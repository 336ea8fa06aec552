"""Tests of the benchmark of exports."""
