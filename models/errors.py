"""Every error that Stanceframe raises on purpose.

```
StanceframeError
├── InputError            what a caller handed in is wrong; the message names the place and the remedy
│   ├── LabelError        a label that the codebook does not know
│   └── ConfigError       a recipe or a setting that cannot be used
├── CheckpointError       a checkpoint that is missing, damaged or of another kind
├── EncoderNotFoundError  no source has the base encoder
├── RegistryError         the registry cannot do what was asked
└── StoreError            the annotation store cannot be read or written
```
"""


class StanceframeError(Exception):
    """Root of the tree: its message can be shown to a user as it is."""


class InputError(StanceframeError):
    """What a caller handed in is wrong."""


class LabelError(InputError):
    """A label that the codebook does not know."""


class ConfigError(InputError):
    """A recipe or a setting that cannot be used."""


class CheckpointError(StanceframeError):
    """A checkpoint that is missing, damaged or of another kind."""


class EncoderNotFoundError(StanceframeError):
    """No source has the base encoder."""


class RegistryError(StanceframeError):
    """The registry cannot do what was asked."""


class StoreError(StanceframeError):
    """The annotation store cannot be read or written."""
