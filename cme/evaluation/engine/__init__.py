"""The prefix engine computes the same answers as lm-eval but processes fewer tokens, because shared prefixes are computed once.

`cme.evaluation.engine.lm.PrefixLM` replaces lm-eval's `HFLM`. The module `plan` groups prompts into batches, `choice` and
`generate` compute the answers, and `lm` connects them with lm-eval.
"""
