"""From results to an entry, and from an entry back: submission, model cards, verification, reproduction."""
