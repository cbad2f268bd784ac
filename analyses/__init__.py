"""Small analyses that show what Databench does, most of them after \\(\\pi\\).

Each is a Python module and a plain HTML page, and shows its own source.
Open one and it begins to compute, for you alone.
"""
