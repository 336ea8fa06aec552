"""Costs side by side: of adapters (`cme.bench.adapters`), of building the mix (`cme.bench.data`), of evaluations."""
