"""The models that a visitor can choose from: those in this process, and those that servers list."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from ..errors_ecso import ECSOInputError
from .watched_run import AnsweringModel


class ModelSource(ABC):
    """A server that answers with models of its own."""

    @abstractmethod
    def models(self) -> list[AnsweringModel]:
        """Return the models it lists at this moment.

        Raises:
            ECSOInputError: It cannot be reached, or does not say.
        """


class ModelList:
    """All models by name; ask the servers anew with `reload`.

    Args:
        local: Models in this process.
        servers: Servers to ask for theirs.
    """

    def __init__(self, local: Sequence[AnsweringModel], servers: Sequence[ModelSource] = ()):
        """Ask the servers once."""
        self._local = tuple(local)
        self._servers = tuple(servers)
        self._models: dict[str, AnsweringModel] = {}
        self.problems: tuple[str, ...] = ()
        self.reload()

    @property
    def names(self) -> list[str]:
        """The names to choose from."""
        return list(self._models)

    @property
    def has_servers(self) -> bool:
        """Whether the list can change."""
        return bool(self._servers)

    @property
    def runs_here(self) -> bool:
        """Whether any model computes in this process."""
        return bool(self._local)

    def reload(self) -> None:
        """Ask all servers; those that fail leave a sentence in ``problems``, and no model."""
        found, problems = list(self._local), []
        for server in self._servers:
            try:
                found += server.models()
            except ECSOInputError as problem:
                problems.append(str(problem))
        self._models = {model.name: model for model in found}
        self.problems = tuple(problems)

    def get(self, name: str | None) -> AnsweringModel:
        """Return the model of that name.

        Raises:
            ECSOInputError: There is none, or none any more.
        """
        if name in self._models:
            return self._models[name]
        if name is None:
            raise ECSOInputError("There is no model to ask. Reload the list when a server is up.")
        raise ECSOInputError(
            f"The model {name} is no longer there. Reload the list and choose another."
        )
