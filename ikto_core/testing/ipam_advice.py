"""What the author of a strategy can do about a clause that it does not keep: the end of each failure's message."""

from collections.abc import Mapping

IPAM_ADVICE: Mapping[str, str] = {
    "I1": "make subnets with `Space.of(request).subnet(number)`, which has the right length and no host bits",
    "I2": "keep what was proposed in a set, or walk the free subnets by their number with `Space.nth_free`",
    "I3": "begin at subnet number 1; `Space` knows which subnets can be assigned",
    "I4": "ask `Space.any_free` or `Space.nth_free`, which know about larger and smaller taken prefixes",
    "I5": "end when `Space.free` subnets were proposed; don't draw until one is free",
    "I6": "go on with the other free subnets after your favourite ones",
    "I7": "sort sets before you walk them, hash with hashlib, and draw from `request.random` alone",
    "I8": "draw nothing, or don't set `deterministic`",
    "I9": "make `candidates` a generator, and compute with numbers instead of listing the subnets",
    "I10": "skip taken subnets with `Space.nth_free`; don't try them one by one",
    "I11": "raise ConfigError(message, hint=what the operator can do) for a name or mesh that can't be served; set the "
    "kit's `names` to names that can",
}
