/* SPDX-License-Identifier: Apache-2.0
 * The calls that Python makes once per transfer, compiled: integers in, integers out.
 *
 * Stable ABI of Python 3.8, so one file serves every later version. It links against nothing: the
 * addresses of libnixl's functions come from the library that ctypes has loaded (see _calls.py,
 * which also says what each function returns). A call that may take more than some microseconds
 * runs without the interpreter's lock. */
#define Py_LIMITED_API 0x03080000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <nixl/nixl_c.h>

/* Copies up to here take about as long as giving the lock away and taking it back. */
#define LOCKED_COPY_BYTES 16384u
/* A signal that arrives just before a wait must not be lost for ever. */
#define WAIT_SLICE_NS 200000000ll

static nixl_status (*transfer_start)(nixl_context, nixl_buffer, nixl_buffer,
                                     const nixl_post_options*, nixl_request*);
static nixl_status (*request_post)(nixl_context, nixl_request, const nixl_post_options*);
static nixl_status (*request_poll)(nixl_context, nixl_request);
static nixl_status (*request_wait)(nixl_context, nixl_request, int64_t);
static nixl_status (*request_release)(nixl_context, nixl_request);

static nixl_status wait_in_slices(nixl_context context, nixl_request request, nixl_status status,
                                  int64_t timeout_ns);

/* Fills `out` with the `count` arguments; 0 and an exception when they are not that many integers.
 */
static int read_numbers(PyObject* args, uint64_t* out, Py_ssize_t count) {
    if (PyTuple_Size(args) != count) {
        PyErr_Format(PyExc_TypeError, "%zd arguments expected", count);
        return 0;
    }
    for (Py_ssize_t i = 0; i < count; ++i) {
        out[i] = PyLong_AsUnsignedLongLongMask(PyTuple_GetItem(args, i));
        if (out[i] == UINT64_MAX && PyErr_Occurred())
            return 0;
    }
    return 1;
}

#define HANDLE(type, name, number)                                                                 \
    type name;                                                                                     \
    memcpy(&name, &(number), sizeof name)

static PyObject* bind(PyObject* self, PyObject* args) {
    uint64_t n[5];
    (void)self;
    if (!read_numbers(args, n, 5))
        return NULL;
    memcpy(&transfer_start, &n[0], sizeof transfer_start);
    memcpy(&request_post, &n[1], sizeof request_post);
    memcpy(&request_poll, &n[2], sizeof request_poll);
    memcpy(&request_wait, &n[3], sizeof request_wait);
    memcpy(&request_release, &n[4], sizeof request_release);
    Py_RETURN_NONE;
}

static PyObject* started(nixl_status status, nixl_request request) {
    uint64_t number;
    memcpy(&number, &request, sizeof number);
    if (status == NIXL_OK)
        return PyLong_FromUnsignedLongLong(number);
    return Py_BuildValue("(iK)", (int)status, (unsigned long long)number);
}

/* What start() and start_waited() are called with: context, source, target, bytes. */
typedef struct {
    nixl_context context;
    nixl_buffer source, target;
    uint64_t bytes;
} Start;

static int read_start(PyObject* args, Start* out) {
    uint64_t n[4];
    if (!read_numbers(args, n, 4))
        return 0;
    HANDLE(nixl_context, context, n[0]);
    HANDLE(nixl_buffer, source, n[1]);
    HANDLE(nixl_buffer, target, n[2]);
    out->context = context;
    out->source = source;
    out->target = target;
    out->bytes = n[3];
    return 1;
}

/* Small copies are made with the interpreter's lock held, and need no options. */
static nixl_status start_now(const Start* call, const nixl_post_options* options,
                             nixl_request* request) {
    nixl_status status;
    if (call->bytes <= LOCKED_COPY_BYTES)
        return transfer_start(call->context, call->source, call->target, NULL, request);
    Py_BEGIN_ALLOW_THREADS status =
        transfer_start(call->context, call->source, call->target, options, request);
    Py_END_ALLOW_THREADS return status;
}

static PyObject* start(PyObject* self, PyObject* args) {
    Start call;
    (void)self;
    if (!read_start(args, &call))
        return NULL;
    nixl_request request = {0, 0};
    const nixl_status status = start_now(&call, NULL, &request);
    return started(status, request);
}

/* A small copy is over when it was posted; whatever is not waits without the interpreter's lock. */
static PyObject* start_waited(PyObject* self, PyObject* args) {
    static const nixl_post_options waited = {.struct_size = sizeof waited, .flags = NIXL_POST_WAIT};
    Start call;
    (void)self;
    if (!read_start(args, &call))
        return NULL;
    nixl_request request = {0, 0};
    nixl_status status = start_now(&call, &waited, &request);
    if (status == NIXL_OK && call.bytes <= LOCKED_COPY_BYTES)
        status = request_poll(call.context, request);
    if (status == NIXL_IN_PROGRESS || status == NIXL_INTERRUPTED) {
        status = wait_in_slices(call.context, request, status, -1);
        if (PyErr_Occurred()) { /* Ctrl-C: nobody will want the bytes */
            request_release(call.context, request);
            return NULL;
        }
    }
    return started(status, request);
}

