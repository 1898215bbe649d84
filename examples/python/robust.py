"""robust.py -- librobust from Python: ctypes and numpy, this one file.

    import robust
    ctx = robust.Ctx()
    model = robust.Model.load(ctx, "model.safetensors")
    query = robust.Query(ctx, model)
    query.add(ctx, x)                                   # x (T, D), or (T,) where D = 1
    query.set_ball(ctx, robust.L2, robust.INFINITY)
    upper = robust.Attack(ctx, "auto").distance(ctx, query)
    lower = robust.Bound(ctx, "auto").radius(ctx, query)

The library is the one pkg-config knows; robust.load(path), called first, takes another.

The context comes first in every call that can fail: it holds the error line, the seed, the
threads, progress and cancel. A context, and every handle but a model, belongs to one thread
at a time; a context that is busy in another thread refuses. A call that fails raises
robust.Error with the status and the library's line. One that was cancelled or out of time
raises nothing: its results are valid as far as they go, and ctx.stopped says so. Handles
keep no context and are freed when nothing refers to them any more.

The C headers are the manual: options, names of answers and methods are those words. None
stands for their -1: every series, no label, any class.
"""
import ctypes
import itertools
import subprocess
import threading
import weakref

import numpy as np

L0, L1, L2, LINF = 0, 1, 2, 100
UNITS_MODEL, UNITS_DATA = 0, 1
REFERENCE_PREDICTION, REFERENCE_LABEL = 0, 1
DOWN, EITHER, UP = -1, 0, 1
F32, F64 = 32, 64
INFINITY = float("inf")
OK, STOPPED, EARGUMENT, ESHAPE = 0, 1, -20, -30

