"""Captions, vocabulary, features and batches: from files to arrays."""
