"""Who is let in: the gateway's own limit, its queue, and what is shed first."""