# The C functions: what they answer, then their parameters.
# handle: an opaque pointer; handle*: where one is put; T*: an array of T; step, line,
# logits, pullback: callbacks
DECLARED = {
    "rob_status_string": "text i32",
    "rob_version": "text",
    "rob_build_info": "text",

    "rob_ctx_create": "i32 handle*",
    "rob_ctx_free": "void handle",
    "rob_ctx_error": "text handle",
    "rob_ctx_set_seed": "i32 handle u64",
    "rob_ctx_set_threads": "i32 handle i32",
    "rob_ctx_set_memory": "i32 handle i64",
    "rob_ctx_set_deadline": "i32 handle f64",
    "rob_ctx_set_text": "i32 handle text text",
    "rob_ctx_set_progress": "i32 handle step void*",
    "rob_ctx_set_log": "i32 handle line void*",
    "rob_ctx_cancel": "void handle",

    "rob_tape_create": "i32 handle i32 handle*",
    "rob_tape_input": "i32 handle handle i64* i32 i32*",
    "rob_tape_constant": "i32 handle handle f64* i64* i32 i32*",
    "rob_tape_apply": "i32 handle handle text i32* i32 i32*",
    "rob_tape_apply_with": "i32 handle handle text i32* i32 f64* i32 i32*",
    "rob_tape_gradient": "i32 handle handle i32 i32 i32*",
    "rob_tape_vjp": "i32 handle handle i32 i32 i32 i32*",
    "rob_tape_jvp": "i32 handle handle i32 i32 i32 i32*",
    "rob_tape_set": "i32 handle handle i32 f64* i64",
    "rob_tape_run": "i32 handle handle i32* i32",
    "rob_tape_get": "i32 handle handle i32 f64* i64 i64*",
    "rob_tape_free": "void handle",

    "rob_model_load": "i32 handle text text handle*",
    "rob_model_load_bytes": "i32 handle void* i64 text handle*",
    "rob_model_from_tape": "i32 handle handle i32 i32 handle*",
    "rob_model_from_callback": "i32 handle i64 i64 logits pullback void* handle*",
    "rob_model_with_front": "i32 handle handle text f64 handle*",
    "rob_model_create": "i32 handle text handle*",
    "rob_model_save": "i32 handle handle text",
    "rob_model_shape": "i32 handle handle i64* i64* i64*",
    "rob_model_predict": "i32 handle handle f64* i64 f64* i64",
    "rob_model_describe": "i32 handle handle char* i64 i64*",
    "rob_model_get": "i32 handle handle text f64* i64 i64*",
    "rob_model_with": "i32 handle handle text f64* i64 handle*",
    "rob_model_free": "void handle",

    "rob_data_create": "i32 handle handle*",
    "rob_data_set": "i32 handle handle text f64",
    "rob_data_set_text": "i32 handle handle text text",
    "rob_data_read": "i32 handle handle text",
    "rob_data_simulate": "i32 handle handle text i64",
    "rob_data_add": "i32 handle handle f64* i64 i64 i64",
    "rob_data_set_target": "i32 handle handle i64 f64* i64",
    "rob_data_split": "i32 handle handle f64 handle*",
    "rob_data_split_time": "i32 handle handle f64 handle*",
    "rob_data_normalize": "i32 handle handle handle",
    "rob_data_save": "i32 handle handle text",
    "rob_data_count": "i64 handle",
    "rob_data_classes": "i64 handle",
    "rob_data_get": "i32 handle handle i64 f64* i64 i64* i64* i64*",
    "rob_data_about": "i32 handle handle i64 text f64* i64 i64*",
    "rob_data_about_text": "i32 handle handle i64 text char* i64 i64*",
    "rob_data_free": "void handle",

    "rob_trainer_create": "i32 handle handle*",
    "rob_trainer_set": "i32 handle handle text f64",
    "rob_trainer_run": "i32 handle handle handle handle handle handle*",
    "rob_trainer_get": "i32 handle handle text f64* i64 i64*",
    "rob_trainer_free": "void handle",

    "rob_query_create": "i32 handle handle handle*",
    "rob_query_add": "i32 handle handle f64* i64 i64",
    "rob_query_add_data": "i32 handle handle handle i64 i64",
    "rob_query_replace": "i32 handle handle i64 f64* i64 i64",
    "rob_query_count": "i64 handle",
    "rob_query_set_ball": "i32 handle handle i32 f64",
    "rob_query_set_units": "i32 handle handle i32",
    "rob_query_set_mask": "i32 handle handle i64 u8* i64",
    "rob_query_set_scale": "i32 handle handle i64 f64* i64",
    "rob_query_set_relative": "i32 handle handle i32",
    "rob_query_set_box": "i32 handle handle i64 f64* f64* i64",
    "rob_query_set_budget": "i32 handle handle i64 f64* i64",
    "rob_query_set_subspace": "i32 handle handle i64 f64* i64 i64",
    "rob_query_set_band_limit": "i32 handle handle i64",
    "rob_query_set_smoothness": "i32 handle handle f64 f64",
    "rob_query_set_steps": "i32 handle handle i64",
    "rob_query_set_reference": "i32 handle handle i32",
    "rob_query_set_target": "i32 handle handle i64 i64",
    "rob_query_set_rows": "i32 handle handle f64* f64* i32* i64",
    "rob_query_set_band": "i32 handle handle i64 f64 f64",
    "rob_query_set_deviation": "i32 handle handle i64* i64 i32 f64",
    "rob_query_get": "i32 handle handle text i64 f64* i64 i64*",
    "rob_query_free": "void handle",

    "rob_attack_create": "i32 handle text handle*",
    "rob_attack_set": "i32 handle handle text f64",
    "rob_attack_set_text": "i32 handle handle text text",
    "rob_attack_distance": "i32 handle handle handle f64* i64",
    "rob_attack_margin": "i32 handle handle handle f64* i64",
    "rob_attack_universal": "i32 handle handle handle f64* i64 i64*",
    "rob_attack_transfer": "i32 handle handle handle f64* i64",
    "rob_attack_get": "i32 handle handle text i64 f64* i64 i64*",
    "rob_attack_free": "void handle",

    "rob_bound_create": "i32 handle text handle*",
    "rob_bound_set": "i32 handle handle text f64",
    "rob_bound_radius": "i32 handle handle handle f64* i64",
    "rob_bound_margin": "i32 handle handle handle f64* i64",
    "rob_bound_lipschitz": "i32 handle handle handle f64* i64",
    "rob_bound_universal": "i32 handle handle handle i64*",
    "rob_bound_get": "i32 handle handle text i64 f64* i64 i64*",
    "rob_bound_free": "void handle",

    "rob_certificate_create": "i32 handle handle handle i64 f64 handle*",
    "rob_certificate_load": "i32 handle text handle*",
    "rob_certificate_save": "i32 handle handle text",
    "rob_certificate_check": "i32 handle handle handle",
    "rob_certificate_get": "i32 handle handle text f64* i64 i64*",
    "rob_certificate_free": "void handle",

    "rob_boundary_create": "i32 handle handle*",
    "rob_boundary_set": "i32 handle handle text f64",
    "rob_boundary_find": "i32 handle handle handle f64* i64",
    "rob_boundary_get": "i32 handle handle text i64 f64* i64 i64*",
    "rob_boundary_free": "void handle",

    "rob_condition_create": "i32 handle handle*",
    "rob_condition_set": "i32 handle handle text f64",
    "rob_condition_compute": "i32 handle handle handle",
    "rob_condition_steps": "i32 handle handle handle i64 f64* i64 i64*",
    "rob_condition_get": "i32 handle handle text i64 f64* i64 i64*",
    "rob_condition_free": "void handle",

    "rob_spectrum_create": "i32 handle handle*",
    "rob_spectrum_set": "i32 handle handle text f64",
    "rob_spectrum_extremes": "i32 handle handle handle f64* i64",
    "rob_spectrum_get": "i32 handle handle text i64 f64* i64 i64*",
    "rob_spectrum_free": "void handle",

    "rob_diagnosis_create": "i32 handle handle*",
    "rob_diagnosis_set": "i32 handle handle text f64",
    "rob_diagnosis_set_text": "i32 handle handle text text",
    "rob_diagnosis_run": "i32 handle handle handle",
    "rob_diagnosis_get": "i32 handle handle text i64 f64* i64 i64*",
    "rob_diagnosis_warning": "text handle i64",
    "rob_diagnosis_free": "void handle",

    "rob_sampler_create": "i32 handle text handle*",
    "rob_sampler_set": "i32 handle handle text f64",
    "rob_sampler_curve": "i32 handle handle handle f64* i64 f64* i64",
    "rob_sampler_smooth": "i32 handle handle handle f64 f64* i64",
    "rob_sampler_get": "i32 handle handle text i64 f64* i64 i64*",
    "rob_sampler_free": "void handle",

    "rob_report_create": "i32 handle handle handle*",
    "rob_report_set": "i32 handle handle text f64",
    "rob_report_set_text": "i32 handle handle text text",
    "rob_report_run": "i32 handle handle",
    "rob_report_add_universal": "i32 handle handle handle handle",
    "rob_report_get": "i32 handle handle text f64* i64 i64*",
    "rob_report_column": "text handle i64",
    "rob_report_save": "i32 handle handle text",
    "rob_report_free": "void handle",
}

