"""Results: records, the tables and boards made from them, and the layout of a run's folder."""
