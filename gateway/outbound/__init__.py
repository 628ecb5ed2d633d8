"""The only way out of the house: `door.Door` opens an upstream to an action that has a permit, and to no other."""
