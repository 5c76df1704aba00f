"""Who may ask: users and roles, passwords, sign-ins, tokens, keys, tickets. Decides nothing about what is answered."""
