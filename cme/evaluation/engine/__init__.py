"""The prefix engine computes the same answers as lm-eval but processes fewer tokens, because shared prefixes are computed once.

`cme.evaluation.engine.lm.PrefixLM` replaces lm-eval's `HFLM`. The module `plan` groups prompts into batches, `tree` groups those
that share a passage, `passes` reads the prompts of a batch, `choice` and `generate` compute the answers, and `lm` connects them
with lm-eval.
"""
