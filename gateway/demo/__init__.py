"""A sandbox company, a gateway before it, and the story of an agent that plays between them."""
