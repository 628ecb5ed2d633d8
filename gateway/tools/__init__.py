"""The tools on offer: loaded, pinned, made portable, published, and a call's arguments validated against them."""