_STEP = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64,
                         ctypes.c_int64)
_LINE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int32, ctypes.c_char_p)
_F64, _I64, _I32, _U8 = (ctypes.POINTER(t) for t in (
    ctypes.c_double, ctypes.c_int64, ctypes.c_int32, ctypes.c_uint8))
_LOGITS = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, _F64, ctypes.c_int64,
                           ctypes.c_int64, _F64)
_PULLBACK = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, _F64, _F64, ctypes.c_int64,
                             ctypes.c_int64, _F64)
_TYPES = {
    "void": None, "i32": ctypes.c_int32, "i64": ctypes.c_int64, "u64": ctypes.c_uint64,
    "f64": ctypes.c_double, "text": ctypes.c_char_p, "char*": ctypes.c_char_p,
    "handle": ctypes.c_void_p, "handle*": ctypes.POINTER(ctypes.c_void_p),
    "void*": ctypes.c_void_p, "f64*": _F64, "i64*": _I64, "i32*": _I32, "u8*": _U8,
    "step": _STEP, "line": _LINE, "logits": _LOGITS, "pullback": _PULLBACK,
}


# ---- the library ---------------------------------------------------------------------
class Error(Exception):
    """A call that failed: the status, below 0, and the library's one line."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status, self.text = status, text

    @property
    def kind(self):
        """The status in words, such as "wrong argument"."""
        return _lib().rob_status_string(self.status).decode()


_library = None


def load(path=None):
    """Load the shared library: the file at path, or the one pkg-config knows."""
    global _library
    if path is None:
        line = ["pkg-config", "--variable=libdir", "robust"]
        found = subprocess.run(line, capture_output=True, text=True, check=False)
        if found.returncode != 0:
            raise OSError("pkg-config does not know robust: set PKG_CONFIG_PATH, or call "
                          "robust.load(path): " + found.stderr.strip())
        path = found.stdout.strip() + "/librobust.so"
    library = ctypes.CDLL(str(path))
    for name, words in DECLARED.items():
        result, *parameters = (_TYPES[word] for word in words.split())
        function = getattr(library, name)
        function.restype, function.argtypes = result, parameters
    _library = library
    return library


def _lib():
    return _library or load()


def version():
    """The library's version, "major.minor.patch"."""
    return _lib().rob_version().decode()


def build_info():
    """What the library's build is, in one line for people."""
    return _lib().rob_build_info().decode()


# ---- from Python to C ----------------------------------------------------------------
def _text(value):
    if value is None:
        return None
    if "\0" in str(value):
        raise Error(EARGUMENT, f"{value!r} holds a zero byte")
    return str(value).encode()


def _index(value):
    return -1 if value is None else value


def _array(values, dtype, pointer):
    """(array, pointer): the array must live as long as the pointer is used."""
    if values is None:
        return None, None
    array = np.ascontiguousarray(values, dtype=dtype)
    return array, array.ctypes.data_as(pointer)


def _numbers(values):
    return _array(values, np.float64, _F64)


def _flat(values):
    return _numbers(None if values is None else np.ravel(values))


def _size(array):
    return 0 if array is None else array.size


def _series(x, features):
    """(array, pointer, steps) of a series (T, D), or (T,) where D = 1."""
    array, pointer = _numbers(x)
    good = array.ndim == 2 and array.shape[1] == features
    if not good and not (array.ndim == 1 and features == 1):
        raise Error(ESHAPE, f"x: shape {array.shape} is not (steps, {features})")
    return array, pointer, len(array)


class _Raised(threading.local):
    """What a callback raised on this thread, which is the one that called the library."""

    error = None


_raised = _Raised()


def _guard(function, failed):
    """A function for C to call, which nothing may pass through: what is raised is kept, the
    first of it, and raised on when the call has returned; failed is answered."""
    def called(*arguments):
        try:
            return function(*arguments)
        except BaseException as error:
            if _raised.error is None:
                _raised.error = error
            return failed
    return called


