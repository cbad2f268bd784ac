"""The analysis that Databench serves here."""
