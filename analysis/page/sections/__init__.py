"""The sections of the report: each says a few sentences and shows what it is about."""