# ---- context -------------------------------------------------------------------------
class Ctx:
    """One thread's workspace, and the first argument of every call that can fail."""

    def __init__(self):
        lib, out = _lib(), ctypes.c_void_p()
        status = lib.rob_ctx_create(ctypes.byref(out))
        if status < 0:
            raise Error(status, "ctx: no memory for a context")
        self.raw, self.stopped = out.value, False
        self._step, self._line = _STEP(), _LINE()
        self._busy = threading.Lock()
        weakref.finalize(self, lib.rob_ctx_free, self.raw)

    def call(self, name, *arguments):
        """Call the C function of that name with this context; raises what went wrong."""
        if not self._busy.acquire(blocking=False):
            raise Error(EARGUMENT, f"ctx: {name} while another call runs in this context")
        try:
            status = getattr(_lib(), name)(self.raw, *arguments)
            text = _lib().rob_ctx_error(self.raw).decode() if status < 0 else ""
        finally:
            self._busy.release()
        self.stopped = status == STOPPED
        raised, _raised.error = _raised.error, None
        if raised is not None:
            raise raised
        if status < 0:
            raise Error(status, text)

    def make(self, name, *arguments):
        """Call a function that makes a handle; the handle."""
        out = ctypes.c_void_p()
        try:
            self.call(name, *arguments, ctypes.byref(out))
        except BaseException:
            if out.value and name == "rob_trainer_run":
                _lib().rob_model_free(out)
            raise
        return out.value

    def fill(self, count, name, *arguments):
        """Call a function that answers count numbers."""
        out, pointer = _numbers(np.empty(count))
        self.call(name, *arguments, pointer, count)
        return out

    def read(self, name, *arguments):
        """Call a function that answers by name: for the size, then for the numbers."""
        count = ctypes.c_int64()
        self.call(name, *arguments, None, 0, ctypes.byref(count))
        stopped = self.stopped
        out, pointer = _numbers(np.empty(count.value))
        self.call(name, *arguments, pointer, count.value, ctypes.byref(count))
        self.stopped = self.stopped or stopped
        return out

    def text(self, name, *arguments):
        """Call a function that answers a text: for the size, then for the text."""
        count = ctypes.c_int64()
        self.call(name, *arguments, None, 0, ctypes.byref(count))
        out = ctypes.create_string_buffer(count.value)
        self.call(name, *arguments, out, count, ctypes.byref(count))
        return out.value.decode()

    def set_seed(self, seed):
        self.call("rob_ctx_set_seed", seed)

    def set_threads(self, workers):
        self.call("rob_ctx_set_threads", workers)

    def set_memory(self, count):
        self.call("rob_ctx_set_memory", count)

    def set_deadline(self, seconds):
        self.call("rob_ctx_set_deadline", seconds)

    def set_text(self, name, value):
        self.call("rob_ctx_set_text", _text(name), _text(value))

    def set_progress(self, step):
        """step(stage, done, total) is told how far long calls are; something true stops
        the call. What step raises stops it too and is raised when it has returned, so
        Ctrl-C works while a step is set. None: nobody is told."""
        def told(_, stage, done, total):
            return 1 if step(stage.decode(), done, total) else 0

        fresh = _STEP() if step is None else _STEP(_guard(told, 1))
        self.call("rob_ctx_set_progress", fresh, None)
        self._step = fresh

    def set_log(self, line):
        """line(level, text) is told the library's remarks; what it raises is raised when
        the call has returned. None: remarks are dropped."""
        def told(_, level, text):
            line(level, text.decode())

        fresh = _LINE() if line is None else _LINE(_guard(told, None))
        self.call("rob_ctx_set_log", fresh, None)
        self._line = fresh

    def cancel(self):
        """Stop the running call, or else the next; the one method for other threads."""
        _lib().rob_ctx_cancel(self.raw)


class _Handle:
    """Owns a handle: freed, by a function that takes no lock and calls nobody, once
    nothing refers to this object."""

    _free = None

    def __init__(self, raw):
        self.raw = raw
        weakref.finalize(self, getattr(_lib(), self._free), raw)


def _names(text):
    """text(0), text(1), ... up to the first that is None."""
    return [name.decode() for name in iter(map(text, itertools.count()).__next__, None)]


# ---- tape ----------------------------------------------------------------------------
class Tape(_Handle):
    """A program over tensors: recorded, differentiated, replayed at new inputs. Variables
    are numbers that mean something with their own tape only."""

    _free = "rob_tape_free"

    def __init__(self, ctx, dtype=F64):
        super().__init__(ctx.make("rob_tape_create", dtype))

    def _record(self, ctx, name, *arguments):
        out = ctypes.c_int32()
        ctx.call(name, self.raw, *arguments, ctypes.byref(out))
        return out.value

    def input(self, ctx, shape):
        """A variable that set gives its value; shape a number or up to four."""
        dims, pointer = _array(np.atleast_1d(shape), np.int64, _I64)
        return self._record(ctx, "rob_tape_input", pointer, dims.size)

    def constant(self, ctx, values):
        """Numbers that do not change, in the shape of the array."""
        values = np.asarray(values, dtype=np.float64)
        keep, pointer = _numbers(values)
        dims, shape = _array(values.shape, np.int64, _I64)
        return self._record(ctx, "rob_tape_constant", pointer, shape, dims.size)

    def apply(self, ctx, op, *operands, numbers=None):
        """op(operands...); numbers are what the list of operators shows in braces."""
        variables, pointer = _array(operands, np.int32, _I32)
        if numbers is None:
            return self._record(ctx, "rob_tape_apply", _text(op), pointer, variables.size)
        values, braces = _numbers(np.atleast_1d(numbers))
        return self._record(ctx, "rob_tape_apply_with", _text(op), pointer, variables.size,
                            braces, values.size)

    def gradient(self, ctx, y, x):
        """dy/dx of a scalar y."""
        return self._record(ctx, "rob_tape_gradient", y, x)

    def vjp(self, ctx, y, x, w):
        """sum_j w_j dy_j/dx."""
        return self._record(ctx, "rob_tape_vjp", y, x, w)

    def jvp(self, ctx, y, x, v):
        """sum_i dy/dx_i v_i."""
        return self._record(ctx, "rob_tape_jvp", y, x, v)

    def set(self, ctx, x, values):
        array, pointer = _flat(values)
        ctx.call("rob_tape_set", self.raw, x, pointer, array.size)

    def run(self, ctx, *want):
        """Compute variables at the inputs set last."""
        variables, pointer = _array(want, np.int32, _I32)
        ctx.call("rob_tape_run", self.raw, pointer, variables.size)

    def get(self, ctx, y):
        """The numbers of a variable, row-major."""
        return ctx.read("rob_tape_get", self.raw, y)


# ---- model ---------------------------------------------------------------------------
def _put(given, out):
    """What a callback answered, where C wants it."""
    given = np.asarray(given)
    if given.shape != out.shape:
        raise Error(ESHAPE, f"callback: it answered shape {given.shape}, not {out.shape}")
    out[...] = given
    return 0


def _view(pointer, *shape):
    return np.ctypeslib.as_array(pointer, shape)


