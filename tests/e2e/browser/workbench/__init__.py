"""Small analyses of an author at work; the browser tests use a copy of this folder."""
