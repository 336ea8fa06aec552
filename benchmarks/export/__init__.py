"""Memory and time of the export ``fit``: computed for large models, and measured on layers of scaled shapes."""