def _logits(answer, features, outputs):
    def called(_, x, rows, steps, out):
        x = _view(x, rows, steps, features).copy()
        return _put(answer(x), _view(out, rows, outputs))
    return _LOGITS(_guard(called, 1))


def _pullback(answer, features, outputs):
    def called(_, x, seed, rows, steps, out):
        x = _view(x, rows, steps, features).copy()
        seed = _view(seed, rows, outputs).copy()
        return _put(answer(x, seed), _view(out, rows, steps, features))
    return _PULLBACK(_guard(called, 1))


class Model(_Handle):
    """A sequence model; it never changes, and threads may share it."""

    _free = "rob_model_free"

    def __init__(self, ctx, raw, engine=None):
        super().__init__(raw)
        self._engine = engine
        sizes = [ctypes.c_int64() for _ in range(3)]
        ctx.call("rob_model_shape", raw, *map(ctypes.byref, sizes))
        self.steps, self.features, self.outputs = (s.value for s in sizes)

    @classmethod
    def load(cls, ctx, path, recipe=None):
        """A safetensors file; without a recipe, the one in the file."""
        return cls(ctx, ctx.make("rob_model_load", _text(path), _text(recipe)))

    @classmethod
    def load_bytes(cls, ctx, data, recipe=None):
        """A file in memory."""
        data = bytes(data)
        return cls(ctx, ctx.make("rob_model_load_bytes", data, len(data), _text(recipe)))

    @classmethod
    def create(cls, ctx, recipe):
        """Random weights of the context's seed."""
        return cls(ctx, ctx.make("rob_model_create", _text(recipe)))

    @classmethod
    def from_tape(cls, ctx, tape, x, y):
        """A recorded program y = F(x)."""
        return cls(ctx, ctx.make("rob_model_from_tape", tape.raw, x, y))

    @classmethod
    def from_callback(cls, ctx, features, outputs, logits, pullback=None):
        """Any engine: logits(x (R, T, D)) -> (R, L) and, for attacks that use gradients,
        pullback(x, seed (R, L)) -> (R, T, D). What they raise is raised on by the call."""
        engine = (_logits(logits, features, outputs), _PULLBACK() if pullback is None
                  else _pullback(pullback, features, outputs))
        raw = ctx.make("rob_model_from_callback", features, outputs, *engine, None)
        return cls(ctx, raw, engine)

    def with_front(self, ctx, front, scale):
        """Prices, "returns" or "candles", in front of a model of returns."""
        return Model(ctx, ctx.make("rob_model_with_front", self.raw, _text(front), scale))

    def save(self, ctx, path):
        ctx.call("rob_model_save", self.raw, _text(path))

    def predict(self, ctx, x):
        """Logits (L,) of one series."""
        keep, pointer, steps = _series(x, self.features)
        return ctx.fill(self.outputs, "rob_model_predict", self.raw, pointer, steps)

    def describe(self, ctx):
        return ctx.text("rob_model_describe", self.raw)

    def get(self, ctx, name):
        """The numbers of a tensor, row-major."""
        return ctx.read("rob_model_get", self.raw, _text(name))

    def with_tensor(self, ctx, name, values):
        """A model in which one tensor is another."""
        array, pointer = _numbers(values)
        raw = ctx.make("rob_model_with", self.raw, _text(name), pointer, array.size)
        return Model(ctx, raw)


# ---- data ----------------------------------------------------------------------------
class Data(_Handle):
    """A data set of labelled series."""

    _free = "rob_data_free"

    def __init__(self, ctx, raw=None):
        super().__init__(ctx.make("rob_data_create") if raw is None else raw)

    def set(self, ctx, name, value):
        ctx.call("rob_data_set", self.raw, _text(name), value)

    def set_text(self, ctx, name, value):
        ctx.call("rob_data_set_text", self.raw, _text(name), _text(value))

    def read(self, ctx, path):
        ctx.call("rob_data_read", self.raw, _text(path))

    def simulate(self, ctx, what, count):
        ctx.call("rob_data_simulate", self.raw, _text(what), count)

    def add(self, ctx, x, label=None):
        """Append one series (T, D) or (T,)."""
        x = np.asarray(x, dtype=np.float64)
        features = x.shape[1] if x.ndim == 2 else 1
        keep, pointer, steps = _series(x, features)
        ctx.call("rob_data_add", self.raw, pointer, steps, features, _index(label))

    def set_target(self, ctx, i, target):
        """Real-valued targets of series i, what a forecast is fitted to."""
        values, pointer = _numbers(np.atleast_1d(np.asarray(target, dtype=np.float64)))
        ctx.call("rob_data_set_target", self.raw, i, pointer, values.size)

    def split(self, ctx, share):
        """A share of every class leaves for a new data set."""
        return Data(ctx, ctx.make("rob_data_split", self.raw, share))

    def split_time(self, ctx, share):
        """The latest share of windows of prices leaves for a new data set."""
        return Data(ctx, ctx.make("rob_data_split_time", self.raw, share))

    def normalize(self, ctx, like=None):
        """Scale every feature as the training set like is; None: by the set itself."""
        ctx.call("rob_data_normalize", self.raw, None if like is None else like.raw)

    def about(self, ctx, name, i=None):
        """What is known of series i beside its values, such as "scale"; None: of the set."""
        return ctx.read("rob_data_about", self.raw, _index(i), _text(name))

    def about_text(self, ctx, name, i=None):
        return ctx.text("rob_data_about_text", self.raw, _index(i), _text(name))

    def save(self, ctx, path):
        ctx.call("rob_data_save", self.raw, _text(path))

    def count(self):
        return _lib().rob_data_count(self.raw)

    def classes(self):
        return _lib().rob_data_classes(self.raw)

    def get(self, ctx, i):
        """(x (T, D), label) of series i."""
        sizes = [ctypes.c_int64() for _ in range(3)]
        out = [ctypes.byref(s) for s in sizes]
        ctx.call("rob_data_get", self.raw, i, None, 0, *out)
        shape = (sizes[0].value, sizes[1].value)
        x, pointer = _numbers(np.empty(shape))
        ctx.call("rob_data_get", self.raw, i, pointer, x.size, *out)
        label = sizes[2].value
        return x, None if label < 0 else label


