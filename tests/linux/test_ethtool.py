"""The driver of a link is asked of the kernel; tests/backends/test_wgtool_namespace.py has a link with one."""

import pytest

from ikto_core.linux.ethtool import driver_of


@pytest.mark.parametrize("ifname", ["ikto-absent0", "lo", "longer-than-any-interface-name"])
def test_a_link_that_is_absent_or_has_no_driver_has_none(ifname: str) -> None:
    assert driver_of(ifname) == ""
