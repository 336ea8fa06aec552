"""Registration of CME's methods with PEFT."""

from typing import Any

from cme.adapters.methods import METHODS
from cme.adapters.plugins import warn_once
from cme.errors import AdapterError

__all__ = ["add_peft_type", "register_all", "register_method"]


def register_all() -> None:
    """Register every method of CME and of plug-in packages with PEFT. This imports peft and torch.

    A second call changes nothing. A package that cannot be imported is skipped with a warning, because it must not prevent
    the import of PEFT.
    """
    for name in METHODS:
        try:
            METHODS.register(name)
        except AdapterError as error:
            warn_once(str(error))


def add_peft_type(name: str) -> Any:
    """Add a member to PEFT's enumeration `PeftType`, unless it has a member of this name.

    PEFT looks types up by member, by value and by iteration, and so does transformers when it loads an adapter. Plain
    strings in PEFT's mappings are therefore not enough.

    Args:
        name: The type in upper case, such as ``"TEAMLORA"``.

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
    # Python 3.11 looks members up in the member map, and Python 3.12 as class attributes.
    type.__setattr__(PeftType, name, member)
    return member


def register_method(name: str, config_cls: type, model_cls: type) -> None:
    """Register one method with PEFT.

    Nothing changes if the method is already registered, or if PEFT itself has a method with the name of one of CME's.

    Args:
        name: The method's name in lower case, such as ``"teamlora"``.
        config_cls: The method's `PeftConfig`.
        model_cls: The method's `BaseTuner`. Its ``prefix`` is the name followed by an underscore.

    Raises:
        AdapterError: The method belongs to another package, and PEFT already has a method of this name.
    """
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
    from peft.utils import register_peft_method

    there = PEFT_TYPE_TO_CONFIG_MAPPING.get(add_peft_type(name.upper()))
    if there is None:
        register_peft_method(name=name, config_cls=config_cls, model_cls=model_cls)
    elif _package(config_cls) not in ("cme", _package(there)):
        raise AdapterError(f"PEFT already has a method {name!r} ({there.__module__}). Give this method another name.")


def _package(cls: type) -> str:
    return cls.__module__.partition(".")[0]
