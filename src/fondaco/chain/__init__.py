"""What the chain says: JSON-RPC client, blocks, logs, batched reads."""
