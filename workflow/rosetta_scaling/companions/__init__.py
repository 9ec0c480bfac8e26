"""Companion studies: why do more neurons help at all? Copies that average, layers that share a task, rare tasks.

Each study has a folder with a module study.py, which has the same functions in all of them (see catalogue.py); its
settings, the protocol, are in config/companions.
"""
