"""What adapters cost, measured side by side (`cme.bench.adapters`)."""
