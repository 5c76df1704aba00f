"""The price stream: frames, subscriptions, recordings played again."""
