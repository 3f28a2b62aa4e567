"""Expired sessions: a task on the application's database."""

from database.db import SessionLocal

from loggers import get_logger

logger = get_logger("backgroundtask")


async def cleanup_expired_sessions() -> int:
    """Remove expired user sessions."""
    db = SessionLocal()
    try:
        from datetime import UTC, datetime  # noqa: PLC0415 - late imports work inside a task

        from auth.models import UserSession  # noqa: PLC0415

        now = datetime.now(UTC).replace(tzinfo=None)  # noqa: TID251 - a task may ask the time
        expired = db.query(UserSession).filter(UserSession.expires_at < now).all()
        for session in expired:
            db.delete(session)
        db.commit()
        logger.info("Cleaned up %s expired sessions", len(expired))
    except Exception:
        logger.exception("Session cleanup failed")
        raise
    finally:
        db.close()
    return len(expired)


TASK_DEFINITIONS = [
    {
        "id": "cleanup_expired_sessions",
        "name": "Cleanup Expired Sessions",
        "func": cleanup_expired_sessions,
        "trigger": "cron",
        "trigger_args": {"hour": "*/6"},
        "enabled": True,
        "max_retries": 3,
        "timeout": 300,
    },
]
