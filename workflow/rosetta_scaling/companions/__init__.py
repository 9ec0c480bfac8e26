"""Companion studies: why do more neurons help at all? Copies that average, layers that share a task, rare tasks.

Every study NAME has NAME_settings, its protocol, and NAME_study, which has the same functions as the others.
"""
