"""Recurrent networks of quantum neurons."""
