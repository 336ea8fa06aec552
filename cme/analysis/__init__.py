"""Analysis of the experts of a routed adapter."""
