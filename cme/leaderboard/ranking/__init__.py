"""How rows compare: aligned scores, means over seeds, paired differences, ranges of ranks, prompt variants."""
