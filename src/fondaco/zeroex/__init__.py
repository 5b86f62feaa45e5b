"""Token orders: signed 0x orders (v2.1 and v3), settled by an Exchange contract."""
