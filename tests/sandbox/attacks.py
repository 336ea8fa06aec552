"""Programs that attack the machine, the evaluation or the score. Each passes only if its attack succeeds."""

__all__ = ["ATTACKS", "FAKES", "HANGS", "TESTS"]

TESTS = "assert f(1) == 2\nassert f(5) == 6\n"
RIGHT = "def f(x):\n    return x + 1\n"
WRONG = "def f(x):\n    return x\n"
LIBC = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
MOUNT = "libc.mount(b'x', b'/tmp', b'tmpfs', 0, None)"
REFUSED = "\nif {call} < 0:\n    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))\n"

THREADS = """
stack = ctypes.create_string_buffer(64)
libc.pthread_attr_init(stack)
libc.pthread_attr_setstacksize(stack, ctypes.c_size_t(16384))
number = ctypes.c_ulong()
while True:
    if error := libc.pthread_create(ctypes.byref(number), stack, libc.pause, None):
        raise OSError(error, os.strerror(error))
"""
"""Threads without the lock of Python and with the smallest stack, so that the limit on memory does not stop them early."""

ATTACKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "fork bomb": ("import os\nwhile True:\n    os.fork()\n", ("blocked",)),
    "10 GB list": (f"numbers = [0] * (10 * 2**30 // 8)\n{RIGHT}", ("memory",)),
    "10 GB mapping": (f"import mmap\nmmap.mmap(-1, 10 * 2**30)\n{RIGHT}", ("memory",)),
    "network connection": ("import socket\nsocket.create_connection(('127.0.0.1', {port}), 2)\n" + RIGHT, ("blocked",)),
    "connection to the host": (
        "import socket\nsocket.socket(40, socket.SOCK_STREAM).connect((2, 1))\n" + RIGHT,
        ("blocked",),
    ),
    "file in $HOME": ("open({home!r} + '/cme-attack', 'w').write('x')\n" + RIGHT, ("blocked", "error")),
    "results of CME": ("text = open({secret!r}).read()\n" + RIGHT, ("error",)),
    "results through a link": (
        "import os\nos.symlink({secret!r}, 'link')\ntext = open('link').read()\n" + RIGHT,
        ("error",),
    ),
    "kill the parent": (
        "import os\nos.kill(os.getppid(), 9)\nos.kill(1, 9)\nos.kill(-1, 9)\n" + RIGHT,
        ("error",),
    ),
    "print 1 GB": (f"for _ in range(1024):\n    print('x' * 2**20)\n{RIGHT}", ("blocked",)),
    "fill the folder": (
        f"for k in range(10**6):\n    open(str(k), 'wb').write(bytes(2**20))\n{RIGHT}",
        ("blocked",),
    ),
    "huge file": (f"open('x', 'wb').truncate(10**12)\n{RIGHT}", ("blocked",)),
    "child that survives": (f"import subprocess\nsubprocess.Popen(['sleep', '60'])\n{RIGHT}", ("blocked", "error")),
    "other processes": (f"import os\nos.listdir('/proc')\n{RIGHT}", ("error",)),
    "environment": (f"import os\nsecret = os.environ['CME_TEST_SECRET']\n{RIGHT}", ("error",)),
    "system files": (f"text = open('/etc/passwd').read()\n{RIGHT}", ("error",)),
    "shared memory": (f"{LIBC}{REFUSED.format(call='libc.shmget(0, 1 << 30, 0o1600)')}{RIGHT}", ("blocked",)),
    "memory file": (f"import os\nos.memfd_create('x')\n{RIGHT}", ("blocked",)),
    "new user namespace": (f"{LIBC}{REFUSED.format(call='libc.unshare(0x10000000)')}{RIGHT}", ("blocked",)),
    "mount": (f"{LIBC}{REFUSED.format(call=MOUNT)}{RIGHT}", ("blocked",)),
    "trace another process": (f"{LIBC}{REFUSED.format(call='libc.ptrace(16, 1, 0, 0)')}{RIGHT}", ("blocked",)),
    "raise a limit": (
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)\n" + RIGHT,
        ("error",),
    ),
    "thread bomb": (
        f"import threading, time\nwhile True:\n    threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n{RIGHT}",
        ("error", "blocked"),
    ),
    "thread bomb with small stacks": (f"{LIBC}{THREADS}{RIGHT}", ("blocked",)),
    "many empty files": (
        f"import itertools, os\nfor k in itertools.count():\n    os.close(os.open(str(k), os.O_CREAT))\n{RIGHT}",
        ("blocked",),
    ),
    "segmentation fault": (f"import ctypes\nctypes.string_at(0)\n{RIGHT}", ("crashed",)),
    "infinite recursion": ("def f(x):\n    return f(x)\n", ("error",)),
    "deep recursion": (
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(x):\n    return f(x)\n",
        ("memory", "crashed", "timeout"),
    ),
    "nested brackets": (f"{'(' * 50_000}\n{RIGHT}", ("error", "memory", "crashed")),
    "nested operators": (f"y = {'-' * 90_000}1\n{RIGHT}", ("error", "memory", "crashed")),
    "long program": (f"{RIGHT}{'#' * 200_000}", ("error",)),
    "NUL": (f"x = '\0'\n{RIGHT}", ("error",)),
    "lone surrogate": (f"x = '\ud800'\n{RIGHT}", ("error",)),
    "control characters": (f"\x1b[2J\x07{RIGHT}", ("error",)),
    "read the terminal": (f"answer = input()\n{RIGHT}", ("error",)),
    "endless answer": ("def f(x):\n    return list(range(10**7))\n", ("error", "memory", "timeout")),
    "value that contains itself": ("def f(x):\n    y = []\n    y.append(y)\n    return y\n", ("error", "failed")),
}
"""Name → the program and its possible outcomes. ``{port}``, ``{home}`` and ``{secret}`` are filled in."""

