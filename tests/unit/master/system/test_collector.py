"""Whatever happens, the collector is as it was."""

from __future__ import annotations

import gc

import pytest

from lbproxy.master.system.collector import collector_off


def test_it_is_as_it_was() -> None:
    """Also where somebody had switched it off before."""
    with collector_off():
        assert not gc.isenabled()
        with collector_off():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(KeyError), collector_off():
        raise KeyError
    assert gc.isenabled()
