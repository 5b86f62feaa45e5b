"""From when until when something signed is good. Seconds since 1970, by the signer's clock."""

from __future__ import annotations

from typing import Any

import msgspec

from fondaco.market.errors import ListingOutdated, MalformedListing
from fondaco.market.limits import CLOCK_TOLERANCE
from fondaco.market.signed_object import read_whole


class Lifetime(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Good from *published_at* until just before *expires_at*."""

    published_at: int
    expires_at: int

    def is_over(self, now: int) -> bool:
        """Say whether it has ended by *now*."""
        return now >= self.expires_at


def read_lifetime(fields: dict[str, Any], *, longest: int) -> Lifetime:
    """Return the lifetime that is signed in *fields*.

    Raises:
        MalformedListing: names the field.
    """
    published = read_whole(fields, "published_at")
    expires = read_whole(fields, "expires_at")
    if not published < expires <= published + longest:
        raise MalformedListing("expires_at", f"1 to {longest} seconds after published_at")
    return Lifetime(published_at=published, expires_at=expires)


def check_lifetime(lifetime: Lifetime, now: int) -> None:
    """Check that *lifetime* has begun and has not ended.

    Raises:
        ListingOutdated: it has ended, or begins later than clocks can differ. Nobody is blamed.
    """
    if lifetime.is_over(now):
        raise ListingOutdated("expires_at", f"later than {now}")
    if lifetime.published_at > now + CLOCK_TOLERANCE:
        raise ListingOutdated("published_at", f"at most {now + CLOCK_TOLERANCE}")
