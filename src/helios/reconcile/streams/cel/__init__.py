"""CEL, the expression language of rules and conditions: parse, analyse, compile, evaluate."""
