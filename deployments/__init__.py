"""The deployments, and commands that set up schedules, blocks, automations and ECS pools."""
