"""Blind sheets: real and synthetic rows mixed for people to judge, as a page and a table, and their answers."""
