"""The text that `lbproxy init` prints: a configuration to start from. It passes `check` as it stands, so it names no other file."""

STARTER = """\
# lbproxy: a configuration to start from.
#
#   lbproxy check -c lbproxy.toml                what is wrong with it, with line and hint
#   lbproxy check -c lbproxy.toml --effective    every key there is, with its value
#   lbproxy start -c lbproxy.toml                serve

# HTTPS, as soon as there is a certificate: take the "# " away. The key must be readable for its owner only (chmod 600).
# Files are looked for beside this one.
#
# [[listen]]
# address = "0.0.0.0:443"
# certificates = [{ cert = "example.com.crt", key = "example.com.key" }]

# Plain HTTP. With HTTPS above, make it port 80 and send everybody there.
[[listen]]
address = "0.0.0.0:8080"
# redirect_to_https = true

# Which requests go to which pool; the first route that matches wins. This one matches all.
[[route]]
# host = "example.com"           # or "*.example.com"
# path = "/"                     # a prefix
pool = "app"

# The servers behind. The one with the fewest requests in progress gets the next.
[pool.app]
backends = ["127.0.0.1:9000", "127.0.0.1:9001"]

# A backend that fails is left out until it is back. Without this table the check is whether it accepts connections.
# [pool.app.health]
# type = "http"
# path = "/healthz"

# For `lbproxy reload`, `stop`, `status` and the other verbs that ask a running lbproxy.
# [proxy]
# control = "/run/lbproxy/control.sock"
# pid_file = "/run/lbproxy/lbproxy.pid"

# [log]
# access = "/var/log/lbproxy/access.log"    # "stdout" (default), "off" or a file
"""
