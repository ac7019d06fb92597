"""What a route does to its requests and answers on their way, one file each, behind the interface of step.py."""
