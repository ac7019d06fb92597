"""`python -m lbproxy`."""

import sys

from lbproxy.cli import main

if __name__ == "__main__":
    sys.exit(main())
