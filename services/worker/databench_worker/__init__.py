"""The service that runs chunks: a parent that supervises, and slot processes that compute."""
