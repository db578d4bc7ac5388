"""`{% load stigg_guard %}`: what the customer has, in templates.

How it is asked, once for all features, is `stigg_guard_django.entitled`'s.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from django import template
from django.http import HttpRequest
from django.template.base import FilterExpression, NodeList, Parser, Token
from django.template.context import Context
from django.utils.safestring import SafeString

from stigg_guard.shown import ShownEntitlement, shown
from stigg_guard_django.entitled import RequestEntitlements, entitlements_from
from stigg_guard_django.shown import of_context

register = template.Library()

Term: TypeAlias = tuple[FilterExpression, bool]
"""A feature, and whether the customer is to have it."""

_USAGE: Final = (
    'write {% entitled "feature-01" %}, with "and", "or" and "not" between features'
)


class EntitledNode(template.Node):
    """Shows one part or the other; `choices` are terms that all hold, one is enough."""

    child_nodelists = ("entitled", "otherwise")

    def __init__(
        self, choices: list[list[Term]], entitled: NodeList, otherwise: NodeList
    ) -> None:
        self._choices = choices
        self.entitled, self.otherwise = entitled, otherwise

    def render(self, context: Context) -> SafeString:
        """The part that is for this customer."""
        entitlements = of_context(context, "{% entitled %}").entitlements

        def holds(term: Term) -> bool:
            feature, wanted = term
            return entitlements.has(_id(feature.resolve(context), feature)) is wanted

        # All are looked at: a wrong id is told wherever it stands.
        found = [[holds(term) for term in terms] for terms in self._choices]
        part = self.entitled if any(map(all, found)) else self.otherwise
        return part.render(context)


@register.tag("entitled")
def entitled(parser: Parser, token: Token) -> EntitledNode:
    """`{% entitled "a" and not "b" %}...{% else %}...{% endentitled %}`.

    "or" binds less than "and", and "not" most, as in `{% if %}`.
    """
    choices = _choices(parser, token.split_contents()[1:])
    shown = parser.parse(("else", "endentitled"))
    otherwise = NodeList()
    if parser.next_token().contents.split()[0] == "else":
        otherwise = parser.parse(("endentitled",))
        parser.delete_first_token()
    return EntitledNode(choices, shown, otherwise)


def _choices(parser: Parser, words: list[str]) -> list[list[Term]]:
    choices: list[list[Term]] = [[]]
    wanted, needs_word = True, True
    for word in words:
        if word == "not" and needs_word:
            wanted = not wanted
        elif word in ("and", "or") and not needs_word:
            needs_word = True
            if word == "or":
                choices.append([])
        elif word not in ("and", "or", "not") and needs_word:
            choices[-1].append((parser.compile_filter(word), wanted))
            wanted, needs_word = True, False
        else:
            raise template.TemplateSyntaxError(
                f'{{% entitled %}} does not understand "{word}" in'
                f' "{" ".join(words)}"; {_USAGE}.'
            )
    if needs_word:
        ends = f'ends with "{words[-1]}"' if words else "names no feature"
        raise template.TemplateSyntaxError(f"{{% entitled %}} {ends}; {_USAGE}.")
    return choices


@register.simple_tag(takes_context=True)
def entitlement(context: Context, feature_id: str) -> ShownEntitlement:
    """`{% entitlement "feature-01" as templates %}`: all about one feature.

    It is true where there is access, and has `value`, `limit`, `used`, `remaining`,
    `is_unlimited`, `resets_at`, `enum_values`, `reason`.
    """
    found = of_context(context, "{% entitlement %}")
    return shown(found, _id(feature_id, "{% entitlement %}"))


@register.filter
def has_feature(asked: object, feature_id: str) -> bool:
    """`{% if request|has_feature:"feature-01" %}`; also of `stigg`."""
    return _of(asked, "has_feature").has(_id(feature_id, "has_feature"))


@register.filter
def feature_value(asked: object, feature_id: str) -> float | None:
    """`{{ request|feature_value:"feature-06" }}`; None when it is unlimited."""
    return shown(_of(asked, "feature_value"), _id(feature_id, "feature_value")).value


@register.filter
def feature_remaining(asked: object, feature_id: str) -> float | None:
    """`{{ request|feature_remaining:"feature-01" }}`; None when it is unlimited."""
    found = _of(asked, "feature_remaining")
    return shown(found, _id(feature_id, "feature_remaining")).remaining


def _of(asked: object, name: str) -> RequestEntitlements:
    if isinstance(asked, RequestEntitlements):
        return asked
    if isinstance(getattr(asked, "_request", asked), HttpRequest):
        return entitlements_from(asked)
    raise template.TemplateSyntaxError(
        f'the filter "{name}" was given {asked!r}; write'
        f' {{{{ request|{name}:"feature-01" }}}}, in a template that is rendered with'
        " the request."
    )


def _id(found: object, where: object) -> str:
    if isinstance(found, str) and found:
        return found
    raise template.TemplateSyntaxError(
        f"{where}: the feature is {found!r}; give its id in quotes, such as"
        ' "feature-01", or a variable that holds one.'
    )
