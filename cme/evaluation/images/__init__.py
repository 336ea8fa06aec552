"""Evaluates vision-language models on multiple-choice questions about images, apart from the suite.

`rows` reads the questions, `prompts` makes the inputs of the model, `score` computes log-probabilities of the options, and `run`
evaluates a model.
"""
