"""Every error that Engage raises on purpose.

::

    EngageError                 a person can understand the message and act on it
    ├── InputError              a value from a person or a client is wrong; a retry cannot help
    │   ├── WindowError         a date off the 8-week grid, or a window that is not complete
    │   ├── SettingsError       an Airflow Variable or ``--set`` value that is not allowed
    │   ├── RunError            a run was triggered with a value that no run accepts
    │   └── SourceError         the source of events is defined wrongly, or refuses what it is asked
    ├── SeedRefused             synthetic data would mix with real data
    ├── NoCustomers             the customer table is empty, so there is nothing to do yet (a run skips)
    ├── NoValidEvents           there are customers, but the window has no valid event
    ├── GuardStop               the data look wrong beside the last campaign's, and no run ignores the guard
    ├── NotApproved             the messages need an approval, which is missing
    ├── ApproverRefused         a user approved a list who may not approve it
    ├── UnfitDatabase           the database cannot hold Engage's data, or its role lacks a right
    ├── ArchiveError            the archive cannot be read or written until the operator acts
    ├── NotReady                a step ran before the step whose output it reads
    ├── Superseded              another sender has taken over the campaign
    ├── TooManyMessages         more messages wait than one run may send
    ├── OverBudget              the messages that wait may cost more than the budget
    ├── TooFewCodes             an offer has fewer codes than the campaign has messages that need one
    ├── NoOfferCode             a message that needs an offer code has none
    ├── TooLate                 messages still wait, but their window ended too long ago
    ├── ProviderRefuses         the provider takes no messages until the operator repairs its account
    ├── SparkError              Spark, or the archive that it reads, cannot give the sums until the operator acts
    ├── ModelFailed             the model that drafts texts gave none
    ├── NoSuchDraft             no drafted text, or no request for some, has this id
    ├── NoSuchCustomer          no customer has this id
    ├── NoSuchMessage           the ledger has no message to this customer in this window
    ├── SyntheticCustomer       a real customer would replace a synthetic one
    ├── BrokenRecord            a row of the consent record was changed or removed
    ├── NotUnknown              an operator may settle a message only if its outcome is unknown
    ├── NothingToHalt           the campaign is finished, so a halt would stop no message
    ├── RunFailed               the run that the demonstration triggered did not succeed
    └── LocalError              the embedded Postgres or Airflow on this machine cannot start or stop

A retry by itself helps with none of them. Database trouble is never wrapped in one of these, so a scheduler may
retry every error that is *not* an ``EngageError``.
"""


class EngageError(Exception):
    """Base of all errors with a message for a person: what was wrong, the value, what is allowed."""


class InputError(EngageError, ValueError):
    """A value from outside is wrong."""


class WindowError(InputError):
    """A date is not the start of a complete window."""


class SettingsError(InputError):
    """A setting is outside its allowed range."""


class RunError(InputError):
    """A run was triggered with a value that no run accepts."""


class SourceError(InputError):
    """A source of events cannot be read until its connection is corrected."""


class SeedRefused(EngageError):
    """Seeding would touch data that is not synthetic; nothing was changed."""


class NoCustomers(EngageError):
    """The customer table is empty, so there is nothing to do."""


class NoValidEvents(EngageError):
    """There are customers, but no valid event in the window."""


class GuardStop(EngageError):
    """The guard has a finding, and no run ignores it."""


class NotApproved(EngageError):
    """An approver has yet to approve the messages."""


class ApproverRefused(EngageError):
    """The approval of this user does not count."""


class UnfitDatabase(EngageError):
    """The database or its role cannot serve Engage until the operator changes it."""


class ArchiveError(EngageError):
    """The archive cannot be reached, or does not hold what it should."""


class NotReady(EngageError):
    """An earlier step of the campaign has not run."""


class Superseded(EngageError):
    """A newer sender owns the campaign; this one must stop."""


class TooManyMessages(EngageError):
    """More messages wait than ``max_messages_per_run`` allows."""


class OverBudget(EngageError):
    """The messages that wait may cost more than ``message_budget`` allows."""


class TooFewCodes(EngageError):
    """An offer has fewer free codes than messages need."""


class NoOfferCode(EngageError):
    """A queued message has no code for its text."""


class TooLate(EngageError):
    """Messages still wait, and the window ended more than ``send_within_days`` ago."""


class ProviderRefuses(EngageError):
    """The provider takes no messages."""


class SparkError(EngageError):
    """Spark cannot compute the sums: its connection, its server or its files need the operator."""


class ModelFailed(EngageError):
    """The model gave no texts: it cannot be reached, refuses the request, or answers something else."""


class NoSuchDraft(EngageError):
    """There is no such drafted text."""


class BrokenRecord(EngageError):
    """A row of the consent record does not fit its hash chain: it was changed or removed past Engage."""


class NotUnknown(EngageError):
    """The outcome of a message is not unknown."""


class NothingToHalt(EngageError):
    """The campaign is finished."""


class NoSuchCustomer(EngageError):
    """No customer has this id."""


class NoSuchMessage(EngageError):
    """The ledger has no such message."""


class SyntheticCustomer(EngageError):
    """The customer id belongs to a synthetic customer."""


class RunFailed(EngageError):
    """The triggered run did not succeed."""


class LocalError(EngageError):
    """The local stack cannot start or stop."""
