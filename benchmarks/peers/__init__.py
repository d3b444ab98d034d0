"""Models on real tables: data sets, models, single fits, and what they add up to."""
