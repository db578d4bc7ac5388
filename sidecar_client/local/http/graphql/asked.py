"""How many fields of `Query` or `Mutation` a document asks for.

Only counting lives here; what is too many is said in `routes`.
"""

from __future__ import annotations

from graphql.language import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
)


def fields_asked(document: DocumentNode, operation: OperationDefinitionNode) -> int:
    """The fields that are carried out, those of fragments included.

    A fragment is carried out once, however often it is spread.
    """
    fragments = {
        item.name.value: item
        for item in document.definitions
        if isinstance(item, FragmentDefinitionNode)
    }
    waiting: list[SelectionNode] = [*operation.selection_set.selections]
    count = 0
    while waiting:
        match waiting.pop():
            case FieldNode():
                count += 1
            case InlineFragmentNode(selection_set=inner):
                waiting += inner.selections
            case FragmentSpreadNode(name=name):
                fragment = fragments.pop(name.value, None)
                if fragment is not None:
                    waiting += fragment.selection_set.selections
            case _:
                pass
    return count