static PyObject* post(PyObject* self, PyObject* args) {
    uint64_t n[3];
    (void)self;
    if (!read_numbers(args, n, 3))
        return NULL;
    HANDLE(nixl_context, context, n[0]);
    HANDLE(nixl_request, request, n[1]);
    nixl_status status;
    if (n[2] <= LOCKED_COPY_BYTES) {
        status = request_post(context, request, NULL);
    } else {
        Py_BEGIN_ALLOW_THREADS status = request_post(context, request, NULL);
        Py_END_ALLOW_THREADS
    }
    return PyLong_FromLong(status);
}

static PyObject* poll_request(PyObject* self, PyObject* args) {
    uint64_t n[2];
    (void)self;
    if (!read_numbers(args, n, 2))
        return NULL;
    HANDLE(nixl_context, context, n[0]);
    HANDLE(nixl_request, request, n[1]);
    return PyLong_FromLong(request_poll(context, request));
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* From `status` on; with an exception set when a signal handler raised one. */
static nixl_status wait_in_slices(nixl_context context, nixl_request request, nixl_status status,
                                  int64_t timeout_ns) {
    const int64_t end_ns = status == NIXL_IN_PROGRESS && timeout_ns > 0 ? now_ns() + timeout_ns : 0;
    while ((status == NIXL_IN_PROGRESS || status == NIXL_INTERRUPTED) && timeout_ns != 0) {
        int64_t left_ns = WAIT_SLICE_NS;
        if (timeout_ns > 0) {
            const int64_t until_end_ns = end_ns - now_ns();
            if (until_end_ns <= 0)
                break;
            if (until_end_ns < left_ns)
                left_ns = until_end_ns;
        }
        Py_BEGIN_ALLOW_THREADS status = request_wait(context, request, left_ns);
        Py_END_ALLOW_THREADS if (PyErr_CheckSignals() != 0) break;
    }
    return status == NIXL_INTERRUPTED ? NIXL_IN_PROGRESS : status;
}

static PyObject* wait_request(PyObject* self, PyObject* args) {
    uint64_t n[3];
    (void)self;
    if (!read_numbers(args, n, 3))
        return NULL;
    HANDLE(nixl_context, context, n[0]);
    HANDLE(nixl_request, request, n[1]);
    /* No look first: it may be over while another thread is in its callback. */
    const int64_t timeout_ns = (int64_t)n[2];
    const nixl_status status = timeout_ns == 0
                                   ? request_poll(context, request)
                                   : wait_in_slices(context, request, NIXL_IN_PROGRESS, timeout_ns);
    return PyErr_Occurred() ? NULL : PyLong_FromLong(status);
}

static PyObject* release(PyObject* self, PyObject* args) {
    uint64_t n[2];
    (void)self;
    if (!read_numbers(args, n, 2))
        return NULL;
    HANDLE(nixl_context, context, n[0]);
    HANDLE(nixl_request, request, n[1]);
    return PyLong_FromLong(request_release(context, request));
}

/* ---- Log lines --------------------------------------------------------------------------------
 */

/* A line must never wait for the interpreter's lock: its writer may hold a lock that a thread with
 * the interpreter's lock wants. So lines go through a pipe to a Python thread; what does not fit is
 * counted and told with the next line. */
static atomic_int log_pipe = -1;
static atomic_uint lost_lines;

static void log_line(void* user, int level, const char* file, int line, const char* text) {
    char record[2048]; /* less than PIPE_BUF: written whole or not at all */
    (void)user;
    const unsigned lost = atomic_exchange(&lost_lines, 0);
    int length;
    if (lost != 0)
        length =
            snprintf(record, sizeof record, "%d\t%s:%d\t%s [%u lines before this one were lost]",
                     level, file, line, text, lost);
    else
        length = snprintf(record, sizeof record, "%d\t%s:%d\t%s", level, file, line, text);
    if (length < 0)
        return;
    if ((size_t)length >= sizeof record)
        length = (int)sizeof record - 1;
    for (int i = 0; i < length; ++i)
        if (record[i] == '\n')
            record[i] = ' ';
    record[length] = '\n';
    if (write(atomic_load(&log_pipe), record, (size_t)length + 1) < 0)
        atomic_fetch_add(&lost_lines, lost + 1);
}

/* The function for nixl_log_set() that writes to this pipe. */
static PyObject* log_to(PyObject* self, PyObject* args) {
    uint64_t n[1];
    (void)self;
    if (!read_numbers(args, n, 1))
        return NULL;
    atomic_store(&log_pipe, (int)n[0]);
    nixl_log_fn function = log_line;
    uint64_t address = 0;
    memcpy(&address, &function, sizeof function);
    return PyLong_FromUnsignedLongLong(address);
}

static PyMethodDef METHODS[] = {
    {"bind", bind, METH_VARARGS, "Takes the addresses of libnixl's functions."},
    {"start", start, METH_VARARGS, "context, source, target, bytes"},
    {"start_waited", start_waited, METH_VARARGS, "context, source, target, bytes"},
    {"post", post, METH_VARARGS, "context, request, bytes"},
    {"poll", poll_request, METH_VARARGS, "context, request"},
    {"wait", wait_request, METH_VARARGS, "context, request, timeout_ns"},
    {"release", release, METH_VARARGS, "context, request"},
    {"log_to", log_to, METH_VARARGS, "file descriptor; returns a nixl_log_fn"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT,
    "_hot",
    "The calls that are made once per transfer.",
    -1,
    METHODS,
    NULL,
    NULL,
    NULL,
    NULL,
};

PyMODINIT_FUNC PyInit__hot(void) { return PyModule_Create(&MODULE); }
