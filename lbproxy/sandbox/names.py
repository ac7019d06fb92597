"""The walls by name, in the order in which status tells them."""

MEMORY = "memory"  # nobody but root looks into the process, and it leaves no core file
LEDGER = "ledger"  # of the shared memory it writes its own part
PRIVILEGES = "privileges"  # no set-user-ID program helps it
CALLS = "calls"  # what it does not need of the kernel is refused
FILES = "files"  # nothing is opened but its own code
PORTS = "ports"  # TCP connections go to configured ports alone
PROCESSES = "processes"  # it starts nothing

WALLS = (MEMORY, LEDGER, PRIVILEGES, CALLS, FILES, PORTS, PROCESSES)
