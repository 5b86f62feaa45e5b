"""Who signed: keys of this node and the names derived from them."""
