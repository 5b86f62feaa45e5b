"""Typed fakes and builders for tests; shipped, so other projects can use them."""
