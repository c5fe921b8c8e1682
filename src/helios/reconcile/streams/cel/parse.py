"""From text to syntax tree, by precedence climbing.

Bounds: the text's length, the nesting of brackets, and the height of the tree, so that nothing
that walks the tree later can run out of stack.
"""

from typing import Final, NoReturn, cast

from helios.reconcile.streams.cel import lexer, syntax

NESTING_MAX: Final = 32
"""Brackets within brackets. Above: refused."""

HEIGHT_MAX: Final = 100
"""Operators applied one on another. Above: refused."""

_PRECEDENCE: Final = {
    "||": 1,
    "&&": 2,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in"), 3),
    **dict.fromkeys(("+", "-"), 4),
    **dict.fromkeys(("*", "/", "%"), 5),
}
_MACROS: Final = {
    "all": (2,),
    "exists": (2,),
    "exists_one": (2,),
    "existsOne": (2,),
    "map": (2, 3),
    "filter": (2,),
}
_WORDS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}


def parse(text: str) -> syntax.Node:
    """Parse one CEL expression.

    Raises:
        InvalidInputError: with line and column in the text and what was expected there.
    """
    return _Parser(lexer.tokens(text)).run()


class _Parser:
    def __init__(self, tokens: list[lexer.Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._nesting = -1
        self._heights: dict[int, int] = {}

    def run(self) -> syntax.Node:
        if self._peek().kind is lexer.Kind.END:
            raise lexer.error("the expression is empty", self._peek().at)
        node = self._expression()
        if self._peek().kind is not lexer.Kind.END:
            self._refuse("an operator or the end of the expression")
        return node

    # Tokens

    def _peek(self) -> lexer.Token:
        return self._tokens[self._next]

    def _advance(self) -> lexer.Token:
        token = self._peek()
        self._next += 1
        return token

    def _is(self, text: str) -> bool:
        token = self._peek()
        kinds = (lexer.Kind.OPERATOR, lexer.Kind.IDENTIFIER)
        return token.text == text and token.kind in kinds

    def _accept(self, text: str) -> bool:
        if self._is(text):
            self._next += 1
            return True
        return False

    def _expect(self, text: str, expected: str | None = None) -> None:
        if not self._accept(text):
            self._refuse(expected or f"'{text}'")

    def _refuse(self, expected: str) -> NoReturn:
        token = self._peek()
        raise lexer.error(f"expected {expected}; found {token.shown()}", token.at)

    def _made(self, node: syntax.Node) -> syntax.Node:
        """Note the height of a new node; refuse a tree that nobody could walk."""
        height = 1 + max((self._heights[id(c)] for c in syntax.children(node)), default=0)
        if height > HEIGHT_MAX:
            message = f"more than {HEIGHT_MAX} operators applied one on another"
            raise lexer.error(message, node.at)
        self._heights[id(node)] = height
        return node

    # Expressions, from the loosest binding to the tightest

    def _expression(self) -> syntax.Node:
        self._nesting += 1
        if self._nesting > NESTING_MAX:
            message = f"brackets are nested more than {NESTING_MAX} deep"
            raise lexer.error(message, self._peek().at)
        node = self._condition()
        self._nesting -= 1
        return node

    def _condition(self) -> syntax.Node:
        choices: list[tuple[syntax.Node, syntax.Node, syntax.Place]] = []
        node = self._binary(1)
        while self._is("?"):
            at = self._advance().at
            then = self._binary(1)
            self._expect(":", "':' or an operator")
            choices.append((node, then, at))
            node = self._binary(1)
        for test, then, at in reversed(choices):
            node = self._made(syntax.Condition(at, test, then, node))
        return node

    def _binary(self, weakest: int) -> syntax.Node:
        left = self._unary()
        while self._peek().kind is not lexer.Kind.STRING:
            precedence = _PRECEDENCE.get(self._peek().text, 0)
            if precedence < weakest or self._peek().kind is lexer.Kind.QUOTED:
                break
            operator = self._advance()
            right = self._binary(precedence + 1)
            left = self._made(_binary_node(operator.text, operator.at, left, right))
        return left

    def _unary(self) -> syntax.Node:
        signs: list[lexer.Token] = []
        while self._is("!") or self._is("-"):
            signs.append(self._advance())
        number = bool(signs) and self._peek().kind is lexer.Kind.NUMBER
        node = self._member()
        for sign in reversed(signs):
            if sign.text == "!":
                node = self._made(syntax.Not(sign.at, node))
            elif number and isinstance(node, syntax.Literal):
                value = cast("int", node.value)
                node = self._made(syntax.Literal(sign.at, -value))
            else:
                node = self._made(syntax.Negate(sign.at, node))
            number = False
        return node

    def _member(self) -> syntax.Node:
        node = self._primary()
        while True:
            if self._accept("."):
                node = self._after_dot(node)
            elif self._is("["):
                node = self._index(node)
            else:
                return node

    def _after_dot(self, operand: syntax.Node) -> syntax.Node:
        token = self._peek()
        if token.kind is lexer.Kind.QUOTED:
            self._advance()
            return self._made(syntax.Select(token.at, operand, cast("str", token.value)))
        if token.kind is not lexer.Kind.IDENTIFIER or token.text in lexer.KEYWORDS:
            self._refuse("the name of a field or method")
        self._advance()
        if not self._is("("):
            return self._made(syntax.Select(token.at, operand, token.text))
        if token.text in _MACROS:
            return self._macro(operand, token)
        arguments = self._arguments()
        return self._made(syntax.Call(token.at, token.text, (operand, *arguments), method=True))

    def _index(self, operand: syntax.Node) -> syntax.Node:
        at = self._advance().at
        index = self._expression()
        self._expect("]")
        if isinstance(index, syntax.Literal) and isinstance(index.value, str):
            return self._made(syntax.Select(at, operand, index.value))
        return self._made(syntax.Index(at, operand, index))

    def _macro(self, source: syntax.Node, name: lexer.Token) -> syntax.Node:
        macro = "exists_one" if name.text == "existsOne" else name.text
        arguments = self._arguments()
        allowed = _MACROS[name.text]
        if len(arguments) not in allowed:
            wanted = " or ".join(str(n) for n in allowed)
            message = f"{macro} takes {wanted} arguments, such as {macro}(x, ...)"
            raise lexer.error(f"{message}; found {len(arguments)}", name.at)
        variable, *inner = arguments
        if not isinstance(variable, syntax.Name):
            message = f"the first argument of {macro} must be a name for the element"
            raise lexer.error(message, variable.at)
        condition = inner[0] if len(inner) == 2 else None
        kind = cast("syntax.MacroName", macro)
        node = syntax.Macro(name.at, kind, source, variable.name, condition, inner[-1])
        return self._made(node)

    # Primaries

    def _primary(self) -> syntax.Node:
        token = self._peek()
        if token.kind in {lexer.Kind.NUMBER, lexer.Kind.STRING}:
            self._advance()
            return self._made(syntax.Literal(token.at, token.value))
        if token.kind is lexer.Kind.IDENTIFIER:
            return self._word()
        if token.kind is lexer.Kind.OPERATOR and token.text in {"(", "[", "{"}:
            return self._bracket(token)
        return self._refuse("a value")

    def _word(self) -> syntax.Node:
        token = self._advance()
        if token.text in _WORDS:
            return self._made(syntax.Literal(token.at, _WORDS[token.text]))
        if token.text in lexer.RESERVED or token.text == "in":
            message = f"'{token.text}' is a reserved word of CEL and names nothing"
            raise lexer.error(message, token.at)
        if not self._is("("):
            return self._made(syntax.Name(token.at, token.text))
        if token.text == "has":
            return self._has(token)
        if token.text in _MACROS:
            message = f"{token.text} stands behind a list: list.{token.text}(x, ...)"
            raise lexer.error(message, token.at)
        arguments = self._arguments()
        return self._made(syntax.Call(token.at, token.text, arguments, method=False))

    def _has(self, name: lexer.Token) -> syntax.Node:
        arguments = self._arguments()
        if len(arguments) != 1 or not isinstance(arguments[0], syntax.Select):
            raise lexer.error("has takes one field, such as has(event.payload.x)", name.at)
        selected = arguments[0]
        return self._made(syntax.Has(selected.at, selected.operand, selected.field))

    def _arguments(self) -> tuple[syntax.Node, ...]:
        self._expect("(")
        return self._listed(")")

    def _bracket(self, token: lexer.Token) -> syntax.Node:
        self._advance()
        if token.text == "(":
            node = self._expression()
            self._expect(")", "')' or an operator")
            return node
        if token.text == "[":
            return self._made(syntax.ListLiteral(token.at, self._listed("]", trailing=True)))
        return self._made(syntax.MapLiteral(token.at, self._entries()))

    def _listed(self, closing: str, *, trailing: bool = False) -> tuple[syntax.Node, ...]:
        items: list[syntax.Node] = []
        if self._accept(closing):
            return ()
        while True:
            items.append(self._expression())
            if self._accept(closing):
                return tuple(items)
            self._expect(",", f"'{closing}' or ','")
            if trailing and self._accept(closing):
                return tuple(items)

    def _entries(self) -> tuple[tuple[syntax.Node, syntax.Node], ...]:
        entries: list[tuple[syntax.Node, syntax.Node]] = []
        while not self._accept("}"):
            if entries:
                self._expect(",", "'}' or ','")
                if self._accept("}"):
                    break
            key = self._expression()
            self._expect(":", "':' after the key")
            entries.append((key, self._expression()))
        return tuple(entries)


def _binary_node(
    operator: str, at: syntax.Place, left: syntax.Node, right: syntax.Node
) -> syntax.Node:
    match operator:
        case "&&" | "||":
            return syntax.Logic(at, operator, left, right)
        case "in":
            return syntax.Membership(at, left, right)
        case "==" | "!=" | "<" | "<=" | ">" | ">=":
            return syntax.Comparison(at, operator, left, right)
        case _:
            return syntax.Arithmetic(at, cast("syntax.Operator", operator), left, right)
