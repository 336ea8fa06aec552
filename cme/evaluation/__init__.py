"""Base + adapter → per-sample scores → result, through lm-eval."""
