"""Who may do what, and what is traded: users, keys, accounts, instruments, fees and calendars, recorded as partition 0 of the record."""
