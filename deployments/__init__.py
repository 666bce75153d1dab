"""What is deployed, and the commands for it: schedules, blocks, automations."""
