"""The head of pcap files and streams, and an MTU that fits everywhere. Pure."""

from __future__ import annotations

import struct

LEAST_MTU = 1280
"""RFC 8200 5: less no link of IPv6 has."""
LINK_RAW = 101
"""pcap's number for packets that begin with IP."""
PCAP_HEAD = struct.pack("<LHHlLLL", 0xA1B2C3D4, 2, 4, 0, 0, 65535, LINK_RAW)
"""With it begins each file or stream of packets that are made of them (draft-ietf-opsawg-pcap)."""
