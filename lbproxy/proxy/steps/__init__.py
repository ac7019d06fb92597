"""The steps of a route: what it does to requests and answers on their way, one file each, behind the interface of step.py."""
