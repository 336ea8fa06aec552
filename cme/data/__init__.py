"""Sources of rows, and one normaliser per dataset that makes examples of them."""
