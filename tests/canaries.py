"""What a caller says that must not be found anywhere but where it was meant for."""

from __future__ import annotations

PHONE = "+46 70 987 65 43"
REASON = "zanzibar-reason-canary"
KEY = "kilimanjaro-idempotency-canary"
