"""Where rows come from, and what they become: raw row → Example, one normaliser per dataset."""
