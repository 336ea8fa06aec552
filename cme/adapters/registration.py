"""CME's methods become PEFT's: the closed list of types grows, the method is entered, once."""

from typing import Any

from cme.adapters.methods import METHODS
from cme.adapters.plugins import warn_once
from cme.errors import AdapterError

__all__ = ["add_peft_type", "register_all", "register_method"]


def register_all() -> None:
    """Enter every method of CME, and of packages that bring methods, into PEFT (imports peft and torch).

    A second call changes nothing. A package that cannot be imported is left out with a warning: it must not keep PEFT
    from being imported.
    """
    for name in METHODS:
        try:
            METHODS.enter(name)
        except AdapterError as error:
            warn_once(str(error))


def add_peft_type(name: str) -> Any:
    """Add a member to PEFT's closed enumeration `PeftType`; a name that exists already is left alone.

    PEFT looks types up by member, by value and by iterating, and transformers does the same when it loads an adapter by
    itself, so plain strings in PEFT's mappings are not enough.

    Args:
        name: the type in capitals, such as ``"TEAMLORA"``.

    Returns:
        The member.
    """
    from peft import PeftType

    if name in PeftType.__members__:
        return PeftType[name]
    member = str.__new__(PeftType, name)
    member._name_ = member._value_ = name
    member._sort_order_ = len(PeftType.__members__)
    member.__objclass__ = PeftType
    PeftType._member_names_.append(name)
    PeftType._member_map_[name] = member
    PeftType._value2member_map_[name] = member
    # Up to Python 3.11 a member is found through the member map, from 3.12 on as a class attribute.
    type.__setattr__(PeftType, name, member)
    return member


def register_method(name: str, config_cls: type, model_cls: type) -> None:
    """Enter one method into PEFT; done before, or with a name that PEFT has by now for one of CME's, nothing changes.

    Args:
        name: the method in small letters, such as ``"teamlora"``.
        config_cls: its `PeftConfig`.
        model_cls: its `BaseTuner`, whose ``prefix`` is the name and an underscore.

    Raises:
        AdapterError: another package's method has the name of one that PEFT has.
    """
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
    from peft.utils import register_peft_method

    there = PEFT_TYPE_TO_CONFIG_MAPPING.get(add_peft_type(name.upper()))
    if there is None:
        register_peft_method(name=name, config_cls=config_cls, model_cls=model_cls)
    elif _package(config_cls) not in ("cme", _package(there)):
        raise AdapterError(f"PEFT has a method {name!r} already ({there.__module__}). Give this one another name.")


def _package(cls: type) -> str:
    return cls.__module__.partition(".")[0]
