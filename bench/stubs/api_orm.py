"""What most would write: FastAPI, SQLAlchemy's ORM and a response model, behind the shipped API's own layers.

`python -m bench.stubs.api_orm FOLDER`. The endpoint is `async`, which is the ORM's faster way here: threads that read
SQLite at once hinder each other.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import ConfigDict, create_model
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Session, load_only
from starlette.middleware import Middleware

from api.access import Access
from api.context import Context
from api.schemas import QUOTE_COLUMNS, TIME_COLUMNS, _kind
from api.security import middleware
from api.sql import decode_cursor, encode_cursor
from bench.stubs.api_server import main
from storage.schema import stocks_stock

SHOWN = (*QUOTE_COLUMNS, *TIME_COLUMNS)


class Base(DeclarativeBase):
    pass


class Stock(Base):
    __table__ = stocks_stock


FIELDS: dict[str, Any] = {name: (_kind(stocks_stock.c[name].type) | None, None) for name in SHOWN}
Row = create_model("Row", __config__=ConfigDict(from_attributes=True), **FIELDS)
Page: Any = create_model("Page", data=(list[Row], ...), next=(str | None, ...))  # type: ignore[valid-type]


def build(context: Context) -> FastAPI:
    app = FastAPI(middleware=[Middleware(Access, context.traffic, context.clock), *middleware(context)])
    engine = create_engine(context.settings.database.url)
    columns = [getattr(Stock, name) for name in SHOWN]

    @app.get("/livez")
    @app.get("/readyz")
    async def livez() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/api/v1/quotes", response_model=Page)
    async def quotes(limit: int = 100, cursor: str = "") -> Any:
        wanted = select(Stock).options(load_only(*columns)).order_by(columns[0]).limit(limit)
        if cursor:
            wanted = wanted.where(columns[0] > decode_cursor(cursor, (stocks_stock.c.ticker,))[0])
        with Session(engine) as session:
            rows: Any = session.scalars(wanted).all()
            return {"data": rows, "next": encode_cursor([rows[-1].ticker])}

    return app


if __name__ == "__main__":
    main(build)