# ---- trainer -------------------------------------------------------------------------
class Trainer(_Handle):
    """Fits a model to labelled series."""

    _free = "rob_trainer_free"

    def __init__(self, ctx):
        super().__init__(ctx.make("rob_trainer_create"))

    def set(self, ctx, name, value):
        ctx.call("rob_trainer_set", self.raw, _text(name), value)

    def run(self, ctx, model, train, valid=None):
        """A fitted model; stopped, it is the best epoch so far."""
        valid = None if valid is None else valid.raw
        raw = ctx.make("rob_trainer_run", self.raw, model.raw, train.raw, valid)
        stopped = ctx.stopped
        fitted = Model(ctx, raw)
        ctx.stopped = stopped
        return fitted

    def get(self, ctx, what):
        return ctx.read("rob_trainer_get", self.raw, _text(what))


# ---- query ---------------------------------------------------------------------------
class Query(_Handle):
    """The question: a model, series, what may change, what failing means."""

    _free = "rob_query_free"

    def __init__(self, ctx, model):
        super().__init__(ctx.make("rob_query_create", model.raw))
        self.model = model                  # the engine of a callback lives in it
        self.features, self.outputs = model.features, model.outputs

    def add(self, ctx, x, label=None):
        """Add one series (T, D), or (T,) where D = 1."""
        keep, pointer, steps = _series(x, self.features)
        ctx.call("rob_query_add", self.raw, pointer, steps, _index(label))

    def add_data(self, ctx, data, first=0, count=None):
        """Add series of a data set with their labels; count None: all from first."""
        count = data.count() - first if count is None else count
        ctx.call("rob_query_add_data", self.raw, data.raw, first, count)

    def replace(self, ctx, i, x, label=None):
        keep, pointer, steps = _series(x, self.features)
        ctx.call("rob_query_replace", self.raw, i, pointer, steps, _index(label))

    def count(self):
        return _lib().rob_query_count(self.raw)

    def set_ball(self, ctx, norm, radius):
        ctx.call("rob_query_set_ball", self.raw, norm, radius)

    def set_units(self, ctx, units):
        ctx.call("rob_query_set_units", self.raw, units)

    def set_mask(self, ctx, mask, i=None):
        """What is true may move. i None: the default of all; mask None: take it away."""
        array, pointer = _array(mask, np.uint8, _U8)
        count = 0 if array is None else array.size
        ctx.call("rob_query_set_mask", self.raw, _index(i), pointer, count)

    def set_scale(self, ctx, scale, i=None):
        """Weigh the norm: one number, one a feature, or (T, D); None: take it away."""
        array, pointer = _flat(scale)
        ctx.call("rob_query_set_scale", self.raw, _index(i), pointer, _size(array))

    def set_relative(self, ctx, on=True):
        ctx.call("rob_query_set_relative", self.raw, int(on))

    def set_box(self, ctx, low, high, i=None):
        """Keep x + d between low and high, both of one size, or one of them None."""
        low, low_pointer = _flat(low)
        high, high_pointer = _flat(high)
        sizes = {_size(a) for a in (low, high) if a is not None} or {0}
        if len(sizes) > 1:
            raise Error(ESHAPE, "low and high have different sizes")
        ctx.call("rob_query_set_box", self.raw, _index(i), low_pointer, high_pointer,
                 sizes.pop())

    def set_budget(self, ctx, budget, i=None):
        """A radius a step, or one for all steps; None: take them away."""
        array, pointer = _flat(budget)
        ctx.call("rob_query_set_budget", self.raw, _index(i), pointer, _size(array))

    def set_subspace(self, ctx, e, i=None):
        """Move along the columns of e (T D, m) only; None: take it away."""
        e, pointer = _numbers(e)
        rows, columns = (0, 0) if e is None else e.shape
        ctx.call("rob_query_set_subspace", self.raw, _index(i), pointer, rows, columns)

    def set_band_limit(self, ctx, modes):
        ctx.call("rob_query_set_band_limit", self.raw, modes)

    def set_smoothness(self, ctx, variation=INFINITY, difference=INFINITY):
        ctx.call("rob_query_set_smoothness", self.raw, variation, difference)

    def set_steps(self, ctx, steps):
        ctx.call("rob_query_set_steps", self.raw, steps)

    def set_reference(self, ctx, reference):
        ctx.call("rob_query_set_reference", self.raw, reference)

    def set_target(self, ctx, target, i=None):
        """Ask for one class; target None: any again."""
        ctx.call("rob_query_set_target", self.raw, _index(i), _index(target))

    def set_rows(self, ctx, c, b=None, group=None):
        """Fail where in some group every row has c f + b <= 0; c (rows, L)."""
        c, pointer = _numbers(c)
        b, constants = _numbers(b)
        group, groups = _array(group, np.int32, _I32)
        rows = c.shape[0]
        good = c.ndim == 2 and (rows == 0 or c.shape[1] == self.outputs)
        if not good or any(v is not None and v.shape != (rows,) for v in (b, group)):
            raise Error(ESHAPE, f"c: shape {c.shape} is not (rows, {self.outputs}), or b "
                                "or group is not (rows,)")
        ctx.call("rob_query_set_rows", self.raw, pointer, constants, groups, rows)

    def set_band(self, ctx, output, below=-INFINITY, above=INFINITY):
        """Fail where a forecast leaves (below, above) around itself; output None: back to
        classes."""
        ctx.call("rob_query_set_band", self.raw, _index(output), below, above)

    def set_deviation(self, ctx, outputs=None, direction=EITHER, tolerance=0.0):
        """How far can these outputs be pushed, and how near is a push by tolerance? None:
        all outputs."""
        array, pointer = _array(outputs, np.int64, _I64)
        ctx.call("rob_query_set_deviation", self.raw, pointer, _size(array), direction,
                 tolerance)

    def get(self, ctx, what, i=None):
        """A result by name, such as "margin"; "x" comes as (T, D)."""
        out = ctx.read("rob_query_get", self.raw, _text(what), _index(i))
        return out.reshape(-1, self.features) if what == "x" else out


