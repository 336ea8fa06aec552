"""Values of experts: what an adapter keeps if some are masked, and their Shapley values, from the scores of all evaluations."""
