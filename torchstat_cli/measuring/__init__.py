"""One model, one dummy run, one profile."""

from torchstat_cli.measuring.profiles import profile_live, profile_spec
from torchstat_cli.measuring.provenance import live_provenance
from torchstat_cli.measuring.settings import Mode, Settings

__all__ = ["Mode", "Settings", "live_provenance", "profile_live", "profile_spec"]
