"""A local chain with the real 0x contracts; imported by cli and tests only."""
