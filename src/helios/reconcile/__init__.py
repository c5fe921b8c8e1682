"""From views to differences: what is declared against what is seen."""
