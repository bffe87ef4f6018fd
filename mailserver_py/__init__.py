"""mailserver_py: one declarative spec provisions, runs, publishes and verifies a self-hosted mail server.

The rooms, their storeys and who may import whom stand in README.md ("The map of the house") and are held by
tests/test_house.py.
"""
