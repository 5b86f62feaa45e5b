"""The doors to clients: JSON-RPC over WebSocket and HTTP."""
