"""Every error that Engage raises on purpose.

::

    EngageError                 something a person can understand and act on
    ├── InputError              a value given by a person or a client is wrong; retrying cannot help
    │   ├── WindowError         a date off the 8-week grid, or a window that is not complete
    │   ├── SettingsError       an Airflow Variable or ``--set`` value that is not allowed
    │   └── RunError            a run was triggered with something that no run accepts
    ├── SeedRefused             synthetic data would have mixed with real data
    ├── NoCustomers             nothing to do yet: the customer table is empty (a run skips)
    ├── NoValidEvents           customers, but not one valid event in the window
    ├── GuardStop               the data look wrong beside the last campaign's, and nobody may be texted for it
    ├── NotApproved             nobody has approved of the messages, and somebody has to
    ├── NotReady                a step ran before the step whose output it reads
    ├── Superseded              another sender has taken this campaign over
    ├── TooManyMessages         more messages wait than one run may send
    ├── TooLate                 messages still wait of a window that ended too long ago to text anybody
    ├── ProviderRefuses         the provider takes no messages until somebody mends its account
    ├── NoSuchCustomer          nobody has this customer id
    ├── SyntheticCustomer       a real customer would take the place of a synthetic one
    ├── NotUnknown              only a message whose fate is unknown can be settled by hand
    ├── RunFailed               the run that the demonstration triggered did not succeed
    └── LocalError              the embedded Postgres or Airflow on this machine cannot start or stop

None of them is worth a retry by itself: database trouble is never wrapped in one of these, so a scheduler
may retry whatever is *not* an ``EngageError``.
"""


class EngageError(Exception):
    """Base of all errors with a message for a person: what was wrong, the value, what is allowed."""


class InputError(EngageError, ValueError):
    """A value given from outside is wrong."""


class WindowError(InputError):
    """A date that is not the start of a complete window."""


class SettingsError(InputError):
    """A setting outside its allowed range."""


class RunError(InputError):
    """A run was asked for something that no run accepts."""


class SeedRefused(EngageError):
    """Seeding would touch data that is not synthetic; nothing was changed."""


class NoCustomers(EngageError):
    """The customer table is empty, so there is nothing to do."""


class NoValidEvents(EngageError):
    """There are customers, but no valid event in the window."""


class GuardStop(EngageError):
    """The guard found something, and no run was told to ignore it."""


class NotApproved(EngageError):
    """Messages that somebody has to approve of first."""


class NotReady(EngageError):
    """An earlier step of the campaign has not run."""


class Superseded(EngageError):
    """A newer sender owns the campaign; this one must stop."""


class TooManyMessages(EngageError):
    """More messages wait than ``max_messages_per_run`` allows."""


class TooLate(EngageError):
    """Messages still wait, and the window ended more than ``send_within_days`` ago."""


class ProviderRefuses(EngageError):
    """The provider takes nobody's messages."""


class NotUnknown(EngageError):
    """A message is not one whose fate is unknown."""


class NoSuchCustomer(EngageError):
    """Nobody has this customer id."""


class SyntheticCustomer(EngageError):
    """The customer id belongs to a synthetic customer."""


class RunFailed(EngageError):
    """The triggered run did not succeed."""


class LocalError(EngageError):
    """The local stack cannot start or stop."""
