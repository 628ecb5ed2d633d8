"""Who calls: API keys today; a JWT verifier fits behind the same `authenticate(token) -> Principal | None`."""
