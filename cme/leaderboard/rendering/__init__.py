"""What people see of a ranking: Markdown, LaTeX, CSV, JSON, and the page."""
