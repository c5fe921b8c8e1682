"""What is foreseen of stacks."""

from helios.api import predictions as shown
from helios.calls import base, stacks


class PredictionCalls(base.Calls):
    """The client's method for predictions."""

    async def predictions(self, client_id: str, stack_id: str) -> shown.Predictions:
        """What is foreseen of a stack, and how well that went. Raises NotFoundError."""
        return await self._get(shown.Predictions, stacks.path(client_id, stack_id, "/predictions"))
