"""The demo uses the best backend that this machine supports, and says why better ones are unusable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.demo.capabilities import BACKENDS, PROGRAMS, Machine, choose, obstacle, probe_machine
from ikto_core.demo.leftovers import prefix
from ikto_core.errors import IktoError
from ikto_core.lab.network import namespaces

MACHINES = st.builds(
    Machine,
    root=st.booleans(),
    missing=st.frozensets(st.sampled_from(PROGRAMS)),
    ipv6=st.booleans(),
    no_namespaces=st.sampled_from(["", "Operation not permitted"]),
    kernel_wireguard=st.booleans(),
    tun=st.booleans(),
)
COMPLETE = Machine(root=True, kernel_wireguard=True, tun=True)


@given(MACHINES)
def test_the_best_usable_backend_is_chosen_and_better_ones_are_explained(machine: Machine) -> None:
    capabilities = choose(machine, None)
    better = BACKENDS[: BACKENDS.index(capabilities.backend)]
    assert not obstacle(machine, capabilities.backend)
    assert all(obstacle(machine, backend) in capabilities.summary for backend in better)
    assert all(obstacle(machine, backend) for backend in better)
    assert "\n" not in capabilities.summary
    assert capabilities.real is ("Real tunnels" in capabilities.summary)


@given(MACHINES, st.sampled_from(BACKENDS))
def test_a_requested_backend_is_chosen_or_refused_but_never_replaced(machine: Machine, requested: str) -> None:
    why = obstacle(machine, requested)
    if not why:
        assert choose(machine, requested).backend == requested
    else:
        with pytest.raises(IktoError) as refused:
            choose(machine, requested)
        assert why in str(refused.value)


@pytest.mark.parametrize(
    ("machine", "backend"),
    [
        (COMPLETE, "netlink"),
        (COMPLETE._replace(missing=frozenset({"wg", "wireguard-go"}), tun=False), "netlink"),
        (COMPLETE._replace(kernel_wireguard=False), "wgtool"),
        (COMPLETE._replace(kernel_wireguard=False, tun=False), "fake"),
        (COMPLETE._replace(kernel_wireguard=False, missing=frozenset({"wireguard-go"})), "fake"),
        (COMPLETE._replace(missing=frozenset({"ip"})), "fake"),
        (COMPLETE._replace(missing=frozenset({"ping"})), "fake"),
        (COMPLETE._replace(ipv6=False), "fake"),
        (COMPLETE._replace(no_namespaces="Operation not permitted"), "fake"),
        (COMPLETE._replace(root=False), "fake"),
    ],
)
def test_the_choice_by_machine(machine: Machine, backend: str) -> None:
    assert choose(machine, None).backend == backend


def test_wgtool_needs_no_wireguard_go_if_the_kernel_has_wireguard() -> None:
    assert not obstacle(COMPLETE._replace(missing=frozenset({"wireguard-go"}), tun=False), "wgtool")


def test_probing_this_machine_leaves_nothing_behind() -> None:
    choose(probe_machine(), None)
    assert not [name for name in namespaces() if name.startswith(prefix())]
