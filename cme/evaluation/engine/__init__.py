"""The scoring engine: lm-eval's requests, answered with as few computed tokens as possible.

`cme.evaluation.engine.lm.PrefixLM` stands in lm-eval's place of `HFLM`. Planning (`plan`: which prompts go together, a pure
function of the requests), computing (`choice`, `generate`) and handing over (`lm`) are apart from each other.
"""
