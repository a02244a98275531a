"""What a manager tells of its work: the records that `CheckpointManager(on_event=...)` is given."""

from cloudckpt.manager.reporting.reports import (
    DeletedReport,
    PreemptionReport,
    Report,
    RestoreReport,
    SaveReport,
    SkippedReport,
)

__all__ = ["DeletedReport", "PreemptionReport", "Report", "RestoreReport", "SaveReport", "SkippedReport"]
