"""SQLAlchemy's expressions as Spark SQL: the few constructs that are known to mean the same there, and no others.

Any other construct raises an error that names it. A type or function that merely looks alike may change a result in
silence: ``CAST(5.5 AS NUMERIC)`` is 5.5 in Postgres and 6 in Spark, where NUMERIC has no decimals unless told.
"""

from __future__ import annotations

from typing import Any, NoReturn

import sqlalchemy as sa
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.sql import operators
from sqlalchemy.sql.compiler import GenericTypeCompiler, IdentifierPreparer, SQLCompiler

from engage.errors import SparkError

FUNCTIONS = frozenset({"count", "sum", "min", "max", "row_number"})
OPERATORS = frozenset(
    {operators.eq, operators.ne, operators.lt, operators.le, operators.gt, operators.ge, operators.in_op}
    | {operators.and_, operators.or_, operators.is_, operators.is_not, operators.desc_op}
    | {operators.between_op, operators.not_between_op}
)
COLLATIONS = frozenset({"C", "default"})
"""Spark compares text byte by byte, as the collation C does. A result's collation only matters to Postgres."""
_CONSTRUCTS = (
    "select compound_select select_statement_grouping subquery alias table column label bindparam cast null clauselist "
    "expression_clauselist grouping function funcfilter over binary unary between_op_binary not_between_op_binary"
    " in_op_binary typeclause"
)
_TYPES = "big_integer BIGINT text date DATE datetime"


def compiled(statement: sa.ClauseElement) -> tuple[str, dict[str, Any]]:
    """A query as Spark SQL, and the values of its named parameters.

    Raises:
        SparkError: it has a construct, function, operator or type that is not known to mean the same in Spark.
    """
    found = statement.compile(dialect=SparkDialect(), compile_kwargs={"render_postcompile": True})
    return str(found), {name: _plain(value) for name, value in found.params.items()}


def _plain(value: object) -> object:
    return str(value) if isinstance(value, str) else value  # an enum's value is one of its texts


def _refuse(kind: str, name: str) -> NoReturn:
    raise SparkError(
        f"Spark is asked for the {kind} {name}, which is not known to mean the same there as in Postgres. Set "
        "engage_engine to postgres, and report it: engage/spark/dialect.py lists what is known."
    )


class _Strict:
    """Refuses every ``visit_…`` method of a compiler that is not on its list."""

    def __init_subclass__(cls, kind: str = "", known: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        allowed = {f"visit_{name}" for name in known.split()}
        for name in dir(cls):
            if name.startswith("visit_") and name not in allowed:
                setattr(cls, name, _refusal(kind, name.removeprefix("visit_")))


def _refusal(kind: str, name: str) -> Any:
    def refuse(self: object, element: object, *arguments: Any, **options: Any) -> NoReturn:
        _refuse(kind, type(element).__name__ if name == "unsupported_compilation" else name)

    return refuse


class _Compiler(_Strict, SQLCompiler, kind="construct", known=_CONSTRUCTS):
    def visit_column(self, column: Any, *arguments: Any, **options: Any) -> str:
        if column.is_literal and column.name != "*":
            _refuse("construct", "literal_column")
        return super().visit_column(column, *arguments, **options)

    def get_select_precolumns(self, select: Any, **options: Any) -> str:
        return _refuse("clause", "DISTINCT") if select._distinct else ""

    def limit_clause(self, select: Any, **options: Any) -> str:
        return _refuse("clause", "LIMIT")

    def for_update_clause(self, select: Any, **options: Any) -> str:
        return _refuse("clause", "FOR UPDATE")

    def visit_function(self, func: Any, *arguments: Any, **options: Any) -> str:
        if func.name not in FUNCTIONS:
            _refuse("function", func.name)
        return super().visit_function(func, *arguments, **options)

    def visit_binary(self, binary: Any, *arguments: Any, **options: Any) -> str:
        if binary.operator is operators.collate and binary.right.collation in COLLATIONS:
            return str(self.process(binary.left, **options))
        if binary.operator not in OPERATORS:
            _refuse("operator", binary.operator.__name__)
        return str(super().visit_binary(binary, *arguments, **options))  # type: ignore[no-untyped-call]

    def visit_unary(self, unary: Any, *arguments: Any, **options: Any) -> str:
        if (unary.operator or unary.modifier) not in OPERATORS:
            _refuse("operator", (unary.operator or unary.modifier).__name__)
        return str(super().visit_unary(unary, *arguments, **options))  # type: ignore[no-untyped-call]


class _Types(_Strict, GenericTypeCompiler, kind="type", known=_TYPES):
    def visit_text(self, type_: Any, **options: Any) -> str:
        return "STRING"

    def visit_datetime(self, type_: Any, **options: Any) -> str:
        return "TIMESTAMP"


class _Names(IdentifierPreparer):
    def __init__(self, dialect: Any) -> None:
        super().__init__(dialect, initial_quote="`")


class SparkDialect(DefaultDialect):
    """Spark SQL with named parameters, ``:name``."""

    name = "spark"
    default_paramstyle = "named"
    statement_compiler = _Compiler
    type_compiler_cls = _Types
    preparer = _Names  # type: ignore[assignment]