# ---- attack --------------------------------------------------------------------------
class Attack(_Handle):
    """Upper bounds: points that were seen to fail."""

    _free = "rob_attack_free"

    def __init__(self, ctx, method):
        super().__init__(ctx.make("rob_attack_create", _text(method)))

    def set(self, ctx, name, value):
        ctx.call("rob_attack_set", self.raw, _text(name), value)

    def set_text(self, ctx, name, value):
        ctx.call("rob_attack_set_text", self.raw, _text(name), _text(value))

    def distance(self, ctx, query):
        """U (n,): a failing point was seen at this distance; inf: none was found."""
        return ctx.fill(query.count(), "rob_attack_distance", self.raw, query.raw)

    def margin(self, ctx, query):
        """The lowest margin (n,) seen in the ball; <= 0: broken."""
        return ctx.fill(query.count(), "rob_attack_margin", self.raw, query.raw)

    def universal(self, ctx, query):
        """One perturbation that breaks many series; "fooled" says how many."""
        ctx.call("rob_attack_universal", self.raw, query.raw, None, 0, None)
        return self._answer(ctx, "universal")

    def transfer(self, ctx, query, delta):
        """Add delta to every series; "fooled": how many fail, with its interval."""
        array, pointer = _flat(delta)
        ctx.call("rob_attack_transfer", self.raw, query.raw, pointer, array.size)
        return self._answer(ctx, "fooled")

    def _answer(self, ctx, what):
        """An answer of the call just made, which may have been stopped."""
        stopped = ctx.stopped
        out = self.get(ctx, what)
        ctx.stopped = stopped
        return out

    def get(self, ctx, what, i=None):
        return ctx.read("rob_attack_get", self.raw, _text(what), _index(i))


# ---- bound ---------------------------------------------------------------------------
class Bound(_Handle):
    """Certified lower bounds."""

    _free = "rob_bound_free"

    def __init__(self, ctx, method):
        super().__init__(ctx.make("rob_bound_create", _text(method)))

    def set(self, ctx, name, value):
        ctx.call("rob_bound_set", self.raw, _text(name), value)

    def radius(self, ctx, query):
        """L (n,): within it nothing fails, proved."""
        return ctx.fill(query.count(), "rob_bound_radius", self.raw, query.raw)

    def margin(self, ctx, query):
        """M (n,): no margin in the query's ball is lower, proved."""
        return ctx.fill(query.count(), "rob_bound_margin", self.raw, query.raw)

    def lipschitz(self, ctx, query):
        """K (n,): on the ball no margin changes faster than K ||x - y||, proved."""
        return ctx.fill(query.count(), "rob_bound_lipschitz", self.raw, query.raw)

    def universal(self, ctx, query):
        """At most so many series fail under any one perturbation for all, proved."""
        most = ctypes.c_int64()
        ctx.call("rob_bound_universal", self.raw, query.raw, ctypes.byref(most))
        return most.value

    def get(self, ctx, what, i=None):
        return ctx.read("rob_bound_get", self.raw, _text(what), _index(i))


# ---- certificate ---------------------------------------------------------------------
class Certificate(_Handle):
    """A proof that can be written down, and proved again by who believes neither the
    search nor its writer."""

    _free = "rob_certificate_free"

    @classmethod
    def prove(cls, ctx, bound, query, i, radius):
        """Prove series i once more on a ball of this radius, and keep why."""
        raw = ctx.make("rob_certificate_create", bound.raw, query.raw, i, radius)
        if raw is None:
            raise Error(STOPPED, "certificate: stopped, nothing is proved")
        return cls(raw)

    @classmethod
    def load(cls, ctx, path):
        return cls(ctx.make("rob_certificate_load", _text(path)))

    def save(self, ctx, path):
        ctx.call("rob_certificate_save", self.raw, _text(path))

    def check(self, ctx, model):
        """Prove all it says of this model: the margin proved. Raises when it is refused, and
        when the check was stopped: a check that only began proves nothing."""
        ctx.call("rob_certificate_check", self.raw, model.raw)
        if ctx.stopped:
            raise Error(STOPPED, "certificate: stopped, nothing is proved")
        return self.get(ctx, "proved")[0]

    def get(self, ctx, what):
        return ctx.read("rob_certificate_get", self.raw, _text(what))


