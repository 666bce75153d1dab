"""The parts that reports are made of: models, the LLM boundary, storage and the Prefect tasks."""
