"""One file for each proxy: its configuration and its command, for one and the same Site.

The duties: TLS with the same certificate and both protocol versions on, session tickets as they come by default, least
connections over the backends with kept connections, X-Real-IP and X-Forwarded-For/-Proto, upgrades passed on, an access line per
request in a file; where the Site says so, verified TLS to the backends. Where a proxy's default would make it look worse than it is
(nginx spools large bodies to disk and writes each access line by itself), it is given the setting that an informed operator would
choose. Where not all can do a thing (active health checks: nginx cannot), those who can do it by default do it. `duties.py` asks
each of them to prove it before anything is measured; what one of them cannot do stands in its file as WAIVED, and in the report.
"""