# ---- geometry ------------------------------------------------------------------------
class Boundary(_Handle):
    """The decision boundary near a series: nearest point, normal, curvatures, estimates."""

    _free = "rob_boundary_free"

    def __init__(self, ctx):
        super().__init__(ctx.make("rob_boundary_create"))

    def set(self, ctx, name, value):
        ctx.call("rob_boundary_set", self.raw, _text(name), value)

    def find(self, ctx, query):
        """Distances (n,) of the nearest boundary points; inf: none was found."""
        return ctx.fill(query.count(), "rob_boundary_find", self.raw, query.raw)

    def get(self, ctx, what, i=None):
        return ctx.read("rob_boundary_get", self.raw, _text(what), _index(i))


class Condition(_Handle):
    """Condition numbers: how far a verdict moves when series, steps or weights do."""

    _free = "rob_condition_free"

    def __init__(self, ctx):
        super().__init__(ctx.make("rob_condition_create"))

    def set(self, ctx, name, value):
        ctx.call("rob_condition_set", self.raw, _text(name), value)

    def compute(self, ctx, query):
        """Of every series; read them with get."""
        ctx.call("rob_condition_compute", self.raw, query.raw)

    def steps(self, ctx, query, i):
        """Of each step (T,) of series i."""
        return ctx.read("rob_condition_steps", self.raw, query.raw, i)

    def get(self, ctx, what, i=None):
        return ctx.read("rob_condition_get", self.raw, _text(what), _index(i))


class Spectrum(_Handle):
    """How sharply the loss bends around a series: both ends of its Hessian's spectrum."""

    _free = "rob_spectrum_free"

    def __init__(self, ctx):
        super().__init__(ctx.make("rob_spectrum_create"))

    def set(self, ctx, name, value):
        ctx.call("rob_spectrum_set", self.raw, _text(name), value)

    def extremes(self, ctx, query):
        """(n, 2): lowest and highest eigenvalue of every series."""
        out = ctx.fill(2 * query.count(), "rob_spectrum_extremes", self.raw, query.raw)
        return out.reshape(-1, 2)

    def get(self, ctx, what, i=None):
        return ctx.read("rob_spectrum_get", self.raw, _text(what), _index(i))


# ---- diagnosis -----------------------------------------------------------------------
class Diagnosis(_Handle):
    """Can attacks by gradients be trusted on this model?"""

    _free = "rob_diagnosis_free"

    def __init__(self, ctx):
        super().__init__(ctx.make("rob_diagnosis_create"))

    def set(self, ctx, name, value):
        ctx.call("rob_diagnosis_set", self.raw, _text(name), value)

    def set_text(self, ctx, name, value):
        ctx.call("rob_diagnosis_set_text", self.raw, _text(name), _text(value))

    def run(self, ctx, query):
        ctx.call("rob_diagnosis_run", self.raw, query.raw)

    def warnings(self):
        """The signs that enough series show, as sentences."""
        return _names(lambda k: _lib().rob_diagnosis_warning(self.raw, k))

    def get(self, ctx, what, i=None):
        return ctx.read("rob_diagnosis_get", self.raw, _text(what), _index(i))


# ---- sampler -------------------------------------------------------------------------
class Sampler(_Handle):
    """How probable a failure is under random perturbations of a given length."""

    _free = "rob_sampler_free"

    def __init__(self, ctx, method):
        super().__init__(ctx.make("rob_sampler_create", _text(method)))

    def set(self, ctx, name, value):
        ctx.call("rob_sampler_set", self.raw, _text(name), value)

    def curve(self, ctx, query, radius):
        """(n, radii, 3): log P of failing at each radius, lower end, upper end."""
        array, pointer = _numbers(np.atleast_1d(radius))
        shape = (query.count(), array.size, 3)
        out = ctx.fill(int(np.prod(shape)), "rob_sampler_curve", self.raw, query.raw,
                       pointer, array.size)
        return out.reshape(shape)

    def smooth(self, ctx, query, sigma):
        """(n, 3): the smoothed model's class, -1: abstained; its certified radius; the
        lower end of its probability."""
        out = ctx.fill(3 * query.count(), "rob_sampler_smooth", self.raw, query.raw, sigma)
        return out.reshape(-1, 3)

    def get(self, ctx, what, i=None):
        return ctx.read("rob_sampler_get", self.raw, _text(what), _index(i))


# ---- report --------------------------------------------------------------------------
class Report(_Handle):
    """Every method about one query: named columns, a JSON file, a page."""

    _free = "rob_report_free"

    def __init__(self, ctx, query):
        self.query = query                  # a report refers to its query
        super().__init__(ctx.make("rob_report_create", query.raw))

    def set(self, ctx, name, value):
        ctx.call("rob_report_set", self.raw, _text(name), value)

    def set_text(self, ctx, name, value):
        ctx.call("rob_report_set_text", self.raw, _text(name), _text(value))

    def run(self, ctx):
        ctx.call("rob_report_run", self.raw)

    def add_universal(self, ctx, search, held):
        """One change for all series, searched on one query and judged on another."""
        ctx.call("rob_report_add_universal", self.raw, search.raw, held.raw)

    def columns(self):
        """The names there are."""
        return _names(lambda k: _lib().rob_report_column(self.raw, k))

    def get(self, ctx, column):
        """The numbers of a column; none where it was not computed."""
        return ctx.read("rob_report_get", self.raw, _text(column))

    def save(self, ctx, path):
        """Write .json or .html, by the ending of the path."""
        ctx.call("rob_report_save", self.raw, _text(path))
