"""The first minutes: a proxy without a configuration file (quick) and throw-away backends to put behind it (respond, backends)."""