HANGS: dict[str, tuple[str, tuple[str, ...]]] = {
    "infinite loop": ("while True:\n    pass\n", ("timeout",)),
    "sleep": ("import time\ntime.sleep(1000)\n", ("timeout",)),
    "signals ignored": (
        "import signal\nfor number in range(1, 32):\n    try:\n        signal.signal(number, signal.SIG_IGN)\n"
        "    except OSError:\n        pass\nwhile True:\n    pass\n",
        ("timeout",),
    ),
    "errors caught": (
        "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass\n",
        ("timeout",),
    ),
    "huge number": ("def f(x):\n    return len(str(9 ** 9 ** 9))\n", ("timeout", "memory", "error")),
}
"""Programs that do not end."""

_EVERYWHERE = "for number in range(64):\n    try:\n        os.write(number, line)\n    except OSError:\n        pass\n"

FAKES: dict[str, tuple[str, tuple[str, ...]]] = {
    "exit before the tests": (f"import sys\n{WRONG}sys.exit(0)\n", ("exited",)),
    "exit in the function": ("def f(x):\n    raise SystemExit(0)\n", ("exited",)),
    "hard exit": ("import os\nos._exit(0)\n", ("exited",)),
    "hard exit in the function": ("import os\ndef f(x):\n    os._exit(0)\n", ("exited",)),
    "object that equals everything": (
        "class Any:\n    __hash__ = None\n    def __eq__(self, other):\n        return True\ndef f(x):\n    return Any()\n",
        ("failed",),
    ),
    "number that equals everything": (
        "class Any(int):\n    __hash__ = None\n    def __eq__(self, other):\n        return True\n"
        "def f(x):\n    return Any(7)\n",
        ("failed",),
    ),
    "patched assert": (f"import builtins\nbuiltins.AssertionError = SystemExit\n__debug__\n{WRONG}", ("failed",)),
    "patched exceptions": (
        f"import sys\nsys.excepthook = print\nsys.settrace(lambda *arguments: None)\n{WRONG}",
        ("failed",),
    ),
    "success marker printed": (f'print(\'{{"status": "passed"}}\', flush=True)\n{WRONG}', ("failed",)),
    "success marker everywhere": (
        f'import os\nline = b\'{{"status": "passed"}}\\n\'\n{_EVERYWHERE}{WRONG}',
        ("error", "failed", "exited"),
    ),
    "answers sent in advance": (
        f"import os\nline = b'[\"value\", true]\\n' * 9\n{_EVERYWHERE}{WRONG}",
        ("error", "failed", "exited"),
    ),
    "connection closed": ("import os\nos.closerange(3, 64)\n" + WRONG, ("exited",)),
    "patched wire": (
        "import sys\nfor name, module in list(sys.modules.items()):\n    if name.startswith('cme'):\n"
        "        module.encode = lambda value, refer: True\n" + WRONG,
        ("failed", "error"),
    ),
    "search for the tests": (
        "import gc, sys\ndef f(x):\n    frame = sys._getframe()\n    texts = []\n    while frame:\n"
        "        texts += [v for v in frame.f_locals.values() if isinstance(v, str)]\n        frame = frame.f_back\n"
        "    for item in gc.get_objects():\n        if isinstance(item, dict):\n"
        "            texts += [v for v in list(item.values()) if isinstance(v, str)]\n"
        "    if any('assert f(' in v for v in texts):\n        return x + 1\n    raise LookupError('no tests here')\n",
        ("error",),
    ),
    "handler at the end": (f"import atexit, os\natexit.register(os._exit, 0)\n{WRONG}", ("failed",)),
    "class for a function": ("class f:\n    def __new__(cls, x):\n        return super().__new__(cls)\n", ("failed",)),
}
"""Programs that are wrong and want to pass."""
