"""What an entry is: its files, read from strangers within limits, and checked against its per-sample scores."""
